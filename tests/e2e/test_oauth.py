"""OAuth at /mcp: the official client starts with the URL alone, against a certified server."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError

from infra.local.deployment import PARAMETERS
from tests.e2e import canaries, wire
from tests.e2e.consent import CALENDAR, connect
from tests.e2e.issuer import CALLBACK, ISSUER, RESOURCE, Issuer, Storage, signing_in

if TYPE_CHECKING:
    from mcp import Client

    from tests.e2e.api import Api
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("OAuth at /mcp is of the server of ours")

_LUNCH = {
    "summary": "Lunch by OAuth",
    "start_datetime": "2026-12-03T12:00:00+01:00",
    "event_duration_minutes": 45,
}


def _access_token(issuer: Issuer, user: User) -> str:
    """A token as the official client gets it."""
    storage = Storage()
    assert wire.list_tools(RESOURCE, auth=signing_in(issuer, RESOURCE, user.id, storage))
    assert storage.tokens
    return storage.tokens.access_token


def _claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, claims, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    return json.loads(urlsafe_b64decode(head)), json.loads(urlsafe_b64decode(claims))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_that_knows_just_the_url_signs_in_lists_and_calls(
    mode: str, issuer: Issuer, user: User
) -> None:
    storage = Storage()

    async def use(client: Client) -> None:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == ["gmail_fetch_mails", "googlecalendar_create_event"]
        first = await client.call_tool("gmail_fetch_mails", {"max_results": 1})
        assert first.is_error is True, "nobody has connected the account yet"
        await asyncio.to_thread(connect, user)
        mails = await client.call_tool("gmail_fetch_mails", {"max_results": 2})
        assert mails.is_error is False
        assert len(mails.structured_content["messages"]) == 2

    auth = signing_in(issuer, RESOURCE, user.id, storage)
    wire.with_client(RESOURCE, use, mode, auth=auth)
    assert storage.client
    assert storage.tokens
    head, claims = _claims(storage.tokens.access_token)
    assert (head["typ"], head["alg"]) == ("at+jwt", "RS256")
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, RESOURCE, user.id)
    assert claims["scope"].split() == ["mcp:full", "mcp:read"]


def test_the_way_there_is_told_step_by_step(issuer: Issuer, api: Api) -> None:
    refused = wire.post(api, RESOURCE, "tools/list")
    assert refused.status_code == 401
    place = f"{PARAMETERS['PublicUrl']}/.well-known/oauth-protected-resource/mcp"
    assert f'resource_metadata="{place}"' in refused.headers["www-authenticate"]
    told = api.send("GET", place.removeprefix(api.url)).json()
    assert told["authorization_servers"] == [ISSUER]
    found = issuer.http.get(f"{ISSUER}/.well-known/openid-configuration").json()
    assert found["issuer"] == ISSUER
    assert found["registration_endpoint"]


def test_who_allows_reading_alone_gets_the_tools_that_read(issuer: Issuer, user: User) -> None:
    connect(user, CALENDAR)
    issuer.grants_only("mcp:read")
    try:

        async def use(client: Client) -> None:
            assert [tool.name for tool in (await client.list_tools()).tools] == [
                "gmail_fetch_mails"
            ]
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("googlecalendar_create_event", _LUNCH)

        wire.with_client(RESOURCE, use, auth=signing_in(issuer, RESOURCE, user.id, Storage()))
    finally:
        issuer.grants_only()


def test_each_user_reaches_their_own_account(issuer: Issuer, user: User, other: User) -> None:
    connect(user)
    own, theirs = _access_token(issuer, user), _access_token(issuer, other)
    for _ in range(3):  # in the same warm function
        for token, fails in ((own, False), (theirs, True)):
            result = wire.post_call(user.api, RESOURCE, "gmail_fetch_mails", {}, token)
            assert result["isError"] is fails
    assert user.call("GET", "/instances").json()["instances"]


def test_a_tampered_token_is_refused_and_one_beside_a_url_or_in_a_query_too(
    issuer: Issuer, user: User, api: Api
) -> None:
    token = _access_token(issuer, user)
    assert wire.post(api, RESOURCE, "tools/list", token=token).status_code == 200
    head, claims, signature = token.split(".")
    for bad in (f"{head}.{claims}.{'A' * len(signature)}", f"{head}.{claims}.", user.token):
        assert wire.post(api, RESOURCE, "tools/list", token=bad).status_code == 401
    assert wire.post(api, f"{RESOURCE}?access_token={token}", "tools/list").status_code == 400
    assert wire.post(api, user.ensure()["url"], "tools/list", token=token).status_code == 400
    assert api.send("GET", "/instances", token=token).status_code == 401, "it is for /mcp alone"


def test_a_token_for_another_audience_is_refused(issuer: Issuer, user: User, api: Api) -> None:
    """Without a resource indicator the server's tokens are not for /mcp."""
    about = {"redirect_uris": [CALLBACK]}
    client = issuer.http.post(f"{ISSUER}/reg", json=about).raise_for_status().json()
    verifier = "v" * 43
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = httpx.QueryParams(
        client_id=client["client_id"],
        redirect_uri=CALLBACK,
        response_type="code",
        scope="openid mcp:full",
        code_challenge=challenge,
        code_challenge_method="S256",
    )
    code = issuer.consent(f"{ISSUER}/auth?{asked}", user.id)["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": CALLBACK,
    }
    secret = (client["client_id"], client["client_secret"])
    got = issuer.http.post(f"{ISSUER}/token", data=form, auth=secret).raise_for_status().json()
    canaries.remember("OAuth access token", got["access_token"], got["id_token"])
    for name in ("access_token", "id_token"):
        assert wire.post(api, RESOURCE, "tools/list", token=got[name]).status_code == 401
