"""Taking a grant back: Scalekit deletes the account with its credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.backend import Disconnection
from valet.errors import NotFound
from valet.models import AccountStatus
from valet.native.events import Event, Events, EventType

if TYPE_CHECKING:
    from valet.models import UserKey
    from valet.native.configs import Configs
    from valet.scalekit.accounts import Accounts
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class Disconnect:
    api: Api
    accounts: Accounts
    configs: Configs
    events: Events

    def disconnect(self, user: UserKey, name: str) -> Disconnection:
        """Delete a user's account; whether the provider hears of it is not documented.

        Raises:
            NotFound: no such connection, or nothing is connected on it.
        """
        connection = self.configs.connections().get(name)
        if connection is None:
            raise NotFound(f"no connection {name[:100]!r}: GET /connections lists them")
        before = self.accounts.of(user, {name: connection})[name]
        if not self.api.delete_account(user, name):
            raise NotFound(f"nothing is connected on {name!r}")
        self.events.publish(
            Event(
                EventType.ACCOUNT_STATUS_CHANGED,
                user,
                connection=name,
                connector=connection.connector,
                status=AccountStatus.DISCONNECTED.value,
                previous_status=before.status.value,
            )
        )
        return Disconnection(name, revoked=False)
