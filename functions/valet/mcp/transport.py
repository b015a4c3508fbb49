"""The HTTP around a message: POST only, JSON only, and what is refused before reading a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from valet.mcp import jsonrpc
from valet.mcp.errors import INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR, ProtocolError
from valet.mcp.headers import accepts_json, is_json

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY: Final = 1024 * 1024  # 5.7 MB of `{}` cost 127 MB of memory; no tool needs a tenth of this

# The URL is a credential: no copy of an answer stays behind, and no page learns where it came from.
_ALWAYS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it arrived; header names are lower-case."""

    method: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What to send back."""

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_ALWAYS))
    body: str = ""


def answer(status: int, body: str, **extra: str) -> HttpResponse:
    """A response with a JSON body."""
    return HttpResponse(status, {**_ALWAYS, "Content-Type": "application/json", **extra}, body)


def accepted() -> HttpResponse:
    """The answer to a message that expects none."""
    return HttpResponse(202)


def not_found() -> HttpResponse:
    """The answer to every bad URL key: unknown, revoked, expired or malformed look the same.

    404 and never 401, which makes clients send the key on to OAuth discovery endpoints. Nothing of
    the request is in it, not even the id, so that no two of these answers differ.
    """
    return _refusal(404, INVALID_REQUEST, "Not found: no MCP server has this URL")


def authorization_refused() -> HttpResponse:
    """The answer to a request that brings a second credential beside its URL key.

    Falling back to the one that works is how a failed check gets overlooked (CVE-2026-59822). Not
    401, which would make clients send the key on to discovery endpoints.
    """
    return _refusal(
        400, INVALID_REQUEST, "This URL is the credential: send no Authorization header with it"
    )


def query_refused() -> HttpResponse:
    """The answer to a request that brings a query: a token there ends in logs and histories."""
    return _refusal(
        400,
        INVALID_REQUEST,
        "This URL takes no query: a token belongs in the Authorization header",
    )


def unauthorized(challenge: str) -> HttpResponse:
    """The answer at `/mcp` to all bad bearers alike, with what to bring (RFC 6750 §3)."""
    return _refusal(
        401,
        INVALID_REQUEST,
        "Unauthorized: send a valid token as a Bearer in the Authorization header",
        **{"WWW-Authenticate": challenge},
    )


def insufficient(challenge: str) -> HttpResponse:
    """The answer to a good token that permits nothing here (RFC 6750 §3.1)."""
    return _refusal(
        403,
        INVALID_REQUEST,
        "Forbidden: this token has none of the scopes that this server needs",
        **{"WWW-Authenticate": challenge},
    )


def unavailable(reason: str) -> HttpResponse:
    """The answer when the key could not be looked at; it says nothing about the key."""
    return answer(503, jsonrpc.error(None, ProtocolError(INTERNAL_ERROR, reason)))


def refuse_early(request: HttpRequest, allowed_origins: frozenset[str]) -> HttpResponse | None:
    """The refusal of a request that no credential could make good, else None."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in allowed_origins:
        # DNS rebinding: whole-string comparison only, a prefix or suffix test can be tricked.
        return _refusal(403, INVALID_REQUEST, "Origin not allowed")
    if request.method != "POST":
        # GET would open a stream and DELETE end a session: there is neither.
        return _refusal(405, INVALID_REQUEST, "Method not allowed: use POST", Allow="POST")
    if len(request.body) > MAX_BODY:
        return _refusal(413, PARSE_ERROR, f"Parse error: the body is above {MAX_BODY} bytes")
    if not is_json(request.headers.get("content-type")):
        return _refusal(415, INVALID_REQUEST, "Content-Type must be application/json")
    if not accepts_json(request.headers.get("accept")):
        return _refusal(406, INVALID_REQUEST, "Accept must allow application/json")
    return None


def _refusal(status: int, code: int, message: str, **extra: str) -> HttpResponse:
    return answer(status, jsonrpc.error(None, ProtocolError(code, message)), **extra)
