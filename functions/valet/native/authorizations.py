"""Consents that came back and wait for the app to say whose they are.

Whoever consented in this browser need not be who the link was made for (a forwarded link is the
attack), and only the app can tell. One wrong user ends an authorization for good. What is kept of
its id is a hash.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valet.errors import Busy, Conflict, Forbidden, Gone, NotFound
from valet.models import UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.events import Event, Events, EventType
from valet.native.states import States, used
from valet.native.table import (
    Above,
    Absent,
    ConditionFailed,
    Is,
    Item,
    Put,
    Table,
    Update,
    either,
    when,
)

if TYPE_CHECKING:
    from datetime import datetime

    from valet.native.states import Consenting
    from valet.native.table import Write
    from valet.native.tickets import Tickets

LIFETIME = timedelta(minutes=5)  # from consent to the app's verification
_KEPT_AFTER = timedelta(days=1)
_RACES = 5
_WAITING = ("AWAITING_VERIFICATION", "AWAITING_CONFIRMATION")


class WrongUser(Forbidden):
    """Somebody else consented than the link was made for: an attack, or a mix-up of sign-ins."""

    code = "wrong_user"

    def __init__(self, connection: str) -> None:
        super().__init__(
            "this authorization was started for somebody else and has been cancelled: nothing was "
            "connected"
        )
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Returned:
    """What the app is told at its verify page: an id to verify, or why there is none."""

    connection: str
    cookie_name: str  # of the flow that has ended
    authorization_id: str | None = None
    error: str | None = None  # user_denied, provider_error: a closed set, never provider prose


@dataclass(frozen=True, slots=True)
class Authorizations:
    table: Table
    tickets: Tickets
    events: Events
    now: Clock = utc_now

    @property
    def states(self) -> States:
        return States(self.table, self.now)

    def expires_at(self) -> datetime:
        """When one that is parked now is over."""
        return self.now() + LIFETIME

    def park(
        self,
        consent: Consenting,
        authorization_id: str,
        expires_at: datetime,
        *also: Write,
        **kept: Any,
    ) -> None:
        """Keep a consent for its user to verify, with the link spent for it; all or nothing.

        Raises:
            Conflict: the state, or the link, was used meanwhile.
            Busy: others kept changing it; it was not used.
        """
        record = consent.record
        key = keys.authorization(keys.digest(authorization_id))
        item = {
            "pk": key.pk,
            "sk": key.sk,
            "status": _WAITING[0],
            "user": record["user"],
            "connection": record["connection"],
            "connector": record["connector"],
            "expires_at": epoch(expires_at),
            "ttl": epoch(expires_at + _KEPT_AFTER),
            **kept,
        }
        for _ in range(_RACES):
            try:
                self.table.transact(
                    self.states.claim(consent, "RETURNED"),
                    self.tickets.use_for(record["ticket"], record["connection"]),
                    Put(item, when(Absent())),
                    *also,
                )
            except ConditionFailed:
                # Tell a consent that was used from one that met another tab's at the link.
                spent = self.tickets.is_spent(record["ticket"], record["connection"])
                if spent or self.states.is_used(consent):
                    raise used() from None
                continue
            return
        raise Busy("this consent is being changed by others: reload this page to try again")

    def get(self, digest: str) -> Item:
        """Raises NotFound."""
        record = self.table.get(keys.authorization(digest))
        if record is None:
            raise NotFound(
                "no such authorization: connect again from your app", code="authorization_unknown"
            )
        return record

    def reject(self, digest: str, record: Item) -> bool:
        """End it, as somebody else's; says whether there was something to end."""
        try:
            self.table.write(
                Update(
                    keys.authorization(digest),
                    set={"status": "REJECTED"},
                    remove=["sealed"],
                    when=either(*((Is("status", status),) for status in _WAITING)),
                )
            )
        except ConditionFailed:
            return False  # it was over already; what the caller is told does not change
        self.events.publish(
            Event(
                EventType.AUTHORIZATION_REJECTED,
                UserKey(record["user"]),
                connection=record["connection"],
                connector=record["connector"],
                reason="wrong_user",
            )
        )
        return True

    def claim(self, digest: str, record: Item) -> None:
        """Take it, to finish it: one of several attempts may.

        Raises:
            Gone: it waited too long.
            Conflict: it was verified, refused or is being verified already.
        """
        if record["expires_at"] <= epoch(self.now()):
            raise Gone(
                "this authorization waited too long: connect again from your app",
                code="authorization_expired",
            )
        # The state that this attempt may leave: the one it was read in, if it is one to leave.
        before = record["status"] if record["status"] in _WAITING else _WAITING[0]
        try:
            self.table.write(
                Update(
                    keys.authorization(digest),
                    set={"status": "EXCHANGING"},
                    remove=["sealed"],
                    when=when(Is("status", before), Above("expires_at", epoch(self.now()))),
                )
            )
        except ConditionFailed:
            raise Conflict(
                "this authorization was already used: GET /connections shows how it went",
                code="authorization_used",
            ) from None

    def settle(self, digest: str, **values: Any) -> None:
        """End a claim; an authorization that was erased meanwhile does not come back."""
        with suppress(ConditionFailed):
            self.table.write(self.settlement(digest, **values))

    @staticmethod
    def settlement(digest: str, **values: Any) -> Update:
        """The write that ends a claim, for a transaction of the caller's."""
        key = keys.authorization(digest)
        return Update(key, set=values, when=when(Is("status", "EXCHANGING")))
