"""What Google refuses in an event, in its own words and reasons where they are known."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # botocore brings it untyped

from .diary import Event, when
from .errors import ApiError, bad_request

_ID = re.compile(r"[a-v0-9]{5,1024}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_RULE = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)[:;][^\r\n]+")
_STATUS = {"confirmed", "tentative", "cancelled"}
_REPLIES = {"needsAction", "declined", "tentative", "accepted"}
_VISIBILITY = {"default", "public", "private", "confidential"}
_MAX_REMINDERS = 5


def check_id(identity: str) -> None:
    if not _ID.fullmatch(identity):
        raise bad_request("Invalid resource id value.", "invalid")


def check_event(event: Event, time_zone: str) -> None:
    """Refuses an event that Google would not store."""
    for name in ("start", "end"):
        _check_time(name, event.get(name), recurring="recurrence" in event)
    _check_range(event, time_zone)
    _check_recurrence(event, time_zone)
    _check_people(event.get("attendees", []))
    _check_reminders(event.get("reminders", {}))
    _one_of(event, "status", _STATUS)
    _one_of(event, "visibility", _VISIBILITY)
    _one_of(event, "transparency", {"opaque", "transparent"})


def _check_time(name: str, node: dict[str, Any] | None, *, recurring: bool) -> None:
    if not node:
        raise bad_request(f"Missing {name} time.", "required")
    if ("date" in node) == ("dateTime" in node):
        raise bad_request(f"Invalid {name} time.", "invalid")
    zone = node.get("timeZone")
    if zone and not _zone_exists(zone):
        raise bad_request(f"Invalid time zone definition for {name} time.", "invalid")
    if "date" in node:
        return
    if not zone and (recurring or not re.search(r"([Zz]|[+-]\d\d:\d\d)$", node["dateTime"])):
        raise bad_request(f"Missing time zone definition for {name} time.", "required")


def _check_range(event: Event, time_zone: str) -> None:
    start, end = event["start"], event["end"]
    if ("date" in start) != ("date" in end):
        said = "The start and end times must either both be date or both be dateTime."
        raise bad_request(said, "invalid")
    length = when(end, time_zone) - when(start, time_zone)
    # A day's end is exclusive, so a day that ends on itself is empty; a moment may be.
    if length < timedelta(0) or ("date" in start and not length):
        raise bad_request("The specified time range is empty.", "timeRangeEmpty")


def _check_recurrence(event: Event, time_zone: str) -> None:
    lines = event.get("recurrence")
    if lines is None:
        return
    if not lines or not all(_RULE.fullmatch(line) for line in lines):
        raise bad_request("Invalid recurrence rule.", "invalid")
    try:
        rrulestr("\n".join(lines), dtstart=when(event["start"], time_zone))
    except (ValueError, TypeError, KeyError) as wrong:
        raise bad_request("Invalid recurrence rule.", "invalid") from wrong


def _check_people(attendees: list[dict[str, Any]]) -> None:
    for attendee in attendees:
        if not _EMAIL.fullmatch(attendee.get("email", "")):
            raise bad_request("Invalid attendee email.", "invalid")
        _one_of(attendee, "responseStatus", _REPLIES)


def _check_reminders(reminders: dict[str, Any]) -> None:
    overrides = reminders.get("overrides", [])
    if reminders.get("useDefault") and overrides:
        raise ApiError(
            400,
            "cannotUseDefaultRemindersAndSpecifyOverride",
            "Cannot specify both default reminders and overrides at the same time.",
        )
    if len(overrides) > _MAX_REMINDERS:
        raise bad_request("Too many reminder overrides.", "invalid")
    for reminder in overrides:
        _one_of(reminder, "method", {"email", "popup"})


def _one_of(node: dict[str, Any], name: str, allowed: set[str]) -> None:
    if name in node and node[name] not in allowed:
        raise bad_request(f"Invalid value for: {node[name]} is not a valid {name}", "invalid")


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
