"""The token endpoint's client with providers that are not Google."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.connectors import noteboard
from valet.adapters.token_endpoint import HttpxTokenEndpoint
from valet.connectors.models import Userinfo
from valet.errors import ProviderFailure
from valet.models import Secret
from valet.native.provider import OAuthClient, ProviderUnavailable

if TYPE_CHECKING:
    from valet.connectors.models import OAuthProvider

CLIENT = OAuthClient("client-n", Secret("s3cret"))
GRANTED = {"access_token": "at", "token_type": "Bearer"}
ME = Userinfo("https://api.noteboard.example/me", "id")


class Provider:
    """A provider behind httpx's own transport: one answer, and what it was asked."""

    def __init__(self, status: int = 200, answer: Any = None) -> None:
        self.status = status
        self.answer = GRANTED if answer is None else answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        body = httpx.ByteStream(json.dumps(self.answer).encode())
        return httpx.Response(self.status, stream=body)

    @property
    def endpoint(self) -> HttpxTokenEndpoint:
        client = httpx.Client(transport=httpx.MockTransport(self))
        return HttpxTokenEndpoint(client, lambda url: url)

    @property
    def form(self) -> dict[str, str]:
        sent = parse_qs(self.requests[0].content.decode(), strict_parsing=True)
        return {name: value for name, [value] in sent.items()}


def facts(**changes: Any) -> OAuthProvider:
    return noteboard(**changes).provider


def test_a_public_client_sends_its_name_and_no_secret() -> None:
    provider = Provider()
    public = OAuthClient("client-n", Secret(""))
    provider.endpoint.exchange(
        facts(client_auth="none"),
        public,
        code=Secret("c"),
        verifier=Secret("v" * 43),
        redirect_uri="https://valet.example/oauth/callback/MY_NOTES",
    )
    assert "authorization" not in provider.requests[0].headers
    assert provider.form["client_id"] == "client-n"
    assert provider.form["code_verifier"] == "v" * 43
    assert "client_secret" not in provider.form


def test_a_public_client_does_not_leak_a_secret_that_is_stored_all_the_same() -> None:
    provider = Provider()
    provider.endpoint.refresh(facts(client_auth="none"), CLIENT, refresh_token=Secret("rt"))
    assert b"s3cret" not in provider.requests[0].content
    assert "authorization" not in provider.requests[0].headers


def test_a_provider_can_want_more_parameters_and_they_never_replace_ours() -> None:
    provider = Provider()
    params = {"resource": "https://api.noteboard.example", "grant_type": "password"}
    provider.endpoint.refresh(facts(token_params=params), CLIENT, refresh_token=Secret("rt"))
    assert provider.form == {
        "resource": "https://api.noteboard.example",
        "grant_type": "refresh_token",
        "refresh_token": "rt",
    }


def test_a_lifetime_that_is_not_named_is_what_the_provider_documents() -> None:
    long = facts(lifetime_seconds=86_400)
    assert Provider().endpoint.refresh(long, CLIENT, refresh_token=Secret("r")).expires_in == 86_400
    named = Provider(answer=GRANTED | {"expires_in": 60})
    assert named.endpoint.refresh(long, CLIENT, refresh_token=Secret("r")).expires_in == 60


def test_the_userinfo_is_asked_with_the_access_token_in_the_header_alone() -> None:
    provider = Provider(answer={"id": 7})
    assert provider.endpoint.userinfo(facts(userinfo=ME), token=Secret("at")) == {"id": 7}
    [request] = provider.requests
    assert (request.method, str(request.url)) == ("GET", ME.url)
    assert request.headers["authorization"] == "Bearer at"
    assert request.headers["user-agent"] == "mcp-valet"
    assert request.content == b""


def test_a_provider_without_userinfo_is_asked_nothing() -> None:
    provider = Provider()
    assert provider.endpoint.userinfo(facts(), token=Secret("at")) == {}
    assert not provider.requests


@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404])
def test_a_refused_userinfo_names_nobody(status: int) -> None:
    provider = Provider(status, {"id": 7})
    assert provider.endpoint.userinfo(facts(userinfo=ME), token=Secret("at")) == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_userinfo_that_fails_is_no_answer(status: int) -> None:
    with pytest.raises(ProviderUnavailable) as failure:
        Provider(status).endpoint.userinfo(facts(userinfo=ME), token=Secret("at"))
    assert isinstance(failure.value, ProviderFailure)
