"""The fake Gmail behaves as Gmail does, traps included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.google_support import (
    MAIL,
    SCOPE,
    Json,
    decode,
    fresh,
    raw,
    signed_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient


@pytest.fixture
def google() -> Iterator[TestClient]:
    with fresh() as client:
        yield signed_in(client)


def found(google: TestClient, query: str) -> list[Json]:
    answer = google.get(MAIL + "/messages", params={"q": query}).json()
    return list(answer.get("messages", []))


def read(google: TestClient, query: str) -> Json:
    """The one message that a query finds, in full."""
    (only,) = found(google, query)
    return dict(google.get(f"{MAIL}/messages/{only['id']}").json())


def header(mail: Json, name: str) -> str:
    values = [each["value"] for each in mail["payload"]["headers"] if each["name"] == name]
    return str(values[0]) if values else ""


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 7),
        ("is:unread", 3),
        ("from:bob", 2),
        ("subject:lisbon -from:bob", 1),
        ("has:attachment", 1),
        ("newer_than:2d", 2),
        ("before:2026/11/19", 2),
        ('"pour-over"', 1),
        ("{from:billing from:carol}", 2),
        ("from:billing OR from:carol", 2),
        ("in:trash", 0),
        ("label:travel", 2),
        ("rfc822msgid:invoice.seed@mail.example", 1),
    ],
)
def test_a_search_finds_what_it_says(google: TestClient, query: str, count: int) -> None:
    assert len(found(google, query)) == count


def test_an_empty_list_has_no_list(google: TestClient) -> None:
    answer = google.get(MAIL + "/messages", params={"q": "nothinglikethis"}).json()
    assert answer == {"resultSizeEstimate": 0}


def test_pages_follow_their_token_and_the_token_its_query(google: TestClient) -> None:
    first = google.get(MAIL + "/messages?maxResults=4").json()
    token = first["nextPageToken"]
    second = google.get(f"{MAIL}/messages?maxResults=4&pageToken={token}").json()
    ids = {each["id"] for each in first["messages"] + second["messages"]}
    assert len(ids) == 7
    assert "nextPageToken" not in second
    assert google.get(f"{MAIL}/messages?q=lisbon&pageToken={token}").status_code == 400


def test_an_html_mail_has_no_plain_part(google: TestClient) -> None:
    mail = read(google, "from:brewlab")
    assert mail["payload"]["mimeType"] == "text/html"
    assert b"<h1>" in decode(mail["payload"]["body"]["data"])


def test_both_alternatives_come_as_base64url_parts(google: TestClient) -> None:
    parts = read(google, "from:carol")["payload"]["parts"]
    assert [part["mimeType"] for part in parts] == ["text/plain", "text/html"]
    assert b"progress bar" in decode(parts[0]["body"]["data"])


def test_an_attachment_is_named_in_the_mail_and_fetched_by_its_id(google: TestClient) -> None:
    mail = read(google, "has:attachment")
    part = mail["payload"]["parts"][1]
    assert (part["filename"], "data" in part["body"]) == ("invoice-2026-1187.csv", False)
    path = f"{MAIL}/messages/{mail['id']}/attachments/{part['body']['attachmentId']}"
    assert b"Toner" in decode(google.get(path).json()["data"])


def test_metadata_carries_only_the_headers_that_were_asked_for(google: TestClient) -> None:
    (only,) = found(google, "from:billing")
    path = f"{MAIL}/messages/{only['id']}?format=metadata&metadataHeaders=subject"
    payload = google.get(path).json()["payload"]
    assert [each["name"] for each in payload["headers"]] == ["Subject"]
    assert "parts" not in payload


def test_the_metadata_scope_can_neither_search_nor_read_bodies(google: TestClient) -> None:
    signed_in(google, scope=SCOPE + "gmail.metadata")
    (newest, *_) = google.get(MAIL + "/messages").json()["messages"]
    assert google.get(MAIL + "/messages?q=lisbon").status_code == 403
    assert google.get(f"{MAIL}/messages/{newest['id']}").status_code == 403
    assert google.get(f"{MAIL}/messages/{newest['id']}?format=metadata").status_code == 200


def test_partial_answers_carry_the_selected_fields(google: TestClient) -> None:
    answer = google.get(MAIL + "/messages?fields=messages(threadId)").json()
    assert set(answer) == {"messages"}
    assert set(answer["messages"][0]) == {"threadId"}
    assert google.get(MAIL + "/messages?fields=messages(").status_code == 400


def test_a_sent_mail_is_delivered_with_a_new_message_id_and_the_true_sender(
    google: TestClient,
) -> None:
    mail = raw(subject="Plan", Message_ID="<mine@x.example>", From="ceo@example.com")
    sent = google.post(MAIL + "/messages/send", json={"raw": mail}).json()
    assert sent["labelIds"] == ["SENT"]
    signed_in(google, "bob@example.com")
    got = read(google, "subject:plan")
    assert set(got["labelIds"]) == {"INBOX", "UNREAD"}
    assert header(got, "From") == "Alice Archer <alice@example.com>"
    assert header(got, "Message-ID").endswith("@mail.gmail.com>")


def test_bcc_recipients_get_the_mail_and_nobody_sees_them(google: TestClient) -> None:
    google.post(
        MAIL + "/messages/send", json={"raw": raw("x@example.org", "Shh", Bcc="bob@example.com")}
    )
    signed_in(google, "bob@example.com")
    assert header(read(google, "subject:shh"), "Bcc") == ""


def test_mail_without_recipients_is_refused(google: TestClient) -> None:
    answer = google.post(MAIL + "/messages/send", json={"raw": raw("")})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Recipient address required"


def test_a_reply_joins_its_thread_only_with_the_right_headers(google: TestClient) -> None:
    mail = read(google, "from:bob is:unread")
    thread = mail["threadId"]
    stray = {"raw": raw(subject="Re: Lisbon trip in December"), "threadId": thread}
    assert google.post(MAIL + "/messages/send", json=stray).json()["threadId"] != thread
    reply = raw(subject="Re: Lisbon trip in December", In_Reply_To=header(mail, "Message-ID"))
    answer = google.post(MAIL + "/messages/send", json={"raw": reply, "threadId": thread})
    assert answer.json()["threadId"] == thread
    assert len(google.get(f"{MAIL}/threads/{thread}").json()["messages"]) == 4


def test_sending_a_draft_deletes_it(google: TestClient) -> None:
    draft = google.post(MAIL + "/drafts", json={"message": {"raw": raw(subject="Soon")}}).json()
    assert draft["message"]["labelIds"] == ["DRAFT"]
    path = f"{MAIL}/drafts/{draft['id']}"
    assert google.get(path).status_code == 200
    sent = google.post(MAIL + "/drafts/send", json={"id": draft["id"]}).json()
    assert sent["labelIds"] == ["SENT"]
    assert google.get(path).status_code == 404
    assert len(found(google, "subject:soon")) == 1


def test_trash_hides_a_mail_until_it_is_asked_for(google: TestClient) -> None:
    (only,) = found(google, "from:billing")
    google.post(f"{MAIL}/messages/{only['id']}/trash")
    assert found(google, "from:billing") == []
    assert found(google, "from:billing in:trash") == [only]
    google.post(f"{MAIL}/messages/{only['id']}/untrash")
    assert found(google, "from:billing") == [only]
    assert found(google, "from:billing in:inbox") == []


def test_labels_change_and_unknown_ones_are_refused(google: TestClient) -> None:
    (only,) = found(google, "from:billing")
    path = f"{MAIL}/messages/{only['id']}/modify"
    answer = google.post(path, json={"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]})
    assert set(answer.json()["labelIds"]) == {"INBOX", "CATEGORY_UPDATES", "STARRED"}
    assert google.post(path, json={"addLabelIds": ["Label_9"]}).status_code == 400
    assert google.post(path, json={"addLabelIds": ["SENT"]}).status_code == 400
