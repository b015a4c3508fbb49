"""What a tool shows of a Gmail message, however the message is made."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.tools_support import call
from valet.connectors.gmail.views import MAX_ATTACHMENT_BYTES, attachment, message


def data(text: str | bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def part(kind: str, text: str | bytes = "", **more: Any) -> dict[str, Any]:
    return {"mimeType": kind, "body": {"data": data(text)}, **more}


def multipart(*parts: Any, kind: str = "multipart/mixed") -> dict[str, Any]:
    return {"mimeType": kind, "parts": list(parts)}


def mail(payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "1a", "threadId": "1b", "payload": payload, **more}


def body_of(payload: dict[str, Any]) -> str:
    return str(message(mail(payload), {"format": "full"}).get("body", ""))


def test_a_message_is_small_and_complete() -> None:
    payload = multipart(
        multipart(
            part("text/plain", "Hello"),
            part("text/html", "<p>Hello</p>"),
            kind="multipart/alternative",
        ),
        {
            "mimeType": "application/pdf",
            "filename": "a.pdf",
            "body": {"attachmentId": "ANGj", "size": 7},
        },
    ) | {
        "headers": [
            {"name": "From", "value": "Ann <ann@example.com>"},
            {"name": "TO", "value": "bob@example.com"},
            {"name": "Subject", "value": "Hi"},
            {"name": "Message-ID", "value": "<1@example.com>"},
            {"name": "Received", "value": "by mx"},
        ]
    }
    source = mail(
        payload,
        labelIds=["INBOX", "UNREAD"],
        snippet="Hello &amp; more\u200b",
        internalDate="1769850000000",
        historyId="9",
    )
    assert message(source, {"format": "full"}) == {
        "id": "1a",
        "thread_id": "1b",
        "from": "Ann <ann@example.com>",
        "to": "bob@example.com",
        "subject": "Hi",
        "message_id_header": "<1@example.com>",
        "date": "2026-01-31T09:00:00Z",
        "snippet": "Hello & more",
        "labels": ["INBOX", "UNREAD"],
        "attachments": [
            {
                "attachment_id": "ANGj",
                "file_name": "a.pdf",
                "mime_type": "application/pdf",
                "size": 7,
            }
        ],
        "body": "Hello",
    }


@pytest.mark.parametrize("chosen", ["metadata", "minimal"])
def test_a_body_is_shown_only_when_asked_for(chosen: str) -> None:
    assert "body" not in message(mail(part("text/plain", "Hello")), {"format": chosen})


def test_html_is_read_when_there_is_no_plain_text() -> None:
    assert body_of(part("text/html", "<p>Hi<span hidden>EVIL</span></p>")) == "Hi"


def test_a_blank_plain_part_gives_way_to_html() -> None:
    payload = multipart(part("text/plain", " \n\u200b"), part("text/html", "<b>Hi</b>"))
    assert body_of(payload) == "Hi"


def test_an_attached_text_is_not_taken_for_the_body() -> None:
    payload = multipart(part("text/plain", "Hi"), part("text/plain", "EVIL", filename="a.txt"))
    assert body_of(payload) == "Hi"


def test_a_thousand_nested_parts_are_read_to_a_depth_and_no_further() -> None:
    payload = part("text/plain", "deep")
    for _ in range(1_000):
        payload = multipart(payload)
    assert body_of(multipart(part("text/plain", "Hi"), payload)) == "Hi"


def test_ten_thousand_parts_are_read_to_a_number_and_no_further() -> None:
    source = mail(multipart(*[part("text/plain", "x", filename="f")] * 10_000))
    assert len(message(source, {})["attachments"]) == 50


@pytest.mark.parametrize(
    ("charset", "content", "shown"),
    [
        ("utf-8", "ü".encode(), "ü"),
        ("iso-8859-1", "ü".encode("latin-1"), "ü"),
        ("windows-1252", "€".encode("cp1252"), "€"),
        ("nonsense", b"\xff", "\ufffd"),
        ("unicode_escape", b"\xff\\n", "\ufffd\\n"),
        ("hex", b"\xff", "\ufffd"),
    ],
)
def test_charsets_are_read_and_unknown_ones_lose_text_only(
    charset: str, content: bytes, shown: str
) -> None:
    header = {"name": "Content-Type", "value": f'text/plain; charset="{charset}"'}
    assert body_of(part("text/plain", content, headers=[header])) == shown


@pytest.mark.parametrize("broken", ["a", "!!!!", "Zm9v\n", 5, None, "ü", {"a": 1}])
def test_broken_base64_is_no_error(broken: Any) -> None:
    message(mail({"mimeType": "text/plain", "body": {"data": broken}}), {"format": "full"})


@pytest.mark.parametrize(
    "payload",
    [
        None,
        5,
        [],
        {"headers": {"name": "From"}},
        {"headers": [None, {"name": 5, "value": 5}, {"value": "x"}]},
        {"parts": [None, 5, {"parts": "x", "body": [], "mimeType": 5}]},
    ],
)
def test_an_odd_message_is_shown_as_far_as_it_goes(payload: Any) -> None:
    source = {"id": "1a", "payload": payload, "internalDate": "x", "snippet": 5, "labelIds": None}
    assert message(source, {"format": "full"}) == {"id": "1a"}


def test_headers_are_decoded_and_cleaned() -> None:
    headers = [
        {"name": "From", "value": "=?utf-8?q?J=C3=B6rg?= <j@x.com>"},
        {"name": "From", "value": "boss@example.com"},
        {"name": "Subject", "value": "a\u202eb\r\nc"},
    ]
    shown = message(mail({"headers": headers}), {})
    assert shown["from"] == "Jörg <j@x.com>"
    assert shown["subject"] == "ab\nc"


@pytest.mark.parametrize(
    "value", ["=?utf-8?b?!!!?=", "=?nonsense?q?x?=", "=?utf-8?q?=FF?=", "=?hex?b?eA==?="]
)
def test_a_broken_encoded_word_is_no_error(value: str) -> None:
    message(mail({"headers": [{"name": "Subject", "value": value}]}), {})


def test_a_long_body_is_cut_and_says_so() -> None:
    shown = message(mail(part("text/plain", "ü" * 100_000)), {"format": "full"})
    assert len(shown["body"].encode()) == 60_000
    assert shown["body_truncated"] is True


def test_a_text_attachment_is_shown_as_text() -> None:
    shown = attachment({"data": data("a,b\n1,2")}, {"attachment_id": "A", "file_name": "a.csv"})
    assert shown == {"attachment_id": "A", "file_name": "a.csv", "size": 7, "text": "a,b\n1,2"}


def test_another_attachment_is_shown_as_base64() -> None:
    content = bytes(range(256))
    shown = attachment({"data": data(content)}, {"attachment_id": "A"})
    assert base64.b64decode(shown["data_base64"]) == content


def test_a_large_attachment_is_left_out_rather_than_cut() -> None:
    content = b"\xff" * (MAX_ATTACHMENT_BYTES + 1)
    shown = attachment({"data": data(content)}, {"attachment_id": "A"})
    assert shown == {"attachment_id": "A", "size": len(content), "truncated": True}


def test_a_thread_shows_its_mails_in_order() -> None:
    source = {"id": "1b", "messages": [mail(part("text/plain", text)) for text in ("one", "two")]}
    result, _ = call("gmail_get_thread_by_id", {"thread_id": "1b"}, source)
    assert result.structured
    assert [shown["body"] for shown in result.structured["messages"]] == ["one", "two"]
