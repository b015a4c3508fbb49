"""What must be nowhere: every secret that the tests and the fakes know, and a search for them.

A secret may leak raw, percent-encoded or within base64, at any offset. The search knows a secret by
its first and last 16 characters, so that a cut-off one is found too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

_WINDOW: Final = 16
_SHORTEST: Final = 12
_IN_QUERIES: Final = ("state", "code", "authorization_id", "nonce", "code_challenge")
_IN_PATHS: Final = re.compile(r"/(?:connect|mcp)/([^/?#]{20,})")

SEEN: dict[str, str] = {}  # secret -> what it is


def remember(kind: str, *values: str) -> None:
    """Note secrets; what is too short to be told from chance is no secret."""
    SEEN.update({value: kind for value in values if len(value) >= _SHORTEST})


def remember_url(url: str) -> None:
    """Note what a URL carries: a ticket or a URL key, a state, a code, an authorization's id."""
    parts = urlsplit(url)
    remember("URL path", *_IN_PATHS.findall(parts.path))
    for name, value in parse_qsl(parts.query):
        if name in _IN_QUERIES:
            remember(name, value)


def remember_json(value: Any) -> None:
    """Note session tokens, and what the URLs in an answer carry."""
    match value:
        case str():
            if value.startswith("http"):
                remember_url(value)
            elif value.startswith("mvt_"):
                remember("session token", value)
        case Mapping():
            for each in value.values():
                remember_json(each)
        case list():
            for each in value:
                remember_json(each)


def needles(secrets: Mapping[str, str]) -> dict[str, str]:
    """The windows to look for, each with what it would mean to find it."""
    found: dict[str, str] = {}
    for secret, kind in secrets.items():
        for form, text in _forms(secret):
            # A JWT's header is no secret, and the same in all of them.
            ends = (
                [text[-_WINDOW:]] if secret.startswith("eyJ") else [text[:_WINDOW], text[-_WINDOW:]]
            )
            found.update({end: f"{kind}, {form}" for end in ends if len(end) >= _SHORTEST})
    return found


def find(haystacks: Iterable[tuple[str, str]], secrets: Mapping[str, str]) -> list[str]:
    """Where a secret shows: the place and the kind, never the secret."""
    wanted = needles(secrets)
    sizes = sorted({len(needle) for needle in wanted})
    hits = set()
    for place, text in haystacks:
        for size in sizes:
            for start in range(len(text) - size + 1):
                kind = wanted.get(text[start : start + size])
                if kind:
                    hits.add(f"{place}: {kind}")
    return sorted(hits)


def _forms(secret: str) -> Iterable[tuple[str, str]]:
    yield "raw", secret
    for encoded in {quote(secret, safe=""), quote_plus(secret)} - {secret}:
        yield "percent-encoded", encoded
    raw = secret.encode()
    for skipped in range(3):  # where the secret may start within base64's groups of three bytes
        whole = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
        yield "base64", base64.b64encode(whole).decode()
        yield "base64url", base64.urlsafe_b64encode(whole).decode()
