"""Forgetting a user: their accounts and instances at Scalekit first, then all that is kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.backend import Erased
from valet.native.events import Event, Events, EventType

if TYPE_CHECKING:
    from valet.models import UserKey
    from valet.native.forget import Forget
    from valet.scalekit.api import Api
    from valet.scalekit.instances import Instances


@dataclass(frozen=True, slots=True)
class Erase:
    api: Api
    instances: Instances
    forget: Forget
    events: Events

    def erase(self, user: UserKey) -> Erased:
        """Forget a user; doing it again finds what is left, which may be nothing.

        Also of connections and configs that are declared here no more.
        """
        found = self.api.accounts(user)
        deleted = sum(self.api.delete_account(user, each.connection) for each in found)
        self.instances.end_urls(user)
        counts = self.forget.forget(user)
        self.events.publish(Event(EventType.USER_ERASED, user))
        return Erased(counts | {"accounts": counts["accounts"] + deleted}, revoked=[])
