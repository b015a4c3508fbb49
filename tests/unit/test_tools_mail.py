"""Outgoing mail: exactly the recipients that were asked for, and nothing smuggled in."""

from __future__ import annotations

import base64
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest

from tests.unit.tools_support import call
from valet.tools.mail import build_mail, parse_address
from valet.tools.results import InvalidArguments

PLAIN = {"to": "ann@example.com", "subject": "Hello", "body": "Hi"}
SENT = {"id": "1a", "threadId": "1a"}


def sent(**fields: Any) -> Any:
    raw = build_mail({**PLAIN, **fields})
    return message_from_bytes(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)), policy=SMTP)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  ann@example.com ", "ann@example.com"),
        ("Ann <ann@example.com>", "ann@example.com"),
        ('"Ann B." <ann+x@example.co.uk>', "ann+x@example.co.uk"),
        ("Jörg <j@bücher.example>", "j@xn--bcher-kva.example"),
    ],
)
def test_one_address_is_taken_with_or_without_a_name(given: str, address: str) -> None:
    assert parse_address("to", given).addr_spec == address


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@localhost",
        "ann@-",
        "ann@@example.com",
        "a@x.com, evil@y.com",
        "a@x.com,evil@y.com",
        "a@x.com;evil@y.com",
        "a@x.com evil@y.com",
        "evil@y.com <a@x.com>",
        '"evil@y.com," <a@x.com>',
        "<a@x.com> evil@y.com",
        "<a@x.com>, <evil@y.com>",
        "a@x.com (evil@y.com)",
        "a@x.com <evil@y.com>",
        "friends: a@x.com, evil@y.com;",
        "undisclosed-recipients:;",
        '"a b"@x.com',
        '"a@evil.com, "@x.com',
        "=?utf-8?q?a=40evil.com=2C?= <a@x.com>",
        "=?utf-8?q?=0D=0ABcc:evil=40y.com?= <a@x.com>",
        "<@evil.com:a@x.com>",
        "a@[127.0.0.1]",
        "a@x.com\r\nBcc: evil@y.com",
        "a@x.com\nBcc: evil@y.com",
        "a@x.com\x00",
        "a@x.com\x0b",
        "a@x.com\u0085",
        "a@x.com\u2028",
        "a\u202e@x.com",
        "ä@x.com",
        "a@x.com\ud800",
        f"{'a' * 65}@x.com",
        f"a@{'x' * 64}.com",
        f"a@{'x.' * 130}com",
    ],
)
def test_anything_but_one_plain_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidArguments):
        parse_address("to", given)


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_a_smuggled_recipient_never_reaches_the_provider(field: str) -> None:
    result, provider = call("gmail_send_message", {**PLAIN, field: "a@x.com, evil@y.com"})
    assert result.code == "invalid_arguments"
    assert result.text.startswith(f"{field}: expected one address")
    assert "evil" not in result.text
    assert provider.sent == []


def test_the_refused_one_of_several_is_named_by_its_place() -> None:
    result, _ = call("gmail_send_message", {**PLAIN, "cc": ["a@x.com", "b@y.com,c@z.com"]})
    assert result.text.startswith("cc[1]: ")


def test_recipients_are_exactly_those_that_were_asked_for() -> None:
    mail = sent(to=["a@x.com", "B <b@x.com>"], cc="c@x.com", bcc=["d@x.com"])
    found = {h: [a.addr_spec for a in mail[h].addresses] for h in ("To", "Cc", "Bcc")}
    assert found == {"To": ["a@x.com", "b@x.com"], "Cc": ["c@x.com"], "Bcc": ["d@x.com"]}


def test_nothing_but_the_asked_for_headers_is_sent() -> None:
    assert set(sent(thread_id="1a").keys()) == {
        "To",
        "Subject",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }


def test_recipients_are_limited_over_all_three_fields() -> None:
    many = [f"a{i}@x.com" for i in range(17)]
    result, provider = call("gmail_send_message", {**PLAIN, "to": many, "cc": many, "bcc": many})
    assert "at most 50 recipients" in result.text
    assert provider.sent == []


def test_a_sender_is_never_accepted() -> None:
    result, provider = call("gmail_send_message", {**PLAIN, "from": "boss@example.com"})
    assert result.text.startswith("from: no such argument")
    assert provider.sent == []


@pytest.mark.parametrize(
    "subject",
    [
        "a\r\nBcc: evil@y.com",
        "a\nb",
        "a\rb",
        "a\x0bb",
        "a\x00b",
        "a\x1bb",
        "a\u0085b",
        "a\u2028b",
        "a\u2029b",
        "a\ud800b",
    ],
)
def test_a_subject_with_a_line_end_or_control_is_refused(subject: str) -> None:
    result, provider = call("gmail_send_message", {**PLAIN, "subject": subject})
    assert result.code == "invalid_arguments"
    assert "subject" in result.text
    assert "evil" not in result.text
    assert provider.sent == []


def test_an_encoded_line_end_in_a_subject_makes_no_header() -> None:
    try:
        mail = sent(subject="=?utf-8?q?a=0D=0ABcc:evil=40y.com?=")
    except InvalidArguments:
        return
    assert "Bcc" not in mail


@pytest.mark.parametrize("reply_to", ["<a@b>\r\nBcc: e@y.com", "a@b", "<a b@c>", "<a@b>, <c@d>"])
def test_a_reply_refers_to_message_ids_only(reply_to: str) -> None:
    result, provider = call(
        "gmail_reply_to_thread",
        {"thread_id": "1a", "to": "a@x.com", "body": "b", "in_reply_to_message_id": reply_to},
    )
    assert result.code == "invalid_arguments"
    assert provider.sent == []


def test_a_reply_carries_both_thread_headers() -> None:
    mail = sent(in_reply_to="<1@x.example>")
    assert mail["In-Reply-To"] == "<1@x.example>"
    assert mail["References"] == "<1@x.example>"


@pytest.mark.parametrize("body", ["Grüße\n\n— 你好 🎉", "a\r\nb", ".\n.", "x" * 5_000, ""])
def test_a_body_arrives_as_it_was_written(body: str) -> None:
    assert sent(body=body).get_content().replace("\r\n", "\n").rstrip("\n") == body.replace(
        "\r\n", "\n"
    )


def test_a_body_that_looks_like_headers_stays_a_body() -> None:
    mail = sent(body="Bcc: evil@y.com\n\nhi")
    assert "Bcc" not in mail
    assert mail.get_content().startswith("Bcc: evil@y.com")


def test_html_is_sent_as_html() -> None:
    mail = sent(body="<b>Hi</b>", content_type="text/html")
    assert mail.get_content_type() == "text/html"


def test_a_mail_goes_out_under_the_name_of_the_alias_too() -> None:
    result, provider = call("gmail_send_mail", {**PLAIN, "thread_id": "1a"}, SENT)
    assert result.structured == {"id": "1a", "thread_id": "1a"}
    (request,) = provider.sent
    assert (request.method, request.host) == ("POST", "gmail.googleapis.com")
    assert request.path == "/gmail/v1/users/me/messages/send"
    assert request.json["threadId"] == "1a"
    assert set(request.json["raw"]) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
