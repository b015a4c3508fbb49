"""Runs last: nothing that the tests and the fakes know as secret is where it must not be.

That is: in a log, in the table or in an event; and most of it, in an answer of the API.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from infra.local.deployment import OAUTH_CLIENTS
from tests.e2e import answers, canaries, scalekit
from tests.e2e.api import Api
from tests.e2e.consent import GMAIL, connect
from tests.e2e.deployed import Deployment, aws
from tests.e2e.issuer import RESOURCE, Storage, signing_in
from tests.e2e.people import sign_up
from tests.e2e.wire import call, list_tools, post_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.google import Google
    from tests.e2e.issuer import Issuer
    from tests.e2e.listener import Listener
    from tests.e2e.people import User


def logged() -> Iterator[tuple[str, str]]:
    """Every line of every log group."""
    logs = aws("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield name, event["message"]


def stored(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Every item, its binary values as text of one character a byte."""
    for item in deployment.items():
        text = json.dumps(item, default=lambda value: bytes(value).decode("latin-1"))
        yield f"table {item['pk']['S'].partition('#')[0]}", text


@pytest.fixture(scope="module")
def life(deployment: Deployment, api: Api, google: Google, request: pytest.FixtureRequest) -> User:
    """One whole life here too, so that there is something to find when this runs by itself."""
    user = sign_up(deployment, api)
    connect(user)
    run = api.as_service("POST", f"/users/{user.id}/tools/gmail_fetch_mails", {})
    assert run.json()["code"] == "ok"
    google.note()
    google.note_log()
    if deployment.backend == "native":
        kinds = _used(user, deployment, request.getfixturevalue("issuer"))
    else:
        kinds = _used_at_scalekit(user)
    kinds |= {"JWT", "user", "URL path", "cookie", "state", "code", "authorization_id"}
    kinds |= {"bearer", "refresh_tokens", "mail"}
    assert kinds <= set(canaries.SEEN.values())
    return user


def _used(user: User, deployment: Deployment, issuer: Issuer) -> set[str]:
    """Every way to our server; the kinds of secrets that came with it."""
    url = user.ensure()["url"]
    fetched = post_call(user.api, url, "gmail_fetch_mails", {"max_results": 3})
    assert fetched["isError"] is False
    assert list_tools(url)
    token = user.token_for_mcp()
    assert list_tools(token["url"], token=token["token"])
    assert list_tools(RESOURCE, auth=signing_in(issuer, RESOURCE, user.id, Storage()))
    canaries.remember("OAuth client", OAUTH_CLIENTS["google"]["client_secret"])
    keys = aws("secretsmanager").get_secret_value(SecretId=deployment.resources["UrlKeys"])
    canaries.remember("URL keys", *json.loads(keys["SecretString"]).values())
    ours = {"OAuth client", "URL keys", "session token", "OAuth access token"}
    return ours | {"code_verifier", "nonce"}


def _used_at_scalekit(user: User) -> set[str]:
    assert not call(user.ensure()["url"], "gmail_fetch_mails", {"max_results": 3}).is_error
    scalekit.note()
    return {"Scalekit client", "Scalekit access token", "magic link", "MCP URL"}


def test_no_secret_is_in_a_log_or_in_the_table(life: User, deployment: Deployment) -> None:
    lines, items = list(logged()), list(stored(deployment))
    # The search has seen what it is about: the functions' logs, and what is kept of this user.
    native = deployment.backend == "native"
    groups = {"CreateConfigLogs", "EnsureInstanceLogs", "OAuthCallbackLogs"}
    groups |= {"McpServerLogs"} if native else set()
    assert groups <= {place.rpartition("/")[2] for place, _ in lines}
    assert any("tool called" in text and life.key in text for _, text in lines)
    of_them = [text for _, text in items if life.key in text]
    assert of_them
    assert any(GMAIL in text and "sealed" in text for text in of_them) == native
    assert canaries.find(lines + items, canaries.SEEN) == []


def test_no_secret_is_in_an_event(life: User, all_events: Listener) -> None:
    told = all_events.until(lambda text: life.key in text and '"ACTIVE"' in text)
    assert canaries.find((("event", text) for text in told), canaries.SEEN) == []


def test_no_answer_carries_what_no_caller_may_have(life: User, deployment: Deployment) -> None:
    assert life
    ours = {"answer to POST /mcp", "answer to the MCP client's POST /mcp"}
    # The search has seen the answers of every kind of caller.
    assert {
        *("answer to POST /instances", "answer to POST /connect", "answer to POST /users"),
        *("answer to POST /authorizations", f"answer to GET {answers.CALLBACK}"),
        *(ours if deployment.backend == "native" else ()),
    } <= {place for place, _ in answers.SEEN}
    assert _in_answers() == []


def _in_answers() -> list[str]:
    """What must not be in an answer.

    A state may be, on its way to Google but not back from it, a session token where it is made, and
    a magic link where a consent starts.
    """
    forbidden = {s: kind for s, kind in canaries.SEEN.items() if kind in answers.FORBIDDEN}
    states = {s: kind for s, kind in canaries.SEEN.items() if kind == "state"}
    back = [(place, text) for place, text in answers.SEEN if answers.CALLBACK in place]
    tokens = {s: kind for s, kind in canaries.SEEN.items() if kind == "session token"}
    issuers = ("answer to POST /instances", "answer to POST /users")
    others = [(place, text) for place, text in answers.SEEN if place not in issuers]
    links = {s: kind for s, kind in canaries.SEEN.items() if kind == "magic link"}
    start = "answer to POST /connect"
    elsewhere = [(place, text) for place, text in answers.SEEN if place != start]
    return (
        canaries.find(answers.SEEN, forbidden)
        + canaries.find(back, states)
        + canaries.find(others, tokens)
        + canaries.find(elsewhere, links)
    )


_SECRET = "ya29.a0-e2e/planted+token=with every_kind of character"


@pytest.mark.parametrize(
    "leak",
    [
        f'{{"message": "got {_SECRET} from there"}}',
        f"https://evil.example/?t={quote(_SECRET, safe='')}",
        _SECRET[:20],
        _SECRET[-18:],
        *(base64.b64encode(b"x" * n + _SECRET.encode() + b"yyy").decode() for n in range(3)),
        *(base64.urlsafe_b64encode(b"x" * n + _SECRET.encode()).decode() for n in range(3)),
        bytes(_SECRET.encode()).decode("latin-1"),
    ],
)
def test_a_planted_leak_is_found(leak: str) -> None:
    (hit,) = {hit.partition(",")[0] for hit in canaries.find([("log", leak)], {_SECRET: "planted"})}
    assert hit == "log: planted"
    assert _SECRET[:8] not in hit


def test_an_innocent_text_is_no_leak() -> None:
    innocent = "a ya29 token was renewed; no planted+token, no character of any kind in it"
    assert canaries.find([("log", innocent)], {_SECRET: "planted"}) == []


def test_a_leak_planted_in_the_emulator_is_found_there() -> None:
    logs, group = aws("logs"), "/e2e/planted"
    logs.create_log_group(logGroupName=group)
    try:
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        event = {"timestamp": 1_800_000_000_000, "message": f"token={_SECRET}"}
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
        hits = canaries.find(logged(), {_SECRET: "planted"})
    finally:
        logs.delete_log_group(logGroupName=group)
    assert hits
    assert all(hit.startswith(f"{group}: planted") for hit in hits)


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        ("access_tokens", "/connections", httpx.Response(200, json={"token": _SECRET})),
        ("refresh_tokens", "/mcp/mvk_x", httpx.Response(200, text=f"event: {_SECRET}")),
        ("JWT", "/instances", httpx.Response(401, headers={"www-authenticate": _SECRET})),
        ("code_verifier", "/connect/t", httpx.Response(303, headers={"set-cookie": _SECRET})),
        *(
            (
                kind,
                "/oauth/callback/MY_GMAIL",
                httpx.Response(303, headers={"location": f"/?x={quote(_SECRET, safe='')}"}),
            )
            for kind in ("code", "state")
        ),
    ],
)
def test_a_leak_planted_in_an_answer_is_found(
    kind: str, path: str, answer: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SEEN", {})
    monkeypatch.setattr(canaries, "SEEN", {_SECRET: kind})
    leaking = Api("http://127.0.0.1:1", httpx.MockTransport(lambda _: answer))
    leaking.send("GET", path)
    hits = _in_answers()
    assert hits
    assert all(hit.startswith("answer to GET /") and f": {kind}, " in hit for hit in hits)


def test_what_an_answer_may_carry_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SEEN", {})
    monkeypatch.setattr(canaries, "SEEN", {})
    to_google = f"https://accounts.example/?state={quote(_SECRET, safe='')}"
    answer = httpx.Response(303, headers={"location": to_google})
    Api("http://127.0.0.1:1", httpx.MockTransport(lambda _: answer)).send("POST", "/connect/t/c")
    assert canaries.SEEN == {_SECRET: "state"}
    assert _in_answers() == []
