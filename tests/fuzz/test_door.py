"""Ten thousand requests through the function's own door: no 5xx, nothing outside the protocol."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mcp_server
from tests import events
from tests.fakes import Clock
from tests.functions.support import Answer, Bundle
from tests.fuzz import requests
from tests.fuzz.rules import Got, Sent, check
from tests.issuer import ISSUER, FakeIssuer
from tests.world import CALENDAR, GMAIL
from valet.connectors.catalog import load_connector
from valet.models import Access, ConnectionTools, Secret, TokenSet
from valet.tools.provider import AnswerTooLarge, ProviderRequest, ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valet.connectors.models import Tool

REQUESTS = 10_000
BY_URL, BY_BEARER = "ANY /mcp/{key}", "ANY /mcp"
NOW = int(Clock()().timestamp())  # as the door's world begins
TOOLS: dict[str, Tool] = {
    name: tool
    for connector in ("gmail", "googlecalendar")
    for name, tool in load_connector(connector).tools.items()
}
SCHEMAS = {
    name: jsonschema_rs.Draft202012Validator(dict(tool.output_schema))
    for name, tool in TOOLS.items()
}


class AnyProvider:
    """`ProviderHttp` that gives every request of a call the same answer."""

    def __init__(self) -> None:
        self.answer: ProviderResponse | Exception = ProviderResponse(404)
        self.may_write = True

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        assert request.path.startswith("/")
        assert token.reveal() == "at-1"
        assert self.may_write or request.method == "GET" or request.path.endswith("/freeBusy")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Door:
    """The function with one user: Gmail connected, Calendar not; each request finds it as new."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bundle = Bundle(monkeypatch)
        self.bundle.world.trusting(ISSUER, issuer.trusted())
        self.provider = AnyProvider()
        monkeypatch.setattr(mcp_server, "provider_http", lambda: self.provider)
        world = self.bundle.world
        world.exposing(ConnectionTools(GMAIL), ConnectionTools(CALENDAR))
        self.bundle.connected()
        lasting = TokenSet(Secret("at-1"), Secret("rt-1"), world.now() + timedelta(days=30))
        account = world.account()
        world.grants.refreshed(account, lasting, account.scopes)
        tokens = [self.bundle.token(access=a, expires_in_seconds=86_400) for a in Access]
        self.secrets = {
            "key": self.bundle.ensure()["url"].rsplit("/", 1)[1],
            **{made["access"]: made["token"] for made in tokens},
        }
        self.errors: list[str] = []
        monkeypatch.setattr(
            mcp_server.logger, "error", lambda what, **_: self.errors.append(str(what))
        )
        self._items, self._began = copy.deepcopy(world.table.items), world.now()
        self.sent = 0

    def send(self, event: dict[str, Any]) -> Answer:
        world = self.bundle.world
        world.table.items = copy.deepcopy(self._items)
        # Another minute than the last one, for the limits, and within the life of the tokens.
        world.now.moment = self._began + timedelta(minutes=self.sent % 1000)
        self.sent += 1
        return self.bundle.send("mcp_server", event)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Door(monkeypatch)


params = requests.params_for(requests.calls_of(TOOLS))
bodies = requests.bodies_of(requests.messages_for(params))
issuer = FakeIssuer()
credentials = st.one_of(
    st.tuples(st.just("OAuth"), requests.access_tokens(issuer, NOW)),
    st.sampled_from(["key", "FULL", "READ_ONLY"]).map(lambda name: (name, "")),
    st.tuples(
        st.sampled_from(["bad key", "bad token"]),
        st.text(max_size=8)
        | st.just("mvk_\ud800")
        | st.text("mvkt_0aA", max_size=120).map(lambda text: f"mv{text}"),
    ),
)
methods = st.sampled_from([*["POST"] * 20, "GET", "DELETE", "PUT", "HEAD", "OPTIONS", "post", ""])
more_headers = st.dictionaries(
    st.sampled_from(["authorization", "cookie", "x-api-key", "content-type", "accept", "host"]),
    st.text(max_size=12) | st.sampled_from(["Bearer x", "application/json; charset=utf-8"]),
    max_size=2,
)
provider_answers = st.builds(
    ProviderResponse,
    st.sampled_from(requests.STATUSES),
    requests.provider_bodies(),
    st.none() | st.integers(0, 90),
)


@st.composite
def http_events(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """An event as API Gateway sends it, but for the credential, and the body that is in it."""
    if draw(st.integers(0, 2)):
        (body, headers), method = draw(requests.coherent(params)), "POST"
    else:
        body, headers, method = draw(bodies), dict(draw(requests.header_sets)), draw(methods)
        if draw(st.integers(0, 4)) == 0:
            headers |= draw(more_headers | requests.refused_headers)
    query = draw(st.sampled_from(["", "", "", "", "key=x"]))
    event = events.http(BY_BEARER, method=method, headers=headers, query=query)
    if draw(st.booleans()):
        return event | {"body": b64encode(body).decode(), "isBase64Encoded": True}, body
    try:
        return event | {"body": body.decode()}, body
    except UnicodeDecodeError:
        # API Gateway marks what is no text as base64; whoever invokes may not.
        text = body.decode("utf-8", "surrogateescape")
        return event | {"body": text, "isBase64Encoded": draw(st.booleans())}, b""


def with_credential(event: dict[str, Any], kind: str, text: str) -> dict[str, Any]:
    if kind in ("key", "bad key"):
        return event | {"routeKey": BY_URL, "pathParameters": {"key": text}}
    return event | {"headers": event["headers"] | {"authorization": f"Bearer {text}"}}


@settings(
    max_examples=REQUESTS,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    drawn=http_events(),
    credential=credentials,
    answer=provider_answers | st.builds(AnswerTooLarge, st.just("x")),
)
def send_one(
    door: Door,
    drawn: tuple[dict[str, Any], bytes],
    credential: tuple[str, str],
    answer: ProviderResponse | AnswerTooLarge,
) -> None:
    (event, body), (kind, text) = drawn, credential
    door.provider.answer = answer
    door.provider.may_write = kind != "READ_ONLY"
    event = with_credential(event, kind, door.secrets.get(kind, text))
    got = door.send(event)
    sent = Sent(event["requestContext"]["http"]["method"], event["headers"], body)
    check(sent, Got(got.status, got.headers, got.body), SCHEMAS)
    assert door.errors == []
    assert not [name for name, secret in door.secrets.items() if secret in got.body]
    if kind.startswith("bad"):
        # Whatever else is wrong with the request, it is told nothing about its credential.
        assert got.status in (400, 401, 403, 404, 405, 406, 413, 415)
        other = door.send(with_credential(event, kind, "another"))
        assert (other.status, other.body) == (got.status, got.body)


def test_no_request_gets_an_answer_outside_the_protocol(door: Door) -> None:
    send_one(door)
    assert door.sent >= REQUESTS


def test_the_judge_sees_what_is_wrong() -> None:
    """It would be of no use if it let everything pass."""
    right = {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    sent = Sent("POST", {"content-type": "application/json"}, json.dumps(call).encode())
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": "application/json",
    }
    check(sent, Got(200, headers, json.dumps(right)), {})
    wrong: list[tuple[int, Any]] = [
        (200, right | {"id": "1"}),
        (200, right | {"id": None}),
        (200, right | {"extra": 1}),
        (200, right | {"result": {"tools": [{"name": 1}]}}),
        (200, right | {"result": {"tools": [], "resultType": "complete"}}),
        (200, [right]),
        (404, right),
        (500, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "x"}}),
        (200, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "x"}}),
        (400, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32042, "message": "x"}}),
        (400, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602}}),
        (202, ""),
    ]
    for status, body in wrong:
        with pytest.raises((AssertionError, KeyError, ValueError)):
            check(sent, Got(status, headers, json.dumps(body) if body else ""), {})
