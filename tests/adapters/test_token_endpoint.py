"""The token endpoint's client against providers that lie, stall, redirect and overflow."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest

from valet.adapters.token_endpoint import HttpxTokenEndpoint
from valet.connectors.catalog import load_connector
from valet.errors import ProviderFailure, ValetError
from valet.models import Secret
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClient,
    ProviderUnavailable,
    TokenGrant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valet.connectors.models import OAuthProvider

GOOGLE = load_connector("gmail").provider
CLIENT = OAuthClient("client-1", Secret("s3cret"))
GRANTED = {"access_token": "at", "refresh_token": "rt", "expires_in": 3599, "token_type": "Bearer"}
PROSE = "canary prose of the provider"


class Drip(httpx.SyncByteStream):
    """A body that comes chunk by chunk, moving the clock."""

    def __init__(self, provider: Provider, chunks: list[bytes], seconds: float = 0.0) -> None:
        self._provider = provider
        self._chunks = chunks
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._provider.clock += self._seconds
            self._provider.sent += len(chunk)
            yield chunk


@dataclass
class Provider:
    """A provider behind httpx's own transport: one answer, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raises: Exception | None = None
    chunks: list[bytes] | None = None
    seconds: float = 0.0
    requests: list[httpx.Request] = field(default_factory=list)
    clock: float = 0.0
    sent: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.raises:
            raise self.raises
        stream = Drip(self, self.chunks or [self.body], self.seconds)
        return httpx.Response(self.status, headers=self.headers, stream=stream)

    def endpoint(self) -> HttpxTokenEndpoint:
        client = httpx.Client(transport=httpx.MockTransport(self), follow_redirects=True)
        return HttpxTokenEndpoint(client, lambda url: url, lambda: self.clock)

    def refresh(self, provider: OAuthProvider = GOOGLE, client: OAuthClient = CLIENT) -> TokenGrant:
        return self.endpoint().refresh(provider, client, refresh_token=Secret("rt-0"))

    @property
    def form(self) -> dict[str, str]:
        (request,) = self.requests
        sent = parse_qs(request.content.decode(), strict_parsing=True)
        return {name: value for name, [value] in sent.items()}


def answering(value: Any = None, **changes: Any) -> Provider:
    return Provider(body=json.dumps(value if value is not None else GRANTED | changes).encode())


def test_a_code_is_exchanged_with_its_verifier_and_redirect_uri() -> None:
    provider = answering()
    grant = provider.endpoint().exchange(
        GOOGLE,
        CLIENT,
        code=Secret("4/0Ab+c="),
        verifier=Secret("v" * 43),
        redirect_uri="https://valet.example/oauth/callback/MY_GMAIL",
    )
    assert grant.access_token == Secret("at")
    assert grant.refresh_token == Secret("rt")
    assert grant.expires_in == 3599
    assert str(provider.requests[0].url) == GOOGLE.token_url
    assert provider.requests[0].method == "POST"
    assert provider.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert provider.form == {
        "grant_type": "authorization_code",
        "code": "4/0Ab+c=",
        "code_verifier": "v" * 43,
        "redirect_uri": "https://valet.example/oauth/callback/MY_GMAIL",
        "client_id": "client-1",
        "client_secret": "s3cret",
    }


def test_a_refresh_sends_the_refresh_token_in_the_body_alone() -> None:
    provider = answering()
    provider.refresh()
    assert provider.form == {
        "grant_type": "refresh_token",
        "refresh_token": "rt-0",
        "client_id": "client-1",
        "client_secret": "s3cret",
    }
    assert not provider.requests[0].url.query
    assert "authorization" not in provider.requests[0].headers


def test_a_client_may_authenticate_with_basic() -> None:
    """RFC 6749 §2.3.1: both halves are form-encoded before they are joined."""
    provider = answering()
    basic = replace(GOOGLE, client_auth="client_secret_basic")
    provider.refresh(basic, OAuthClient("id:with@colon", Secret("s ecr:et%/é")))
    kind, _, encoded = provider.requests[0].headers["authorization"].partition(" ")
    assert kind == "Basic"
    assert b64decode(encoded).decode() == "id%3Awith%40colon:s%20ecr%3Aet%25%2F%C3%A9"
    assert set(provider.form) == {"grant_type", "refresh_token"}


def test_a_providers_url_can_be_stood_in_for() -> None:
    provider = answering()
    client = httpx.Client(transport=httpx.MockTransport(provider))
    local = HttpxTokenEndpoint(client, lambda url: url.replace("https://", "http://127.0.0.1:1/"))
    local.refresh(GOOGLE, CLIENT, refresh_token=Secret("rt"))
    assert str(provider.requests[0].url) == "http://127.0.0.1:1/oauth2.googleapis.com/token"


REFUSALS: dict[str, tuple[int, dict[str, Any], type[ValetError]]] = {
    "invalid_grant": (400, {"error": "invalid_grant", "error_description": PROSE}, InvalidGrant),
    "invalid_grant with a 200": (200, {"error": "invalid_grant"}, InvalidGrant),
    "invalid_client": (401, {"error": "invalid_client"}, InvalidClient),
    "unauthorized_client": (400, {"error": "unauthorized_client"}, InvalidClient),
    "another error": (400, {"error": "invalid_scope", "error_description": PROSE}, ProviderFailure),
    "error beside a token": (200, GRANTED | {"error": "access_denied"}, ProviderFailure),
    "error of another type": (200, GRANTED | {"error": {"code": 400}}, ProviderFailure),
    "error in a list": (200, GRANTED | {"error": ["invalid_grant"]}, ProviderFailure),
    "a token with a 400": (400, GRANTED, ProviderFailure),
    "a token with a 201": (201, GRANTED, ProviderFailure),
    "429": (429, {"error": "rate_limited"}, ProviderUnavailable),
    "429 with invalid_grant": (429, {"error": "invalid_grant"}, ProviderUnavailable),
    "500": (500, {"error": "internal_failure"}, ProviderUnavailable),
    "503 with invalid_grant": (503, {"error": "invalid_grant"}, ProviderUnavailable),
    "not ok": (200, {"ok": False}, ProviderFailure),
    "no token": (200, {"refresh_token": "rt"}, ProviderFailure),
    "null token": (200, GRANTED | {"access_token": None}, ProviderFailure),
    "empty token": (200, GRANTED | {"access_token": ""}, ProviderFailure),
    "token of another type": (200, GRANTED | {"access_token": {"x": 1}}, ProviderFailure),
    "token with a line end": (200, GRANTED | {"access_token": "a\r\nX: b"}, ProviderFailure),
    "token not ASCII": (200, GRANTED | {"access_token": "\u00e9"}, ProviderFailure),
    "token with a space": (200, GRANTED | {"access_token": "a b"}, ProviderFailure),
    "mac token": (200, GRANTED | {"token_type": "mac"}, ProviderFailure),
    "DPoP token": (200, GRANTED | {"token_type": "DPoP"}, ProviderFailure),
    "numeric token type": (200, GRANTED | {"token_type": 7}, ProviderFailure),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_answer_that_grants_nothing_is_an_error_of_its_kind(name: str) -> None:
    status, body, expected = REFUSALS[name]
    provider = answering(body)
    provider.status = status
    with pytest.raises(expected) as raised:
        provider.refresh()
    assert type(raised.value) is expected
    assert PROSE not in str(raised.value)
    assert len(provider.requests) == 1


BODIES = {
    "nothing": b"",
    "HTML": b"<html><body>Sign in</body></html>",
    "a list": b'[{"access_token": "at"}]',
    "a string": b'"access_token"',
    "null": b"null",
    "half": b'{"access_token": "at"',
    "deep": b"[" * 100_000,
    "not UTF-8": b'{"access_token": "\xff"}',
    "a form": b"access_token=at&token_type=bearer",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_json_object_grants_nothing(name: str) -> None:
    with pytest.raises(ProviderFailure):
        Provider(body=BODIES[name], headers={"content-type": "text/html"}).refresh()


def test_a_large_answer_is_not_read_to_its_end() -> None:
    chunk = b" " * 65_536
    provider = Provider(chunks=[chunk] * 80)
    with pytest.raises(ProviderFailure, match="too large"):
        provider.refresh()
    assert provider.sent <= 5 * len(chunk)


def test_a_compressed_answer_is_never_inflated() -> None:
    bomb = gzip.compress(json.dumps(GRANTED).encode() + b" " * 50_000_000)
    provider = Provider(body=bomb, headers={"content-encoding": "gzip"})
    with pytest.raises(ProviderFailure):
        provider.refresh()
    assert provider.requests[0].headers["accept-encoding"] == "identity"


def test_an_answer_that_drips_is_given_up() -> None:
    provider = Provider(chunks=[b" "] * 60, seconds=1.0)
    with pytest.raises(ProviderUnavailable):
        provider.refresh()
    assert provider.clock <= 12


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "/token2", "file:///etc/passwd"]
)
def test_a_redirect_is_not_followed(status: int, target: str) -> None:
    provider = Provider(status=status, headers={"location": target}, body=b"{}")
    with pytest.raises(ProviderFailure):
        provider.refresh()
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectTimeout("x"),
        httpx.ReadTimeout("x"),
        httpx.ConnectError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.ReadError("x"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_network_failure_is_no_verdict_and_not_repeated(failure: Exception) -> None:
    provider = Provider(raises=failure)
    with pytest.raises(ProviderUnavailable):
        provider.refresh()
    assert len(provider.requests) == 1


def test_each_request_has_its_timeouts() -> None:
    provider = answering()
    provider.refresh()
    timeout = provider.requests[0].extensions["timeout"]
    assert timeout["connect"] == 2.0
    assert timeout["read"] == 8.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3599, 3599),
        ("3600", 3600),
        (3599.9, 3599),
        (None, 3600),
        (-1, 3600),
        (0, 3600),
        (1e18, 3600),
        ("soon", 3600),
        ("9" * 5000, 3600),
        ([], 3600),
        ({}, 3600),
        (float("nan"), 3600),
        (float("inf"), 3600),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_odd_lifetime_becomes_an_hour(value: object, seconds: int) -> None:
    assert answering(expires_in=value).refresh().expires_in == seconds


def test_a_missing_lifetime_is_an_hour() -> None:
    assert answering({"access_token": "at"}).refresh().expires_in == 3600


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_bearer_is_bearer_however_it_is_written(kind: str) -> None:
    assert answering(token_type=kind).refresh().access_token == Secret("at")


def test_a_missing_refresh_token_is_none() -> None:
    for value in (None, "", 7):
        assert answering(refresh_token=value).refresh().refresh_token is None


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("b a", {"a", "b"}),
        ("a  a\ta", {"a"}),
        ("", set()),
        (None, None),
        (["a"], None),
        (7, None),
    ],
)
def test_scopes_are_what_the_answer_says_or_as_asked(scope: object, scopes: object) -> None:
    assert answering(scope=scope).refresh().scopes == scopes


def id_token(payload: bytes) -> str:
    return f"e30.{urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("token", "claims"),
    [
        (id_token(b'{"sub": "1"}'), {"sub": "1"}),
        (id_token(b"[]"), {}),
        (id_token(b"\xff"), {}),
        ("a.b", None),
        ("a.b.c.d", None),
        ("..", {}),
        ("a.\u00e9.c", None),
        (7, None),
        (None, None),
    ],
)
def test_an_id_token_gives_its_claims_or_none(token: object, claims: object) -> None:
    assert answering(id_token=token).refresh().claims == claims


def test_one_answers_cookies_are_not_sent_with_the_next_request() -> None:
    """The client is shared: a cookie that one user's exchange sets is no business of another's."""
    provider = answering()
    provider.headers["set-cookie"] = "session=alice; Path=/"
    endpoint = provider.endpoint()
    for _ in range(2):
        endpoint.refresh(GOOGLE, CLIENT, refresh_token=Secret("rt"))
    assert "cookie" not in provider.requests[1].headers


def test_revoking_sends_the_token_once() -> None:
    provider = Provider()
    provider.endpoint().revoke(GOOGLE, CLIENT, token=Secret("rt-0"))
    assert str(provider.requests[0].url) == GOOGLE.revoke_url
    assert provider.form["token"] == "rt-0"


@pytest.mark.parametrize("status", [200, 400, 401])
def test_a_revocation_that_finds_nothing_is_done(status: int) -> None:
    Provider(status=status).endpoint().revoke(GOOGLE, CLIENT, token=Secret("rt"))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_revocation_that_was_not_heard_says_so(status: int) -> None:
    with pytest.raises(ProviderUnavailable):
        Provider(status=status).endpoint().revoke(GOOGLE, CLIENT, token=Secret("rt"))


def test_a_provider_without_revocation_is_asked_nothing() -> None:
    provider = Provider()
    provider.endpoint().revoke(replace(GOOGLE, revoke_url=""), CLIENT, token=Secret("rt"))
    assert not provider.requests


def test_no_failure_carries_what_was_sent_or_received() -> None:
    body = {"error": "invalid_grant", "error_description": f"{PROSE} rt-0 s3cret"}
    provider = answering(body)
    provider.status = 400
    with pytest.raises(InvalidGrant) as raised:
        provider.refresh()
    for secret in ("rt-0", "s3cret", PROSE):
        assert secret not in repr(raised.value)
