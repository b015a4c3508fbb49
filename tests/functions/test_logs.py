"""What the functions log over a whole life of a connection: everything that happened, no secret.

Lambda's JSON logging lets every library at INFO through, so the capture does as well.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from tests import events
from tests.issuer import ISSUER, FakeIssuer
from tests.world import ALICE, CONFIG, GMAIL, GOOGLE, URL
from valet.adapters.provider_http import HttpxProvider
from valet.adapters.token_endpoint import HttpxTokenEndpoint
from valet.connectors.catalog import load_connector
from valet.models import Secret
from valet.native import keys
from valet.native.provider import InvalidGrant, OAuthClient
from valet.wiring import shared

if TYPE_CHECKING:
    import io

    import pytest

    from tests.functions.support import Bundle

SEARCH = "subject:confidential-merger"
SUBJECT = "Canary subject of a private mail"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def forms(secret: str) -> list[str]:
    """How a secret may look in a log: as it is, quoted, or in base64 (without its ragged end)."""
    data = secret.encode()
    encoded = [b64encode(data).decode(), urlsafe_b64encode(data).decode()]
    return [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *(e[:-4] for e in encoded)]


def gmail(request: httpx.Request) -> httpx.Response:
    headers = [{"name": "Subject", "value": SUBJECT}, {"name": "From", "value": "eve@example.com"}]
    message = {"id": "18c0ffee", "threadId": "18c0ffee", "payload": {"headers": headers}}
    found = {"messages": [{"id": "18c0ffee", "threadId": "18c0ffee"}]}
    answer = found if request.url.path.endswith("/messages") else message
    return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))


def life(bundle: Bundle) -> list[str]:
    """A connection's whole life, with its mishaps; the secrets that were in it."""
    made = bundle.ensure()
    link = made["connect_url"].rsplit("/", 1)[1]
    bundle.call("oauth_callback", "GET /connect/{ticket}", path={"ticket": link})
    bundle.start(link, sec_fetch_site="cross-site")
    browser = bundle.consent()
    browser.back(f"state={browser.asked['state']}&code=canary-code-1&iss=https://evil.example")
    browser = bundle.consent()
    query = {"state": browser.asked["state"], "code": "canary-code-2", "iss": GOOGLE}
    bundle.verify(browser.back(query).headers["location"].rsplit("=", 1)[1], "bob")
    browser = bundle.consent()
    query = {"state": browser.asked["state"], "code": "canary-code-3", "iss": GOOGLE}
    authorization_id = browser.back(query).headers["location"].rsplit("=", 1)[1]
    headers = {"authorization": f"Bearer {JWT}", "cookie": f"session={JWT}"}
    assert bundle.verify(authorization_id, headers=headers).status == 200
    key = made["url"].rsplit("/", 1)[1]
    call: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails", "arguments": {"query": SEARCH}},
    }
    assert SUBJECT in bundle.mcp(key, call).body
    bundle.mcp(key[:-1], call)
    token = bundle.token()["token"]
    assert SUBJECT in bundle.bearer(token, call).body
    bundle.bearer(token[:-1], call)
    bundle.bearer(JWT, call)
    signatures = [token.rsplit(".", 1)[1] for token in by_oauth(bundle, call)]
    bundle.world.now.advance(hours=2)
    bundle.world.provider.answers.append(InvalidGrant("canary words of the provider"))
    told = bundle.mcp(key, call).json["result"]["content"][0]["text"]
    in_tool = told.split("/connect/")[1].split()[0]
    asked = bundle.mcp_modern(key, "tools/call", **call["params"]).json["result"]
    in_question = asked["inputRequests"]["connect"]["params"]["url"].rsplit("/", 1)[1]
    bundle.call("ensure_instance", "POST /instances", body={"config": "nope"}, caller=events.jwt())
    bundle.invoke("ensure_instance", {"config": CONFIG, "user": "alice@example.com"})
    call_route = "DELETE /connections/{name}"
    bundle.call("oauth_callback", call_route, path={"name": GMAIL}, caller=events.jwt())
    tokens = ["at-1", "rt-1", "client-secret-1", "google-alice", "alice@example.com"]
    contents = [SEARCH, SUBJECT, "eve@example.com", "canary words", "18c0ffee"]
    codes = ["canary-code-1", "canary-code-2", "canary-code-3", browser.asked["state"]]
    cookies = list(browser.cookies.values())
    links = [link, browser.ticket, in_tool, in_question, authorization_id]
    keys_and_tokens = [key, key[:-1], made["url"], token[:-1], asked["requestState"]]
    keys_and_tokens += [JWT, *signatures]
    return [*tokens, *contents, *codes, *cookies, *links, *keys_and_tokens]


def by_oauth(bundle: Bundle, call: dict[str, Any]) -> list[str]:
    """A good access token and one that is not for us, both used."""
    issuer = FakeIssuer()
    bundle.world.trusting(ISSUER, issuer.trusted())
    until = int(bundle.world.now().timestamp()) + 60
    about = {"iss": ISSUER, "sub": "alice", "scope": "mcp:full", "exp": until}
    tokens = [issuer.sign(about | {"aud": aud}) for aud in (f"{URL}/mcp", "https://other.example")]
    assert SUBJECT in bundle.bearer(tokens[0], call).body
    assert bundle.bearer(tokens[1], call).status == 401
    return tokens


def test_no_secret_and_no_content_reaches_the_log(
    bundle: Bundle, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = load_connector("gmail").hosts
    real = HttpxProvider(hosts, client=httpx.Client(transport=httpx.MockTransport(gmail)))
    monkeypatch.setattr(bundle.provider, "send", real.send)
    secrets = life(bundle)
    text = log.getvalue()
    for secret in secrets:
        for form in forms(secret):
            assert form not in text, f"a log line holds {secret!r}"


def test_what_happened_is_in_the_log(bundle: Bundle, log: io.StringIO) -> None:
    """The scan above would pass on silence."""
    bundle.verify(bundle.consent().authorization(), "bob")
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails"},
    }
    bundle.mcp(bundle.ensure()["url"].rsplit("/", 1)[1], call)
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
    told = {(line["function_name"], line["message"]) for line in lines}
    assert told >= {
        ("ensure_instance", "answered"),
        ("oauth_callback", "answered"),
        ("oauth_callback", "refused"),
        ("oauth_callback", "authorization rejected"),
        ("mcp_server", "tool called"),
    }
    rejected = next(line for line in lines if line["message"] == "authorization rejected")
    assert rejected["level"] == "WARNING"
    assert (rejected["reason"], rejected["connection"]) == ("wrong_user", GMAIL)
    assert all(line["correlation_id"] == "gw-request-1" for line in lines)


def test_a_broken_seal_is_an_error_in_the_log(bundle: Bundle, log: io.StringIO) -> None:
    bundle.connected()
    bundle.world.table.items[keys.account(ALICE, GMAIL)]["sealed"] = b"moved"
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails", "arguments": {}},
    }
    bundle.mcp(bundle.ensure()["url"].rsplit("/", 1)[1], call)
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
    assert [line["outcome"] for line in lines if line["level"] == "ERROR"] == ["seal_broken"]


def test_the_http_client_logs_no_url(log: io.StringIO) -> None:
    """httpx logs every request's URL at INFO: a search, a message's id, a recipient."""
    assert shared
    answer = httpx.Response(200, stream=httpx.ByteStream(b'{"access_token": "at-9"}'))
    transport = httpx.MockTransport(lambda _: answer)
    endpoint = HttpxTokenEndpoint(httpx.Client(transport=transport), lambda url: url)
    client = OAuthClient("id", Secret("s"))
    provider = load_connector("gmail").provider
    endpoint.refresh(provider, client, refresh_token=Secret("rt-9"))
    assert log.getvalue() == ""


def test_the_log_says_why_an_access_token_was_refused(bundle: Bundle, log: io.StringIO) -> None:
    """Its bearer is not told, so the operator has to be."""
    issuer = FakeIssuer()
    bundle.world.trusting(ISSUER, issuer.trusted())
    about = {"iss": ISSUER, "sub": "alice", "scope": "mcp:full", "aud": f"{URL}/mcp"}
    until = int(bundle.world.now().timestamp()) + 60
    reasons = {
        "not_of_the_issuer": "x",
        "not_an_access_token": issuer.sign(about | {"exp": until, "nonce": "n"}),
        "for_another_audience": issuer.sign(about | {"exp": until, "aud": "other"}),
        "not_now": issuer.sign(about),
        "no_user": issuer.sign(about | {"exp": until, "sub": ""}),
    }
    for token in reasons.values():
        assert bundle.bearer(token, {}).status == 401
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
    told = [line["code"] for line in lines if line["message"] == "access token refused"]
    assert told == list(reasons)
