"""Runs last: nothing that the tests and the fakes know as secret is in a log or in the table."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from infra.local.deployment import OAUTH_CLIENTS
from tests.e2e import canaries
from tests.e2e.consent import GMAIL, connect
from tests.e2e.deployed import Deployment, aws
from tests.e2e.wire import post_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.api import Api
    from tests.e2e.google import Google
    from tests.e2e.people import User


def _logged() -> Iterator[tuple[str, str]]:
    """Every line of every log group."""
    logs = aws("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield name, event["message"]


def _stored(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Every item, its binary values as text of one character a byte."""
    for item in deployment.items():
        text = json.dumps(item, default=lambda value: bytes(value).decode("latin-1"))
        yield f"table {item['pk']['S'].partition('#')[0]}", text


def test_no_secret_is_in_a_log_or_in_the_table(
    user: User, api: Api, google: Google, deployment: Deployment
) -> None:
    # One whole life here too, so that there is something to find when this runs by itself.
    connect(user)
    fetched = post_call(api, user.ensure()["url"], "gmail_fetch_mails", {"max_results": 3})
    assert fetched["isError"] is False
    google.note()
    google.note_log()
    canaries.remember("OAuth client", OAUTH_CLIENTS["google"]["client_secret"])
    keys = aws("secretsmanager").get_secret_value(SecretId=deployment.resources["UrlKeys"])
    canaries.remember("URL keys", *json.loads(keys["SecretString"]).values())
    kinds = set(canaries.SEEN.values())
    assert {
        *("JWT", "user", "URL path", "cookie", "state", "code", "code_verifier", "nonce"),
        *("authorization_id", "bearer", "refresh_tokens", "mail", "OAuth client", "URL keys"),
    } <= kinds
    logged, stored = list(_logged()), list(_stored(deployment))
    # The search has seen what it is about: the functions' logs, and this user's sealed grant.
    assert {"EnsureInstanceLogs", "OAuthCallbackLogs", "McpServerLogs"} <= {
        place.rpartition("/")[2] for place, _ in logged
    }
    assert any(user.key in text and GMAIL in text and "sealed" in text for _, text in stored)
    assert canaries.find(logged + stored, canaries.SEEN) == []


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
        hits = canaries.find(_logged(), {_SECRET: "planted"})
    finally:
        logs.delete_log_group(logGroupName=group)
    assert hits
    assert all(hit.startswith(f"{group}: planted") for hit in hits)
