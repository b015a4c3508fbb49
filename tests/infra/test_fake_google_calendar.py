"""The fake Calendar behaves as Google's does, traps included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.google_support import (
    EVENTS,
    SCOPE,
    SLOT,
    Json,
    fresh,
    reason,
    signed_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient


@pytest.fixture
def google() -> Iterator[TestClient]:
    with fresh() as client:
        yield signed_in(client)


def insert(google: TestClient, **change: Any) -> Any:
    return google.post(EVENTS, json={"summary": "Call", **SLOT, **change})


def test_an_id_of_the_clients_own_makes_a_second_insert_a_duplicate(google: TestClient) -> None:
    assert insert(google, id="mvalet0001").status_code == 200
    again = insert(google, id="mvalet0001")
    assert (again.status_code, reason(again)) == (409, "duplicate")
    assert insert(google, id="NOT-BASE32HEX").status_code == 400


def test_a_deleted_event_stays_gone_and_keeps_its_id(google: TestClient) -> None:
    insert(google, id="mvalet0002")
    path = f"{EVENTS}/mvalet0002"
    assert google.delete(path).status_code == 204
    second = google.delete(path)
    assert (second.status_code, reason(second)) == (410, "deleted")
    assert google.get(path).json()["status"] == "cancelled"
    assert insert(google, id="mvalet0002").status_code == 409
    assert google.delete(f"{EVENTS}/neverthere").status_code == 404


def test_a_write_on_an_old_etag_is_refused(google: TestClient) -> None:
    event = insert(google).json()
    path, match = f"{EVENTS}/{event['id']}", {"if-match": event["etag"]}
    changed = google.patch(path, json={"location": "Room 2"}, headers=match)
    assert changed.json()["summary"] == "Call"
    stale = google.patch(path, json={"location": "Room 3"}, headers=match)
    assert (stale.status_code, reason(stale)) == (412, "conditionNotMet")


def test_a_patch_merges_objects_and_replaces_arrays(google: TestClient) -> None:
    people = [{"email": "bob@example.com"}, {"email": "carol@example.org"}]
    event = insert(google, attendees=people, location="Here").json()
    change = {"attendees": people[:1], "start": {"timeZone": "Europe/Berlin"}, "location": None}
    changed = google.patch(f"{EVENTS}/{event['id']}", json=change).json()
    assert [each["email"] for each in changed["attendees"]] == ["bob@example.com"]
    assert changed["start"]["dateTime"] == SLOT["start"]["dateTime"]
    assert "location" not in changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"end": {"dateTime": "2026-11-25T09:00:00Z"}}, "timeRangeEmpty"),
        ({"start": {"date": "2026-11-25"}, "end": {"date": "2026-11-25"}}, "timeRangeEmpty"),
        ({"start": {"date": "2026-11-25"}}, "invalid"),
        ({"start": {"dateTime": "2026-11-25T10:00:00"}}, "required"),
        ({"recurrence": ["RRULE:FREQ=DAILY"]}, "required"),
        ({"attendees": [{"email": "not an address"}]}, "invalid"),
        ({"end": None}, "required"),
    ],
)
def test_an_event_that_cannot_be_is_refused(google: TestClient, change: Json, why: str) -> None:
    answer = insert(google, **change)
    assert (answer.status_code, reason(answer)) == (400, why)


def test_recurring_events_expand_and_one_instance_changes_alone(google: TestClient) -> None:
    window = {
        "singleEvents": "true",
        "orderBy": "startTime",
        "q": "stand-up",
        "timeMin": "2026-11-23T00:00:00Z",
        "timeMax": "2026-11-28T00:00:00Z",
    }
    days = google.get(EVENTS, params=window).json()["items"]
    assert len(days) == 5
    google.patch(f"{EVENTS}/{days[1]['id']}", json={"location": "Kitchen"})
    google.delete(f"{EVENTS}/{days[2]['id']}")
    after = google.get(EVENTS, params=window).json()["items"]
    assert [each.get("location") for each in after] == [None, "Kitchen", None, None]


def test_a_meeting_link_is_made_only_when_the_client_knows_of_conferences(
    google: TestClient,
) -> None:
    wish = {"conferenceData": {"createRequest": {"requestId": "r1"}}}
    assert "hangoutLink" not in insert(google, **wish).json()
    made = google.post(f"{EVENTS}?conferenceDataVersion=1", json={**SLOT, **wish}).json()
    assert made["hangoutLink"].startswith("https://meet.google.com/")


def test_nobody_is_invited_unless_asked(google: TestClient) -> None:
    people = {"attendees": [{"email": "bob@example.com"}]}
    insert(google, **people)
    assert google.get("/_test/state").json()["invitations"] == []
    google.post(f"{EVENTS}?sendUpdates=all", json={**SLOT, **people})
    assert len(google.get("/_test/state").json()["invitations"]) == 1


def test_a_calendar_that_is_only_readable_takes_no_events(google: TestClient) -> None:
    signed_in(google, "bob@example.com")
    holidays = "en.uk%23holiday%40group.v.calendar.google.com"
    path = EVENTS.replace("primary", holidays)
    assert len(google.get(path).json()["items"]) == 2
    assert reason(google.post(path, json=SLOT)) == "requiredAccessLevel"


def test_free_busy_merges_spans_and_names_unknown_calendars(google: TestClient) -> None:
    ask = {
        "timeMin": "2026-11-24T00:00:00Z",
        "timeMax": "2026-11-25T00:00:00Z",
        "items": [{"id": "primary"}, {"id": "nobody@example.org"}],
    }
    answer = google.post("/www.googleapis.com/calendar/v3/freeBusy", json=ask).json()["calendars"]
    assert answer["primary"]["busy"][0]["start"] == "2026-11-24T08:30:00Z"
    assert answer["nobody@example.org"]["errors"][0]["reason"] == "notFound"
    signed_in(google, scope=SCOPE + "calendar.events")
    assert google.post("/www.googleapis.com/calendar/v3/freeBusy", json=ask).status_code == 403
