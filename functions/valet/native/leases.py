"""Who refreshes a connected account: whoever gets its lease, for as long as that lasts.

An item of its own for each account, so that taking and ending it never touches the tokens.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.native import keys
from valet.native.clock import Clock, epoch
from valet.native.table import (
    Absent,
    Below,
    ConditionFailed,
    Delete,
    Is,
    Item,
    Table,
    Update,
    either,
    when,
)

if TYPE_CHECKING:
    from datetime import datetime

    from valet.models import Account
    from valet.native.table import Key

_COOLING = "cooling"  # the holder of a lease that nobody refreshes under
_KEPT_AFTER = timedelta(hours=1)


class Held(Exception):
    """The lease is another's; `cooling`: nobody's, since the provider just failed."""

    def __init__(self, lease: Item | None) -> None:
        super().__init__()
        self.cooling = (lease or {}).get("holder") == _COOLING


class TooLate(Exception):
    """The lease may end before an answer comes: nothing is sent under it any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    key: Key
    holder: str
    until: datetime

    def end(self) -> Delete:
        """The write that gives it back; its condition fails when it has passed on."""
        return Delete(self.key, when(Is("holder", self.holder)))


@dataclass(frozen=True, slots=True)
class Leases:
    table: Table
    now: Clock
    lasts: timedelta

    def acquire(self, account: Account) -> Lease:
        """Raises Held while another caller refreshes, or while nobody is to try."""
        now = self.now()
        key = keys.lease(account.user, account.connection)
        lease = Lease(key, secrets.token_hex(8), now + self.lasts)
        try:
            self.table.write(
                Update(
                    key,
                    set={
                        "holder": lease.holder,
                        "until": epoch(lease.until),
                        "ttl": epoch(now + _KEPT_AFTER),
                    },
                    when=either((Absent(),), (Below("until", epoch(now)),)),
                )
            )
        except ConditionFailed as conflict:
            raise Held(conflict.item) from None
        return lease

    def is_over(self, lease: Item | None) -> bool:
        return lease is None or lease["until"] < epoch(self.now())

    def check_time(self, lease: Lease, needed: timedelta) -> None:
        """Whoever was held up (by a slow vault, by a refused client) leaves it to the next.

        Raises:
            TooLate: less is left of it than is needed.
        """
        if self.now() + needed > lease.until:
            raise TooLate

    def release(self, lease: Lease) -> None:
        self._end(lease.end())

    def cool_down(self, lease: Lease, lasts: timedelta) -> None:
        """Keep everyone from asking a provider that is down; the lease runs on, nobody's."""
        self._end(
            Update(
                lease.key,
                set={"holder": _COOLING, "until": epoch(self.now() + lasts)},
                when=when(Is("holder", lease.holder)),
            )
        )

    def _end(self, write: Update | Delete) -> None:
        try:
            self.table.write(write)
        except ConditionFailed:
            return  # it ran out and someone else holds it now: theirs to end
