"""RFC 5322 mail as Gmail shows it: a tree of parts with base64url bodies."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import html
import re
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any, cast

from .errors import bad_request

if TYPE_CHECKING:
    from email.message import EmailMessage, MIMEPart

_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)


def parse(raw: bytes) -> EmailMessage:
    """The message; one whose headers cannot be read is refused rather than stored."""
    message = message_from_bytes(raw, policy=policy.SMTP)
    try:
        for part in message.walk():
            part.items()
    except ValueError as wrong:
        raise bad_request("Invalid message header") from wrong
    return message


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def decode(value: str) -> bytes:
    """base64url with or without padding; Google takes the plain alphabet too."""
    plain = value.rstrip("=").translate(str.maketrans("+/", "-_"))
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error as wrong:
        raise bad_request("Invalid base64 in raw") from wrong


def serialise(message: EmailMessage) -> bytes:
    try:
        return message.as_bytes()
    except ValueError as wrong:
        raise bad_request("Invalid raw message") from wrong


def payload(message: EmailMessage, mail_id: str, part_id: str = "") -> dict[str, Any]:
    """A `MessagePart`. Attachments are named, not carried."""
    out: dict[str, Any] = {
        "partId": part_id,
        "mimeType": message.get_content_type(),
        "filename": message.get_filename() or "",
        "headers": headers(message),
    }
    if message.is_multipart():
        prefix = f"{part_id}." if part_id else ""
        parts = enumerate(cast("list[EmailMessage]", message.get_payload()))
        out["body"] = {"size": 0}
        out["parts"] = [payload(part, mail_id, f"{prefix}{n}") for n, part in parts]
        return out
    content = body(message)
    out["body"] = {"size": len(content)}
    if out["filename"]:
        out["body"]["attachmentId"] = attachment_id(mail_id, part_id)
    else:
        out["body"]["data"] = encode(content)
    return out


def headers(message: EmailMessage, only: list[str] | None = None) -> list[dict[str, str]]:
    wanted = {name.lower() for name in only} if only else None
    return [
        {"name": name, "value": " ".join(str(value).split())}
        for name, value in message.items()
        if wanted is None or name.lower() in wanted
    ]


def body(part: MIMEPart) -> bytes:
    """A part's content; text comes as UTF-8 whatever it was sent in."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return b""
    if part.get_content_maintype() == "text" and not part.get_filename():
        return content.decode(_charset(part), "replace").encode()
    return content


def _charset(part: MIMEPart) -> str:
    name = part.get_content_charset("utf-8")
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return "utf-8"
    return name


def attachment_id(mail_id: str, part_id: str) -> str:
    return "ANGjdJ" + encode(hashlib.sha512(f"{mail_id}/{part_id}".encode()).digest()).rstrip("=")


def attachments(node: dict[str, Any]) -> dict[str, str]:
    """attachmentId -> partId in a payload."""
    found: dict[str, str] = {}
    queue = [node]
    while queue:
        part = queue.pop()
        queue.extend(part.get("parts", ()))
        if "attachmentId" in part["body"]:
            found[part["body"]["attachmentId"]] = part["partId"]
    return found


def part_at(message: EmailMessage, part_id: str) -> EmailMessage:
    for index in part_id.split(".") if part_id else ():
        message = cast("EmailMessage", message.get_payload(int(index)))
    return message


def text(message: EmailMessage) -> str:
    """The readable text: plain if there is any, or the HTML without its tags."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    content = body(part).decode("utf-8", "replace")
    if part.get_content_type() == "text/html":
        content = html.unescape(_TAG.sub(" ", content))
    return content


def snippet(message: EmailMessage) -> str:
    """The first words, HTML-escaped as Gmail does."""
    short = " ".join(text(message).split())[:200]
    return html.escape(short).replace("&#x27;", "&#39;")


def addresses(message: EmailMessage, *names: str) -> list[str]:
    values = [str(value) for name in names for value in message.get_all(name, [])]
    return [address.lower() for _, address in getaddresses(values) if address]


def subject(message: EmailMessage) -> str:
    """The subject that threads are matched by: without its Re: and Fwd:."""
    plain = " ".join(str(message.get("Subject", "")).split())
    return re.sub(r"^((re|fwd?)\s*:\s*)+", "", plain, flags=re.IGNORECASE).lower()


def references(message: EmailMessage) -> set[str]:
    values = [str(message.get(name, "")) for name in ("In-Reply-To", "References")]
    return set(re.findall(r"<[^<>\s]+>", " ".join(values)))
