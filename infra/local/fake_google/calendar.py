"""Google Calendar: the calendars, reading events, and free/busy."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from .call import Call, Json, handles, page
from .diary import Calendar, Event, overlaps, when
from .errors import ApiError, bad_request, not_found

_ROLES = ("freeBusyReader", "reader", "writer", "owner")
_NOT_WITH_SYNC = {
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin",
    "timeMax", "updatedMin",
}  # fmt: skip
_MOST_CALENDARS = 50


@handles("calendar.calendarList.list")
def list_calendars(call: Call) -> Json:
    least = _ROLES.index(call.params.get("minAccessRole", _ROLES[0]))
    mine = [each for each in call.person.calendars.values() if _ROLES.index(each.role) >= least]
    calendars, more = page(call, mine, 100, 250)
    return {
        "kind": "calendar#calendarList",
        "etag": '"p33"',
        "items": [_entry(each) for each in calendars],
        **(more or {"nextSyncToken": sync_token(call)}),
    }


@handles("calendar.calendarList.get")
def get_calendar_entry(call: Call) -> Json:
    return _entry(calendar_of(call))


@handles("calendar.calendars.get")
def get_calendar(call: Call) -> Json:
    entry = _entry(calendar_of(call))
    kept = {name: entry[name] for name in ("id", "etag", "summary", "timeZone")}
    return {"kind": "calendar#calendar", **kept}


@handles("calendar.events.list")
def list_events(call: Call) -> Json:
    calendar = calendar_of(call)
    _check_list(call)
    found = [event for event in _candidates(call, calendar) if _wanted(call, calendar, event)]
    order = call.params.get("orderBy")
    if order == "startTime":
        found.sort(key=lambda event: (when(event["start"], calendar.time_zone), event["id"]))
    elif order == "updated":
        found.sort(key=lambda event: event["updated"])
    return _listing(call, calendar, found)


@handles("calendar.events.instances")
def list_instances(call: Call) -> Json:
    calendar = calendar_of(call)
    master = event_of(call, calendar)
    if "recurrence" not in master:
        raise bad_request("The event is not recurring.", "invalid")
    changed = [
        each for each in calendar.events.values() if each.get("recurringEventId") == master["id"]
    ]
    every = [*calendar.instances(master), *changed]
    found = [event for event in every if _wanted(call, calendar, event)]
    found.sort(key=lambda event: when(event["start"], calendar.time_zone))
    return _listing(call, calendar, found)


@handles("calendar.events.get")
def get_event(call: Call) -> Json:
    calendar = calendar_of(call)
    event = event_of(call, calendar)
    if call.headers.get("if-none-match") == event["etag"]:
        raise ApiError(304, "notModified", "Not Modified")
    return resource(call, calendar, event)


@handles("calendar.freebusy.query")
def query_free_busy(call: Call) -> Json:
    for name in ("timeMin", "timeMax"):
        if not call.body.get(name):
            raise bad_request(f"Missing {name} parameter.", "required")
    low, high = (_moment(call.body[name]) for name in ("timeMin", "timeMax"))
    _check_window(low, high)
    items = call.body.get("items") or []
    if len(items) > _MOST_CALENDARS:
        raise bad_request("Too many calendars requested.", "tooManyCalendarsRequested")
    return {
        "kind": "calendar#freeBusy",
        "timeMin": call.body["timeMin"],
        "timeMax": call.body["timeMax"],
        "calendars": {item["id"]: _busy(call, item["id"], low, high) for item in items},
    }


def calendar_of(call: Call) -> Calendar:
    calendar = call.person.calendar(call.params["calendarId"])
    if calendar is None:
        raise not_found("Not Found")
    return calendar


def event_of(call: Call, calendar: Calendar) -> Event:
    event = calendar.find(call.params["eventId"])
    if event is None:
        raise not_found("Not Found")
    return event


def resource(call: Call, calendar: Calendar, event: Event) -> Event:
    """The event as this request asked to see it."""
    out = dict(event)
    most = call.params.get("maxAttendees")
    if most and len(event.get("attendees", ())) > most:
        me = [each for each in event["attendees"] if each["email"] == call.person.email]
        out |= {"attendees": me, "attendeesOmitted": True}
    zone = call.params.get("timeZone")
    for name in ("start", "end"):
        if zone and "dateTime" in event[name]:
            at = when(event[name], calendar.time_zone).astimezone(_zone(zone))
            out[name] = {**event[name], "dateTime": at.isoformat()}
    return out


def sync_token(call: Call) -> str:
    return base64.urlsafe_b64encode(call.world.today().isoformat().encode()).decode()


def stamp(at: datetime) -> str:
    """A time as Google writes `created` and `updated`."""
    return f"{at:%Y-%m-%dT%H:%M:%S.000Z}"


def _listing(call: Call, calendar: Calendar, found: list[Event]) -> Json:
    events, more = page(call, found, 250, 2500)
    return {
        "kind": "calendar#events",
        "etag": '"p34"',
        "summary": calendar.summary,
        "description": "",
        "updated": stamp(call.world.today()),
        "timeZone": call.params.get("timeZone", calendar.time_zone),
        "accessRole": calendar.role,
        "defaultReminders": [],
        "items": [resource(call, calendar, event) for event in events],
        **(more or {"nextSyncToken": sync_token(call)}),
    }


def _check_list(call: Call) -> None:
    given = call.params
    if given.get("orderBy") == "startTime" and not given.get("singleEvents"):
        said = "The requested ordering is not available for the particular query."
        raise bad_request(said, "badRequest")
    if "syncToken" in given and _NOT_WITH_SYNC & set(given):
        said = "Sync token cannot be used with other query restrictions."
        raise bad_request(said, "badRequest")
    if "timeMin" in given and "timeMax" in given:
        _check_window(_moment(given["timeMin"]), _moment(given["timeMax"]))


def _check_window(low: datetime, high: datetime) -> None:
    if high <= low:
        raise bad_request("The specified time range is empty.", "timeRangeEmpty")


def _candidates(call: Call, calendar: Calendar) -> list[Event]:
    every = calendar.expanded() if call.params.get("singleEvents") else calendar.events.values()
    if "syncToken" not in call.params:
        return list(every)
    try:
        since = datetime.fromisoformat(base64.urlsafe_b64decode(call.params["syncToken"]).decode())
    except ValueError as wrong:
        said = "Sync token is no longer valid, a full sync is required."
        raise ApiError(410, "fullSyncRequired", said) from wrong
    return [event for event in every if event["updated"] > stamp(since)]


def _wanted(call: Call, calendar: Calendar, event: Event) -> bool:
    given = call.params
    low, high = (_moment(given[name]) if name in given else None for name in ("timeMin", "timeMax"))
    shown = given.get("showDeleted") or "syncToken" in given or event["status"] != "cancelled"
    return (
        shown
        and overlaps(event, calendar.time_zone, low, high)
        and _mentions(event, given.get("q", ""))
        and _has_property(event, given)
        and event["eventType"] in given.get("eventTypes", [event["eventType"]])
        and event["iCalUID"] == given.get("iCalUID", event["iCalUID"])
        and _moment(event["updated"]) >= _moment(given.get("updatedMin") or event["updated"])
    )


def _mentions(event: Event, words: str) -> bool:
    people = [event["organizer"], *event.get("attendees", ())]
    said = [event.get(name, "") for name in ("summary", "description", "location")]
    said += [str(person.get(name, "")) for person in people for name in ("email", "displayName")]
    return all(word in " ".join(said).lower() for word in words.lower().split())


def _has_property(event: Event, given: Json) -> bool:
    for kind in ("private", "shared"):
        held = event.get("extendedProperties", {}).get(kind, {})
        for wanted in given.get(f"{kind}ExtendedProperty", ()):
            name, _, value = wanted.partition("=")
            if held.get(name) != value:
                return False
    return True


def _busy(call: Call, identity: str, low: datetime, high: datetime) -> Json:
    calendar = call.person.calendar(identity) or _shared(call, identity)
    if calendar is None:
        return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    spans = sorted(
        (when(event["start"], calendar.time_zone), when(event["end"], calendar.time_zone))
        for event in calendar.expanded()
        if event["status"] != "cancelled"
        and event.get("transparency") != "transparent"
        and overlaps(event, calendar.time_zone, low, high)
    )
    zone = _zone(call.body.get("timeZone") or "UTC")
    merged: list[list[datetime]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([max(start, low), min(end, high)])
    return {
        "busy": [{"start": _shown(a, zone), "end": _shown(min(b, high), zone)} for a, b in merged]
    }


def _shared(call: Call, identity: str) -> Calendar | None:
    """Colleagues see when each other's primary calendar is busy."""
    person = call.world.people.get(identity)
    return person.calendar("primary") if person else None


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat().replace("+00:00", "Z")


def _moment(value: str) -> datetime:
    at = datetime.fromisoformat(value.upper())
    if at.tzinfo is None:
        raise bad_request("Bad Request", "badRequest")
    return at


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as wrong:
        raise bad_request("Invalid time zone.", "invalidParameter") from wrong


def _entry(calendar: Calendar) -> dict[str, Any]:
    primary = {"primary": True} if calendar.primary else {}
    return {
        "kind": "calendar#calendarListEntry",
        "etag": '"1763899200000000"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "accessRole": calendar.role,
        "selected": True,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if calendar.primary else [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
        **primary,
    }
