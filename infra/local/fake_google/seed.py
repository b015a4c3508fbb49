"""Fills a world from a seed file, whose days count from the base date."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from .diary import Calendar
from .event_rules import check_event
from .event_writes import new_event
from .mailbox import Mailbox
from .world import Person, World

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLED = Path(__file__).with_name("seed.json")


def load(path: Path = BUNDLED) -> Callable[[World], None]:
    """What `World` calls at start and at each reset."""
    data = json.loads(path.read_text())

    def fill(world: World) -> None:
        for row in data["people"]:
            _add_person(world, row)
        for row in sorted(data["mails"], key=lambda row: (row["day"], row["at"])):
            _add_mail(world, row)

    return fill


def _add_person(world: World, row: dict[str, Any]) -> None:
    mailbox = Mailbox(row["email"], labels=dict(row["labels"]))
    person = Person(row["email"], row["name"], row["sub"], mailbox)
    world.people[person.email] = person
    for each in row["calendars"]:
        calendar = Calendar(
            each["id"], each["summary"], each["time_zone"], each["role"], each.get("primary", False)
        )
        person.calendars[calendar.id] = calendar
        for event in each["events"]:
            given = _times(world, calendar, event)
            made = new_event(world, person, calendar, given)
            check_event(made, calendar.time_zone)
            calendar.events[made["id"]] = made


def _times(world: World, calendar: Calendar, row: dict[str, Any]) -> dict[str, Any]:
    day = world.base + timedelta(days=row["day"])
    base = {"id": row["id"], "summary": row["summary"], **row.get("extra", {})}
    if "days" in row:
        last = day + timedelta(days=row["days"])
        return base | {"start": {"date": day.isoformat()}, "end": {"date": last.isoformat()}}
    zone = calendar.time_zone
    start = datetime.combine(day, time.fromisoformat(row["start"]), ZoneInfo(zone))
    end = start + timedelta(minutes=row["minutes"])
    return base | {
        "start": {"dateTime": start.isoformat(), "timeZone": zone},
        "end": {"dateTime": end.isoformat(), "timeZone": zone},
    }


def _add_mail(world: World, row: dict[str, Any]) -> None:
    day = world.base + timedelta(days=row["day"])
    at = datetime.combine(day, time.fromisoformat(row["at"]), UTC)
    raw = _message(row, at).as_bytes()
    for email, labels in row["copies"].items():
        world.people[email].mailbox.add(world.next_id(), raw, labels, at)


def _message(row: dict[str, Any], at: datetime) -> EmailMessage:
    message = EmailMessage()
    for name in ("from", "to", "cc", "subject"):
        if name in row:
            message[name.title()] = row[name]
    message["Date"] = format_datetime(at)
    message["Message-ID"] = _message_id(row["key"])
    if "replies" in row:
        message["In-Reply-To"] = message["References"] = _message_id(row["replies"])
    if "text" in row:
        message.set_content(row["text"])
    if "html" in row and "text" in row:
        message.add_alternative(row["html"], subtype="html")
    elif "html" in row:
        message.set_content(row["html"], subtype="html")
    file = row.get("attachment")
    if file:
        main, _, sub = file["type"].partition("/")
        message.add_attachment(
            file["text"].encode(), maintype=main, subtype=sub, filename=file["name"]
        )
    return message


def _message_id(key: str) -> str:
    return f"<{key}.seed@mail.example>"
