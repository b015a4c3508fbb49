"""Arguments are checked before anything else; an agent can act on every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.tools_support import call, tool
from valet.tools.arguments import check_arguments
from valet.tools.results import InvalidArguments

MAIL = {"to": "a@x.com", "subject": "s", "body": "b"}
EVENT = {"summary": "s", "start_datetime": "2026-01-31T09:00:00Z"}


def refusal(name: str, arguments: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        check_arguments(tool(name), arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gmail_get_message_by_id", {}, "message_id: is required."),
        ("gmail_fetch_mails", {"max_results": 51}, "max_results: expected integer of at least 1,"),
        ("gmail_fetch_mails", {"max_results": "5"}, "max_results: expected integer"),
        ("gmail_fetch_mails", {"max_results": True}, "max_results: expected integer"),
        ("gmail_fetch_mails", {"format": "raw"}, "format: expected one of full, metadata, minimal"),
        ("gmail_fetch_mails", {"label_ids": ["INBOX", "a/b"]}, "label_ids[1]: expected string"),
        ("gmail_fetch_mails", {"qery": "x"}, "qery: no such argument; did you mean query?"),
        ("gmail_send_message", {**MAIL, "to": 5}, "to: expected string of at most 320"),
        ("gmail_send_message", {**MAIL, "content_type": "text/x"}, "content_type: expected one"),
        ("googlecalendar_create_event", {**EVENT, "send_updates": True}, "send_updates: expected"),
        ("googlecalendar_create_event", {**EVENT, "timezone": "a b"}, "timezone: expected string"),
        (
            "googlecalendar_create_event",
            {**EVENT, "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]},
            "timezone: is required together with recurrence.",
        ),
    ],
)
def test_a_refusal_names_the_argument_and_what_is_expected(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    assert refusal(name, arguments).startswith(message)


@pytest.mark.parametrize(
    "name", ["user_id", "userId", "connection_id", "connection", "access_token"]
)
def test_nobody_can_say_in_an_argument_who_they_are(name: str) -> None:
    result, provider = call("gmail_get_message_by_id", {"message_id": "1a", name: "someone-else"})
    assert result.code == "invalid_arguments"
    assert name in result.text
    assert provider.sent == []


def test_a_long_value_is_not_repeated() -> None:
    secret = "correct horse battery staple " * 1_000
    message = refusal("gmail_get_message_by_id", {"message_id": secret})
    assert "horse" not in message
    assert len(message) < 300


def test_a_long_unknown_name_is_cut() -> None:
    assert len(refusal("gmail_get_message_by_id", {"message_id": "1", "x" * 5_000: 1})) < 300


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\x9b", "\ud800"])
@pytest.mark.parametrize("name", ["query", "page_token"])
def test_controls_and_lone_surrogates_are_refused_everywhere(name: str, bad: str) -> None:
    assert name in refusal("gmail_fetch_mails", {name: f"a{bad}b"})


def test_controls_are_refused_in_names_and_lists_too() -> None:
    assert "name" in refusal("gmail_fetch_mails", {"a\x00": 1})
    assert "label_ids[0]" in refusal("gmail_fetch_mails", {"label_ids": ["\ud800"]})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e400])
def test_numbers_that_json_has_not_are_refused(bad: float) -> None:
    assert "finite" in refusal("gmail_fetch_mails", {"max_results": bad})


def test_deep_nesting_is_refused_without_recursion() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    assert "nested too deeply" in refusal("gmail_fetch_mails", {"query": deep})
    while isinstance(deep, list):  # unwound by hand: freeing it nested would recurse
        deep = deep.pop()


def test_a_flood_of_values_is_refused() -> None:
    assert "too many values" in refusal("gmail_fetch_mails", {"label_ids": ["A"] * 6_000})


def test_defaults_fill_what_was_left_out_and_nothing_else() -> None:
    given = {"query": "is:unread", "max_results": 3}
    assert check_arguments(tool("gmail_fetch_mails"), given) == {
        "query": "is:unread",
        "max_results": 3,
        "format": "metadata",
        "include_spam_trash": False,
    }
    assert given == {"query": "is:unread", "max_results": 3}


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=DAILY",  # unbounded
        "RRULE:FREQ=SECONDLY;COUNT=5",
        "RRULE:FREQ=DAILY;COUNT=0",
        "RRULE:FREQ=DAILY;COUNT=1000",
        "RRULE:FREQ=WEEKLY;COUNT=5\r\nDTSTART:20260101",
        "RRULE:FREQ=WEEKLY;COUNT=5\nATTENDEE:mailto:evil@y.com",
        "DTSTART:20260101T000000Z",
        "DTEND:20260101T000000Z",
        "FREQ=WEEKLY;COUNT=5",
        "rrule:freq=weekly;count=5",
        "EXDATE",
        "",
    ],
)
def test_a_recurrence_line_of_another_kind_or_without_end_is_refused(line: str) -> None:
    event = {**EVENT, "timezone": "Europe/Paris", "recurrence": [line]}
    assert refusal("googlecalendar_create_event", event).startswith("recurrence[0]: expected")


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=WEEKLY;COUNT=10",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20261231T235959Z",
        "RRULE:FREQ=MONTHLY;UNTIL=20261231;BYDAY=-1FR",
        "EXDATE;TZID=Europe/Paris:20260105T090000",
    ],
)
def test_a_bounded_recurrence_line_is_taken(line: str) -> None:
    event = {**EVENT, "timezone": "Europe/Paris", "recurrence": [line]}
    assert check_arguments(tool("googlecalendar_create_event"), event)["recurrence"] == [line]


@pytest.mark.parametrize("email", ["a@x.com,b@y.com", "A <a@x.com>", "a", "a@x.com\n", "a b@x.com"])
def test_an_attendee_is_one_plain_address(email: str) -> None:
    event = {**EVENT, "attendees_emails": [email]}
    assert refusal("googlecalendar_create_event", event).startswith("attendees_emails[0]: expected")


def test_attendees_are_limited() -> None:
    event = {**EVENT, "attendees_emails": [f"a{i}@x.com" for i in range(51)]}
    assert "at most 50 items" in refusal("googlecalendar_create_event", event)


def test_a_description_is_limited() -> None:
    event = {**EVENT, "description": "x" * 8_193}
    assert "at most 8192 characters" in refusal("googlecalendar_create_event", event)
