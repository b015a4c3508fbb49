"""Where a user's grants stand, by Scalekit's word; the tokens are its matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.models import Account, AccountStatus

if TYPE_CHECKING:
    from valet.models import Connection, UserKey
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class Accounts:
    api: Api

    def of(self, user: UserKey, connections: dict[str, Connection]) -> dict[str, Account]:
        """The user's accounts on these connections, by connection name."""
        found = {each.connection: each.status for each in self.api.accounts(user)}
        return {
            name: Account(
                user,
                name,
                connection.connector,
                found.get(name, AccountStatus.PENDING_AUTH),
                scopes_known=False,
            )
            for name, connection in connections.items()
        }


class Grants:
    def email(self, _: Account) -> None:
        """Unknown: Scalekit's API tells it beside the tokens only, which we do not ask for."""
