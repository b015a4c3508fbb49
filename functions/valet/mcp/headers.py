"""Reading HTTP header values: white space, media types, and MCP's value encoding."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENCODED_START: Final = "=?base64?"
_ENCODED_END: Final = "?="
_BEARER: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


def value_of(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value without the white space around it (RFC 9110 §5.5)."""
    value = headers.get(name)
    return None if value is None else value.strip(" \t")


def decoded(value: str | None) -> str | None:
    """A value out of `=?base64?…?=` (2026-07-28, Value Encoding), or as it is.

    Only canonical base64 counts: `b64decode` ignores stray bits, so several spellings would
    otherwise stand for one name.
    """
    if value is None or not (value.startswith(_ENCODED_START) and value.endswith(_ENCODED_END)):
        return value
    payload = value[len(_ENCODED_START) : -len(_ENCODED_END)]
    try:
        raw = base64.b64decode(payload, validate=True)
        return raw.decode("utf-8") if base64.b64encode(raw).decode() == payload else None
    except (binascii.Error, ValueError):
        return None


def bearer(headers: Mapping[str, str]) -> str | None:
    """The one token of an `Authorization` header (RFC 6750 §2.1); None for anything else.

    Repeated headers arrive joined by commas, which no token has: two tokens are none.
    """
    match = _BEARER.fullmatch(value_of(headers, "authorization") or "")
    return match[1] if match else None


def is_json(content_type: str | None) -> bool:
    """Whether a body is declared as JSON in UTF-8, the only charset that JSON has."""
    media_type, *parameters = (content_type or "").lower().replace(" ", "").split(";")
    charsets = [p.removeprefix("charset=") for p in parameters if p.startswith("charset=")]
    return media_type == "application/json" and all(
        charset.strip('"') == "utf-8" for charset in charsets
    )


def accepts_json(accept: str | None) -> bool:
    """Whether an `Accept` header leaves room for JSON; none at all does (RFC 9110 §12.5.1).

    The protocol has clients accept `text/event-stream` too, but nothing here ever sends it.
    """
    if accept is None:
        return True
    return any(_allows_json(entry) for entry in accept.lower().split(","))


def _allows_json(entry: str) -> bool:
    media_range, *parameters = entry.replace(" ", "").split(";")
    refused = any(parameter in ("q=0", "q=0.0", "q=0.00", "q=0.000") for parameter in parameters)
    return not refused and media_range in ("application/json", "application/*", "*/*")
