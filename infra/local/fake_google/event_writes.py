"""Google Calendar: writing events, with ids, etags and conferences as Google treats them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from .calendar import calendar_of, event_of, resource, stamp
from .call import Call, Json, handles
from .errors import ApiError
from .event_rules import check_event, check_id

if TYPE_CHECKING:
    from .diary import Calendar, Event
    from .world import Person, World

# Google sets these; what a client writes there is ignored.
_GOOGLES = (
    "kind", "etag", "created", "updated", "creator", "organizer", "htmlLink", "iCalUID",
    "hangoutLink", "recurringEventId", "originalStartTime", "sequence",
)  # fmt: skip
_ALPHABET = "abcdefghijkmnopqrstuvwxyz"


@handles("calendar.events.insert")
def insert_event(call: Call) -> Json:
    calendar = _writable(call)
    identity = call.body.get("id")
    if identity is None:
        identity = f"e{call.world.next_id()}"
    check_id(identity)
    if identity in calendar.events:
        # Cancelled events keep their ids.
        raise ApiError(409, "duplicate", "The requested identifier already exists.")
    event = new_event(call.world, call.person, calendar, {**_plain(_given(call)), "id": identity})
    _confer(call, event, None)
    return _store(call, calendar, event)


@handles("calendar.events.patch")
def patch_event(call: Call) -> Json:
    """Objects merge, arrays are replaced, null removes."""
    calendar = _writable(call)
    old = event_of(call, calendar)
    _check_match(call, old)
    return _change(call, calendar, old, _plain(_merged(old, _given(call))))


@handles("calendar.events.update")
def update_event(call: Call) -> Json:
    """Replaces all that is a client's to set."""
    calendar = _writable(call)
    old = event_of(call, calendar)
    _check_match(call, old)
    kept = {name: old[name] for name in (*_GOOGLES, "id", "eventType") if name in old}
    return _change(call, calendar, old, {"status": "confirmed", **_plain(_given(call)), **kept})


@handles("calendar.events.delete")
def delete_event(call: Call) -> None:
    calendar = _writable(call)
    event = event_of(call, calendar)
    if event["status"] == "cancelled":
        raise ApiError(410, "deleted", "Resource has been deleted")
    _check_match(call, event)
    for each in list(calendar.events.values()):
        if each.get("recurringEventId") == event["id"]:
            each["status"] = "cancelled"
    _store(call, calendar, {**event, "status": "cancelled"})


def new_event(world: World, person: Person, calendar: Calendar, given: Event) -> Event:
    """An event with everything that Google adds; not yet checked, nor in the calendar."""
    at = stamp(world.tick())
    me = {"email": person.email, "self": True}
    shared = {"email": calendar.id, "displayName": calendar.summary, "self": True}
    return {
        "status": "confirmed",
        "eventType": "default",
        "reminders": {"useDefault": True},
        **given,
        "kind": "calendar#event",
        "created": at,
        "updated": at,
        "etag": _etag(given["id"], at),
        "creator": me,
        "organizer": me if calendar.primary else shared,
        "htmlLink": f"https://www.google.com/calendar/event?eid={given['id']}",
        "iCalUID": f"{given['id']}@google.com",
        "sequence": 0,
    }


def _writable(call: Call) -> Calendar:
    calendar = calendar_of(call)
    if not calendar.writable:
        said = "You need to have writer access to this calendar."
        raise ApiError(403, "requiredAccessLevel", said)
    return calendar


def _given(call: Call) -> Event:
    return {name: value for name, value in call.body.items() if name not in _GOOGLES}


def _check_match(call: Call, event: Event) -> None:
    wanted = call.headers.get("if-match")
    if wanted and wanted != "*" and wanted != event["etag"]:
        raise ApiError(412, "conditionNotMet", "Precondition Failed")


def _change(call: Call, calendar: Calendar, old: Event, new: Event) -> Json:
    new["id"] = old["id"]
    if (old["start"], old["end"]) != (new.get("start"), new.get("end")):
        new["sequence"] = old["sequence"] + 1
    if new.get("conferenceData") != old.get("conferenceData"):
        _confer(call, new, old.get("conferenceData"))
    return _store(call, calendar, new)


def _store(call: Call, calendar: Calendar, event: Event) -> Json:
    check_event(event, calendar.time_zone)
    at = stamp(call.world.tick())
    event = {**event, "updated": at, "etag": _etag(event["id"], at)}
    for attendee in event.get("attendees", ()):
        attendee.setdefault("responseStatus", "needsAction")
    calendar.events[event["id"]] = event
    _invite(call, event)
    return resource(call, calendar, event)


def _invite(call: Call, event: Event) -> None:
    """Keeps who would have got mail, so that a test can see that nobody did."""
    people = [each["email"] for each in event.get("attendees", ())]
    if people and call.params.get("sendUpdates", "none") != "none":
        row = {"event": event["id"], "status": event["status"], "to": people}
        call.world.invitations.append({**row, "sendUpdates": call.params["sendUpdates"]})


def _confer(call: Call, event: Event, old: Json | None) -> None:
    """A conference changes only if the client says that it knows of them."""
    request = event.get("conferenceData", {}).get("createRequest")
    if call.params.get("conferenceDataVersion", 0) != 1:
        event["conferenceData"] = old
    if not event.get("conferenceData"):
        event.pop("conferenceData", None)
        event.pop("hangoutLink", None)
        return
    if not request or event["conferenceData"] is old:
        return
    if not request.get("requestId"):
        raise ApiError(400, "invalid", "Invalid conference create request.")
    code = _meeting_code(event["id"] + request["requestId"])
    link = f"https://meet.google.com/{code}"
    event["hangoutLink"] = link
    event["conferenceData"] = {
        "createRequest": {
            "requestId": request["requestId"],
            "conferenceSolutionKey": {"type": "hangoutsMeet"},
            "status": {"statusCode": "success"},
        },
        "entryPoints": [{"entryPointType": "video", "uri": link, "label": link[8:]}],
        "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
        "conferenceId": code,
    }


def _meeting_code(seed: str) -> str:
    letters = "".join(_ALPHABET[n % 25] for n in hashlib.sha256(seed.encode()).digest()[:10])
    return f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"


def _merged(old: Any, change: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(change, dict):
        return change
    out = dict(old)
    for name, value in change.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = _merged(out.get(name, {}), value)
    return out


def _plain(value: Any) -> Any:
    """Without nulls: a null is an absent value."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return value


def _etag(identity: str, at: str) -> str:
    digest = hashlib.sha256(f"{identity}{at}".encode()).hexdigest()
    return f'"{int(digest[:13], 16)}"'
