"""Points in time as calendars write them: a date for a whole day, else RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from valet.tools.results import InvalidArguments

DEFAULT_DURATION = timedelta(minutes=30)


def moment(name: str, text: str, timezone: str | None, *, clear: bool = False) -> dict[str, Any]:
    """`{"date": …}` or `{"dateTime": …, "timeZone": …}`.

    With `clear` the other form is set to null: a PATCH merges objects, and an event that holds
    both forms is refused.

    Raises:
        InvalidArguments: it is no such point in time, or of an unknown offset.
    """
    value = _parse(name, text)
    if not isinstance(value, datetime):
        return {"date": text} | ({"dateTime": None, "timeZone": None} if clear else {})
    if value.tzinfo is None and not timezone:
        raise InvalidArguments(f"{name}: needs an offset such as Z or +02:00, or a timezone.")
    zone = {"timeZone": timezone} if timezone else {}
    return {"dateTime": value.isoformat(), **zone} | ({"date": None} if clear else {})


def end_of(fields: Mapping[str, Any]) -> str | None:
    """An event's end: as given, or start plus duration, or what a move of its start makes it.

    `fields` holds `start`, `end`, `hours`, `minutes`, and for a change `old_start`, `old_end`.
    None means that the end stays as it is.

    Raises:
        InvalidArguments: the end is not after the start.
    """
    given, hours, minutes = fields.get("end"), fields.get("hours"), fields.get("minutes")
    if not fields.keys() & {"start", "end", "hours", "minutes"}:
        return None
    start_text = fields.get("start") or _text_of(fields.get("old_start"))
    if start_text is None:
        raise InvalidArguments("start_datetime: is required.")
    start = _parse("start_datetime", start_text)
    if given:
        return _checked(start, _parse("end_datetime", given), given)
    if hours is not None or minutes is not None:
        length = timedelta(hours=hours or 0, minutes=minutes or 0)
        return _after(start, length, "event_duration_minutes")
    if "old_start" not in fields:
        whole_day = not isinstance(start, datetime)
        usual = timedelta(days=1) if whole_day else DEFAULT_DURATION
        return _after(start, usual, "start_datetime")
    return _after(start, _old_length(fields), "end_datetime")


def _old_length(fields: Mapping[str, Any]) -> timedelta:
    old = [_text_of(fields.get(name)) for name in ("old_start", "old_end")]
    first, last = (_parse("end_datetime", text) if text else None for text in old)
    if first is None or last is None or isinstance(first, datetime) != isinstance(last, datetime):
        raise InvalidArguments("end_datetime: is required, since the event has no usable length.")
    return last - first


def _after(start: date, length: timedelta, name: str) -> str:
    if length <= timedelta(0):
        raise InvalidArguments(f"{name}: must be more than zero.")
    if not isinstance(start, datetime):
        # An all-day event ends on the day after its last one.
        if length.seconds:
            raise InvalidArguments(f"{name}: an all-day event lasts whole days.")
        return (start + length).isoformat()
    try:
        return (start + length).isoformat()
    except OverflowError as error:
        raise InvalidArguments(f"{name}: is out of range.") from error


def _checked(start: date, end: date, text: str) -> str:
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise InvalidArguments("end_datetime: must be a date exactly when start_datetime is one.")
    comparable = not isinstance(start, datetime) or _aware(start) == _aware(end)
    if comparable and end <= start:
        raise InvalidArguments("end_datetime: must be after start_datetime.")
    return text


def _aware(value: date) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _text_of(value: Any) -> str | None:
    found = value.get("dateTime") or value.get("date") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None


def _parse(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArguments(f"{name}: is no existing date or time.") from error
