"""A calendar: its events as Google's JSON, when they are, and the instances of recurring ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # botocore brings it untyped

if TYPE_CHECKING:
    from collections.abc import Iterator

type Event = dict[str, Any]

_HORIZON = timedelta(days=730)
_MOST = 1000


@dataclass
class Calendar:
    """Events by id, cancelled ones included: Google keeps their ids taken."""

    id: str
    summary: str
    time_zone: str
    role: str
    primary: bool = False
    events: dict[str, Event] = field(default_factory=dict)

    @property
    def writable(self) -> bool:
        return self.role in {"owner", "writer"}

    def find(self, identity: str) -> Event | None:
        """An event, or one instance of a recurring event by the id that expanding gives it."""
        event = self.events.get(identity)
        if event is not None:
            return event
        master = self.events.get(identity.rpartition("_")[0])
        if master is None or "recurrence" not in master:
            return None
        return next((each for each in self.instances(master) if each["id"] == identity), None)

    def expanded(self) -> Iterator[Event]:
        """Single events: recurring ones as their instances."""
        for event in self.events.values():
            if "recurrence" not in event:
                yield event
            elif event["status"] != "cancelled":
                yield from self.instances(event)

    def instances(self, master: Event) -> Iterator[Event]:
        """The instances that have not been changed on their own; those are events themselves."""
        first = when(master["start"], self.time_zone)
        length = when(master["end"], self.time_zone) - first
        rule = rrulestr("\n".join(master["recurrence"]), dtstart=first)
        for start in islice(rule, _MOST):
            if start > first + _HORIZON:
                return
            instance = _instance(master, start, length)
            if instance["id"] not in self.events:
                yield instance


def _instance(master: Event, start: datetime, length: timedelta) -> Event:
    all_day = "date" in master["start"]
    stamp = f"{start:%Y%m%d}" if all_day else f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    kept = {name: value for name, value in master.items() if name != "recurrence"}
    begin = _as(master["start"], start)
    return kept | {
        "id": f"{master['id']}_{stamp}",
        "recurringEventId": master["id"],
        "originalStartTime": begin,
        "start": begin,
        "end": _as(master["end"], start + length),
    }


def _as(like: dict[str, str], at: datetime) -> dict[str, str]:
    if "date" in like:
        return {"date": at.date().isoformat()}
    zone = {"timeZone": like["timeZone"]} if "timeZone" in like else {}
    return {"dateTime": at.isoformat(), **zone}


def when(node: dict[str, str], time_zone: str) -> datetime:
    """A start or an end as a moment; a day begins at midnight in the calendar's zone."""
    if "date" in node:
        day = date.fromisoformat(node["date"])
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    at = datetime.fromisoformat(node["dateTime"].upper())
    zone = node.get("timeZone")
    if at.tzinfo is None:
        return at.replace(tzinfo=ZoneInfo(zone or time_zone))
    # In its own zone, so that a weekly event stays at its hour when the clocks change.
    return at.astimezone(ZoneInfo(zone)) if zone else at


def overlaps(event: Event, time_zone: str, low: datetime | None, high: datetime | None) -> bool:
    """`timeMin` bounds the end and `timeMax` the start, both exclusive."""
    if low is not None and when(event["end"], time_zone) <= low:
        return False
    return high is None or when(event["start"], time_zone) < high
