"""Builds an outgoing mail: RFC 5322 through `EmailMessage`, never by joining strings.

Three attacks are refused here: a header smuggled into a value by a line end, a recipient
smuggled into an address by a comma or a group, and a sender other than the account's own.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from valet.tools.results import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RECIPIENTS = 50

# No quoted local parts and no comments: what one parser reads as one address, others read as two.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_MESSAGE_IDS = re.compile(r"<[^\s<>]{1,300}>(?: <[^\s<>]{1,300}>){0,19}")
_RECIPIENTS = {"to": "To", "cc": "Cc", "bcc": "Bcc"}


def build_mail(fields: Mapping[str, Any]) -> str:
    """The mail as base64url, from `to`, `cc`, `bcc`, `subject`, `body`, `content_type`, ….

    Raises:
        InvalidArguments: a field would smuggle something, or is no address.
    """
    message = EmailMessage(policy=SMTP)
    total = 0
    for name, header in _RECIPIENTS.items():
        addresses = _addresses(name, fields.get(name))
        total += len(addresses)
        if addresses:
            message[header] = addresses
    if total > MAX_RECIPIENTS:
        raise InvalidArguments(
            f"to: at most {MAX_RECIPIENTS} recipients in to, cc and bcc together."
        )
    try:
        message["Subject"] = _one_line("subject", fields.get("subject", ""))
        _add_thread_headers(message, fields)
        html = fields.get("content_type") == "text/html"
        message.set_content(
            fields["body"].replace("\r\n", "\n"), subtype="html" if html else "plain"
        )
        raw = message.as_bytes()
    except ValueError as error:
        # The standard library's refusal may quote the value; ours does not.
        raise InvalidArguments("The mail holds text that a mail header cannot carry.") from error
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _addresses(name: str, value: str | list[str] | None) -> list[Address]:
    items = [value] if isinstance(value, str) else value or []
    return [
        parse_address(name if isinstance(value, str) else f"{name}[{i}]", item)
        for i, item in enumerate(items)
    ]


def parse_address(name: str, text: str) -> Address:
    """Exactly one address, with or without a display name.

    Raises:
        InvalidArguments: it is none, several, a group, or hard to tell.
    """
    text = _one_line(name, text).strip()
    parsed = getaddresses([text], strict=True)
    shown, spec = parsed[0] if len(parsed) == 1 else ("", "")
    local, _, domain = spec.rpartition("@")
    ascii_domain = _to_ascii(domain)
    readable = spec == text or (text.endswith(f"<{spec}>") and not set("@,;:<>") & set(shown))
    if not (
        readable
        and len(local) <= 64
        and _LOCAL.fullmatch(local)
        and _DOMAIN.fullmatch(ascii_domain)
        and "=?" not in text
    ):
        raise InvalidArguments(
            f"{name}: expected one address such as ann@example.com; give several as an array."
        )
    return Address(display_name=shown, username=local, domain=ascii_domain)


def _to_ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return ""


def _one_line(name: str, text: str) -> str:
    """The text, if it holds no line end or control of any script (NUL passes EmailMessage)."""
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise InvalidArguments(f"{name}: must be one line without control characters.")
    return text


def _add_thread_headers(message: EmailMessage, fields: Mapping[str, Any]) -> None:
    reply_to = fields.get("in_reply_to")
    if not reply_to:
        return
    if not _MESSAGE_IDS.fullmatch(reply_to):
        raise InvalidArguments("in_reply_to_message_id: expected a Message-ID in angle brackets.")
    message["In-Reply-To"] = reply_to
    message["References"] = reply_to
