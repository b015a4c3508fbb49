"""How often a user's tools may be called in a minute: each tool, and all of them together.

An agent that loops must not use up what all users share: the provider's quota of the whole
project, and the bill. The count of a minute is one item a user, which a session reads in the one
request that it makes anyway. A write for every call would double that, so each process writes a
sample: for each tool it counts from a random start, and every k-th call is written as k. The sum
is right on average however a burst is spread over processes, and exact for a process that made all
the calls, since it knows its own. What arrives at once is not stopped by what none of it has
written yet, and a minute's end begins a new count: a limit is for loops, not to the call.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from valet.errors import TooMany
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.table import Update

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.connectors.models import Tool
    from valet.models import UserKey
    from valet.native.table import Item, Table

MINUTE: Final = 60  # seconds


class Limit(NamedTuple):
    calls: int  # of one tool by one user in a minute
    sample: int  # every so many calls one is written


# Gmail gives a user 6,000 units a minute: 60 mails sent, or 14 to 60 lists read. Calendar gives a
# project 10,000 requests: at 120 a user it takes 83 users in a loop to stop all the others.
READS: Final = Limit(60, sample=8)
WRITES: Final = Limit(30, sample=3)  # half of what Gmail would send: nobody means to in a minute
ALL_TOOLS: Final = 120

_KEPT: Final = 3600  # seconds: DynamoDB deletes within days, and nobody reads a minute that is over
_REMEMBERED: Final = 1000
_TOOL: Final = "tool:"  # before its name, as an attribute of the item


@dataclass(slots=True)
class Tally:
    """A user's calls in one minute by tool: as the table had them, and what was written since."""

    minute: int  # since 1970
    calls: dict[str, int]

    @classmethod
    def of(cls, minute: int, item: Item | None) -> Tally:
        found = (item or {}).items()
        calls = {n.removeprefix(_TOOL): count for n, count in found if n.startswith(_TOOL)}
        return cls(minute, calls)


def minute_of(now: Clock) -> int:
    return epoch(now()) // MINUTE


@dataclass(slots=True)
class _Sample:
    """One process's count of one tool's calls, from its start to the one that is written."""

    start: int
    count: int

    @property
    def unwritten(self) -> int:
        """Below zero: the start was written as if calls had been before it."""
        return self.count - self.start


@dataclass(slots=True)
class _Own:
    """What this process has counted of one user in one minute."""

    minute: int
    samples: dict[str, _Sample] = field(default_factory=dict)

    def unwritten(self, tool: str) -> int:
        return self.samples[tool].unwritten if tool in self.samples else 0


@dataclass(slots=True)
class CallLimits:
    table: Table
    now: Clock = utc_now
    start: Callable[[int], int] = secrets.randbelow
    _own: OrderedDict[UserKey, _Own] = field(default_factory=OrderedDict, init=False)

    def count(self, user: UserKey, tally: Tally, tool: Tool) -> None:
        """Count a call that is about to be made.

        Raises:
            TooMany: the user's calls of this tool, or of all, are used up; this one does not count.
        """
        own = self._of(user, tally.minute)
        limit = READS if tool.read_only else WRITES
        if tally.calls.get(tool.name, 0) + own.unwritten(tool.name) >= limit.calls:
            raise self._too_many(tally, f"this tool was called {limit.calls} times")
        everything = [*tally.calls.values(), *(own.unwritten(name) for name in own.samples)]
        if sum(everything) >= ALL_TOOLS:
            raise self._too_many(tally, f"this user's tools were called {ALL_TOOLS} times")
        self._add(user, tally, tool.name, limit.sample, own)

    def _of(self, user: UserKey, minute: int) -> _Own:
        own = self._own.get(user)
        if own is None or own.minute != minute:
            own = self._own[user] = _Own(minute)
            if len(self._own) > _REMEMBERED:
                self._own.popitem(last=False)
        return own

    def _add(self, user: UserKey, tally: Tally, tool: str, every: int, own: _Own) -> None:
        if tool not in own.samples:
            start = self.start(every)
            own.samples[tool] = _Sample(start, start)
        sample = own.samples[tool]
        sample.count += 1
        if sample.count < every:
            return
        sample.count = 0
        tally.calls[tool] = tally.calls.get(tool, 0) + every
        gone = (tally.minute + 1) * MINUTE + _KEPT
        # No condition: a sum that is added to cannot lose a race.
        key = keys.call_count(user, tally.minute)
        self.table.write(Update(key, set={"ttl": gone}, add={f"{_TOOL}{tool}": every}))

    def _too_many(self, tally: Tally, what: str) -> TooMany:
        wait = max(1, (tally.minute + 1) * MINUTE - epoch(self.now()))
        seconds = "1 second" if wait == 1 else f"{wait} seconds"
        return TooMany(
            f"{what} within a minute, which is as often as allowed, and nothing was done: wait "
            f"{seconds}, then call it again",
            code="rate_limited",
            retry_after=wait,
        )
