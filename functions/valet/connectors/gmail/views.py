"""What a tool returns of a Gmail message: headers, readable text, a list of attachments.

A message is written by whoever sent it. The walk over its parts is iterative and capped, since
a mail can nest a thousand levels deep, and unknown charsets or broken base64 lose text, never
the call.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from html import unescape
from typing import Any

from valet.tools.text import clean, cut, html_to_text

MAX_DEPTH = 50
MAX_PARTS = 500
MAX_ATTACHMENTS = 50
MAX_HEADER_BYTES = 2_000
MAX_ATTACHMENT_BYTES = 70_000

Part = Mapping[str, Any]

_HEADERS = {
    "from": "from",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "subject": "subject",
    "message-id": "message_id_header",
}
# Python knows encodings that are no charsets of mail, some of them slow to decode.
_CHARSET = re.compile(
    r"utf-?8|us-ascii|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|big5|gb2312|gbk|gb18030"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-(?:jp|kr)|utf-16(?:le|be)?"
)


def message(source: Part, scope: Mapping[str, Any], *, max_body: int = 60_000) -> dict[str, Any]:
    """A message; its body only when the call asked for `format` full."""
    payload = _object(source.get("payload"))
    found: dict[str, Any] = {
        "id": source.get("id"),
        "thread_id": source.get("threadId"),
        **_headers(payload),
        "date": _date(source.get("internalDate")),
        "snippet": clean(unescape(_string(source.get("snippet")))),
        "labels": source.get("labelIds"),
        "attachments": [_attachment(part) for part in _parts(payload) if part.get("filename")],
    }
    del found["attachments"][MAX_ATTACHMENTS:]
    if scope.get("format", "full") == "full":
        body = _body(payload)
        found["body"] = cut(body, max_body)
        if found["body"] != body:
            found["body_truncated"] = True
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def attachment(source: Part, scope: Mapping[str, Any]) -> dict[str, Any]:
    """An attachment's content: as text where it is text, else as base64, if it is small enough."""
    content = _decoded(source.get("data"))
    found: dict[str, Any] = {
        "attachment_id": scope["attachment_id"],
        "file_name": scope.get("file_name"),
        "size": len(content),
    }
    try:
        found["text"] = clean(content.decode())
    except UnicodeDecodeError:
        if len(content) <= MAX_ATTACHMENT_BYTES:
            found["data_base64"] = base64.b64encode(content).decode()
        else:
            found["truncated"] = True
    return {key: value for key, value in found.items() if value is not None}


def _headers(payload: Part) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in _objects(payload.get("headers")):
        name = _HEADERS.get(_string(header.get("name")).lower())
        # The first one counts: a second From is a trick on whoever reads the last.
        if name and name not in found:
            found[name] = cut(clean(_readable(_string(header.get("value")))), MAX_HEADER_BYTES)
    return found


def _readable(value: str) -> str:
    """A header with its encoded words (RFC 2047) decoded, where that works."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value[:MAX_HEADER_BYTES])))
    except (HeaderParseError, LookupError, ValueError):
        return value


def _date(internal: Any) -> str | None:
    """When Gmail received it; the Date header is the sender's claim."""
    try:
        return datetime.fromtimestamp(int(internal) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _parts(payload: Part) -> Iterator[Part]:
    """All parts in reading order, without recursion."""
    pending: list[tuple[Part, int]] = [(payload, 0)]
    seen = 0
    while pending and seen < MAX_PARTS:
        part, depth = pending.pop()
        seen += 1
        yield part
        if depth < MAX_DEPTH:
            pending += [(child, depth + 1) for child in reversed(_objects(part.get("parts")))]


def _attachment(part: Part) -> dict[str, Any]:
    body = _object(part.get("body"))
    return {
        "attachment_id": _string(body.get("attachmentId")),
        "file_name": cut(clean(_string(part.get("filename"))), 255),
        "mime_type": clean(_string(part.get("mimeType")))[:100],
        "size": body.get("size"),
    }


def _body(payload: Part) -> str:
    """The plain text parts, or where they hold nothing the visible text of the HTML ones."""
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in _parts(payload):
        kind = _string(part.get("mimeType")).lower()
        if kind in texts and not part.get("filename"):
            texts[kind].append(_text(part))
    written = clean("\n".join(texts["text/plain"])).strip()
    return written or html_to_text("\n".join(texts["text/html"]))


def _text(part: Part) -> str:
    content = _decoded(_object(part.get("body")).get("data"))
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(_charset(part), errors="replace")


def _charset(part: Part) -> str:
    for header in _objects(part.get("headers")):
        if _string(header.get("name")).lower() == "content-type":
            named = re.search(r'charset="?([A-Za-z0-9_-]{1,40})', _string(header.get("value")))
            if named and _CHARSET.fullmatch(named[1].lower()):
                return named[1]
    return "utf-8"


def _decoded(data: Any) -> bytes:
    text = _string(data)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> Part:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Part]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


VIEWS: Mapping[str, Callable[..., dict[str, Any]]] = {"message": message, "attachment": attachment}
