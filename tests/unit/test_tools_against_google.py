"""The tools against the strict fake Google: what it refuses, Google's own API would refuse too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest

from tests.infra.google_support import SCOPE, fresh, grant
from tests.unit.tools_support import tool
from valet.models import Secret
from valet.tools.execute import execute
from valet.tools.provider import ProviderRequest, ProviderResponse
from valet.tools.scopes import least_scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

pytestmark = pytest.mark.enable_socket  # the test client's event loop makes a socket pair

USED = (
    "gmail_fetch_mails",
    "gmail_create_draft",
    "gmail_send_message",
    "gmail_modify_message_labels",
    "googlecalendar_list_calendars",
    "googlecalendar_create_event",
    "googlecalendar_query_freebusy",
)
WHEN = {"start_datetime": "2026-11-25T10:00", "timezone": "Europe/Berlin"}


class Google:
    """The port over the fake's test client."""

    def __init__(self, client: TestClient, scopes: str) -> None:
        self._client = client
        token = grant(client, scope=f"openid email {scopes}")["access_token"]
        self._token = Secret(token)

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {**dict(request.headers), "Authorization": f"Bearer {token.reveal()}"}
        body: Any = {} if request.json is None else {"json": request.json}
        answer = self._client.request(
            request.method, f"/{request.host}{request.path}{query}", headers=headers, **body
        )
        return ProviderResponse(answer.status_code, answer.json() if answer.content else None)

    def call(self, name: str, **arguments: Any) -> Any:
        result = execute(tool(name), arguments, self._token, self, call_key="k")
        assert not result.is_error, result.text
        assert jsonschema_rs.is_valid(dict(tool(name).output_schema), result.structured)
        return result.structured

    def code(self, name: str, **arguments: Any) -> str:
        return execute(tool(name), arguments, self._token, self, call_key="k").code


@pytest.fixture
def client() -> Iterator[TestClient]:
    with fresh() as made:
        yield made


@pytest.fixture
def google(client: TestClient) -> Google:
    return Google(client, " ".join(least_scopes(tool(name) for name in USED)))


def test_mails_are_listed_and_read(google: Google) -> None:
    found = google.call("gmail_fetch_mails", max_results=3, label_ids=["INBOX"])
    assert len(found["messages"]) == 3
    assert found["next_page_token"]
    first = found["messages"][0]
    assert {"id", "thread_id", "from", "subject", "date", "labels"} <= set(first)
    assert "body" not in first
    read = google.call("gmail_get_message_by_id", message_id=first["id"])["message"]
    assert read["subject"] == first["subject"]
    assert read["body"]
    thread = google.call("gmail_get_thread_by_id", thread_id=first["thread_id"])
    assert first["id"] in [shown["id"] for shown in thread["messages"]]
    assert google.call("gmail_list_threads", max_results=2)["threads"]


def test_attachments_are_read(google: Google) -> None:
    found = google.call("gmail_fetch_mails", query="has:attachment", format="full", max_results=5)
    mail = next(shown for shown in found["messages"] if shown.get("attachments"))
    listed = mail["attachments"][0]
    read = google.call(
        "gmail_get_attachment_by_id", message_id=mail["id"], attachment_id=listed["attachment_id"]
    )["attachment"]
    assert read["size"] == listed["size"]


def test_a_mail_is_sent_and_found_again(google: Google) -> None:
    sent = google.call(
        "gmail_send_mail", to="bob@example.com", subject="Grüße", body="Hä?\n", cc=["c@example.com"]
    )
    shown = google.call("gmail_get_message_by_id", message_id=sent["id"])["message"]
    assert (shown["subject"], shown["body"]) == ("Grüße", "Hä?")
    assert "SENT" in shown["labels"]


def test_a_draft_is_made_listed_and_sent(google: Google) -> None:
    draft = google.call("gmail_create_draft", to="bob@example.com", subject="D", body="b")
    listed = google.call("gmail_list_drafts")["drafts"]
    shown = next(item for item in listed if item["draft_id"] == draft["draft_id"])
    assert shown["message"]["subject"] == "D"
    google.call("gmail_send_draft", draft_id=draft["draft_id"])
    assert google.code("gmail_get_draft", draft_id=draft["draft_id"]) == "not_found"


def test_an_event_is_made_changed_and_deleted(google: Google) -> None:
    made = google.call(
        "googlecalendar_create_event",
        summary="Lunch",
        **WHEN,
        event_duration_minutes=45,
        attendees_emails=["bob@example.com"],
        create_meeting_room=True,
    )["event"]
    assert made["end"].startswith("2026-11-25T10:45:00")
    again = google.call(
        "googlecalendar_create_event",
        summary="Lunch",
        **WHEN,
        event_duration_minutes=45,
        attendees_emails=["bob@example.com"],
        create_meeting_room=True,
    )["event"]
    assert again["id"] == made["id"]
    changed = google.call(
        "googlecalendar_update_event",
        event_id=made["id"],
        start_datetime="2026-11-25T12:00",
        attendees_emails=["bob@example.com", "carol@example.com"],
    )["event"]
    assert changed["start"].startswith("2026-11-25T12:00:00")
    assert changed["end"].startswith("2026-11-25T12:45:00")
    assert len(changed["attendees"]) == 2
    google.call("googlecalendar_delete_event", event_id=made["id"])
    google.call("googlecalendar_delete_event", event_id=made["id"])


def test_events_and_calendars_are_listed(google: Google) -> None:
    assert any(
        shown.get("primary") for shown in google.call("googlecalendar_list_calendars")["calendars"]
    )
    google.call("googlecalendar_create_event", summary="Tea", **WHEN)
    span = {"time_min": "2026-11-25T00:00:00Z", "time_max": "2026-11-26T00:00:00Z"}
    listed = google.call("googlecalendar_list_events", **span)["events"]
    tea = next(shown for shown in listed if shown["summary"] == "Tea")
    event = google.call("googlecalendar_get_event_by_id", event_id=tea["id"])["event"]
    assert event["start"] == tea["start"]


def test_an_all_day_event_becomes_a_timed_one(google: Google) -> None:
    made = google.call("googlecalendar_create_event", summary="Trip", start_datetime="2026-11-25")
    assert made["event"]["end"] == "2026-11-26"
    moved = google.call(
        "googlecalendar_update_event",
        event_id=made["event"]["id"],
        **WHEN,
        end_datetime="2026-11-25T11:00",
    )["event"]
    assert moved["start"].startswith("2026-11-25T10:00:00")


def test_a_grant_that_is_too_small_is_told_apart(client: TestClient) -> None:
    google = Google(client, SCOPE + "gmail.readonly")
    arguments = {"to": "bob@example.com", "subject": "s", "body": "b"}
    assert google.code("gmail_send_message", **arguments) == "missing_scope"
    assert google.code("googlecalendar_list_events") == "missing_scope"


def test_what_is_not_there_is_not_found(google: Google) -> None:
    assert google.code("gmail_get_message_by_id", message_id="dead") == "not_found"
    assert (
        google.code("googlecalendar_update_event", event_id="nothere", summary="x") == "not_found"
    )
