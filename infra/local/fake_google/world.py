"""Everything the fake knows, in memory: people, their mail and calendars, clients and grants."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .discovery import Directory
from .faults import Settings
from .grants import Client, Grants
from .id_token import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .diary import Calendar
    from .mailbox import Mailbox

_SIGN_IN_TEXT = {
    "openid": "Know who you are",
    "https://www.googleapis.com/auth/userinfo.email": "See your email address",
    "https://www.googleapis.com/auth/userinfo.profile": "See your name",
}


@dataclass
class Person:
    """A Google account."""

    email: str
    name: str
    sub: str
    mailbox: Mailbox
    calendars: dict[str, Calendar] = field(default_factory=dict)

    def calendar(self, identity: str) -> Calendar | None:
        return self.calendars.get(self.email if identity == "primary" else identity)


class World:
    """The state that a reset puts back to the seed.

    It has two clocks. Credentials live by the machine's clock, because the caller's do. Mail and
    events live by a clock that starts at noon of the seed's base date and moves a second with
    each write, so that a run today and a run in a year give the same ids, dates and search results.
    """

    def __init__(self, seed: Callable[[World], None], base: date, clients: list[Client]) -> None:
        self.lock = threading.Lock()
        self.directory = Directory()
        self.signer = Signer()
        self.clients = {client.id: client for client in clients}
        self.base = base
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        self.settings = Settings()
        self.grants = Grants(self.now)
        self.people: dict[str, Person] = {}
        self.log: list[dict[str, Any]] = []
        self.invitations: list[dict[str, Any]] = []
        self._writes = 0
        self._ids = 0
        self._seed(self)

    def now(self) -> float:
        """Google's clock for credentials; `clock_skew` sets it apart from the caller's."""
        return time.time() + self.settings.clock_skew

    def today(self) -> datetime:
        """The clock of mail and events."""
        noon = datetime.combine(self.base, datetime.min.time(), UTC) + timedelta(hours=12)
        return noon + timedelta(seconds=self._writes)

    def tick(self) -> datetime:
        self._writes += 1
        return self.today()

    def next_id(self) -> str:
        """Sixteen hex digits, as Gmail's ids; the same ones in each run."""
        self._ids += 1
        return f"{0x19A4C00000000000 + self._ids * 0x1F3B7:016x}"

    def scope_text(self, scope: str) -> str:
        """What the consent page says about a scope; empty for one that Google does not have."""
        return _SIGN_IN_TEXT.get(scope) or self.directory.scopes.get(scope, "")
