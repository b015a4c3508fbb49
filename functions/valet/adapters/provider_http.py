"""Sends tool requests to a provider's API over httpx.

The last gate before the network: https to a connector's own hosts only, no redirects, no
proxies or netrc from the environment, only headers that are built here, and a URL that is
byte for byte the intended one.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import httpx

from valet.errors import Misconfigured
from valet.tools.provider import (
    AnswerTooLarge,
    ProviderRequest,
    ProviderResponse,
    ProviderUnreachable,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection

    from valet.models import Secret

MAX_ANSWER_BYTES = 10_000_000
_TIMEOUT = httpx.Timeout(connect=2.0, read=8.0, write=8.0, pool=2.0)
# A short keep-alive: after a Lambda freeze the provider has closed what we still hold open, and
# a write on such a connection would be lost without anyone knowing whether it was done.
_LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=8, keepalive_expiry=15.0)
_EXTRA_HEADERS = frozenset({"if-match"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_MAX_PAUSE = 86_400


def client(tls: ssl.SSLContext) -> httpx.Client:
    """A client that suits providers, and calls from several threads."""
    return httpx.Client(timeout=_TIMEOUT, limits=_LIMITS, verify=tls, trust_env=False)


class HttpxProvider:
    """The `ProviderHttp` port over one client."""

    def __init__(
        self,
        hosts_allowed: Collection[str],
        client: httpx.Client,
        override: str | None = None,
    ) -> None:
        """`override` sends https://HOST/PATH to override/HOST/PATH, for tests on one machine."""
        if override and not _is_loopback(override):
            raise Misconfigured("the provider override must be an http address of this machine")
        self._hosts = frozenset(hosts_allowed)
        self._override = (override or "").rstrip("/")
        self._client = client

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        """Send once; see `valet.tools.provider.ProviderHttp`."""
        outgoing = self._outgoing(request, token)
        try:
            response = self._client.send(outgoing, stream=True, follow_redirects=False)
            try:
                content = _read_capped(response)
            finally:
                response.close()
        except _NEVER_SENT as error:
            raise ProviderUnreachable(
                "the provider could not be reached", maybe_sent=False
            ) from error
        except (httpx.HTTPError, zlib.error) as error:
            raise ProviderUnreachable("the provider's answer was lost", maybe_sent=True) from error
        pause = _retry_after(response.headers.get("retry-after", ""))
        return ProviderResponse(response.status_code, _parsed(content), pause)

    def _outgoing(self, request: ProviderRequest, token: Secret) -> httpx.Request:
        if request.host not in self._hosts:
            raise Misconfigured("a tool names a host that its connector does not declare")
        origin = f"{self._override}/{request.host}" if self._override else f"https://{request.host}"
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = httpx.URL(origin + request.path + query)
        intended = urlsplit(origin).path + request.path + query
        # httpx resolves dot segments: what it would send must be what was built.
        if url.raw_path.decode("ascii") != intended or not request.path.startswith("/"):
            raise Misconfigured("a tool's path does not survive as it was built")
        content = None if request.json is None else _encoded(request.json)
        # Built without the client, whose default headers and cookies are not ours.
        return httpx.Request(request.method, url, headers=_headers(request, token), content=content)


def _is_loopback(override: str) -> bool:
    parts = urlsplit(override)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.query


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _headers(request: ProviderRequest, token: Secret) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {token.reveal()}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": "mcp-valet (gzip)",
    }
    if request.json is not None:
        headers["Content-Type"] = "application/json"
    for name, value in request.headers:
        if name.lower() not in _EXTRA_HEADERS:
            raise Misconfigured("a tool sets a header that is not on the list")
        headers[name] = value
    return headers


def _read_capped(response: httpx.Response) -> bytes:
    """The decoded body, stopped at the cap while it is being inflated."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise httpx.DecodingError("unexpected content encoding")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    content = bytearray()
    for chunk in response.iter_raw():
        room = MAX_ANSWER_BYTES + 1 - len(content)
        content += inflate.decompress(chunk, room) if inflate else chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise AnswerTooLarge("the provider's answer is larger than this server reads")
    return bytes(content)


def _parsed(content: bytes) -> Any:
    """The JSON, or None: an answer's status counts even when its body makes no sense."""
    if not content:
        return None
    try:
        return json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _retry_after(value: str) -> int | None:
    seconds = value.isascii() and value.isdigit() and len(value) <= 9
    return min(int(value), _MAX_PAUSE) if seconds else None
