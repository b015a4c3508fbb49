"""Rolling the key ring that signs MCP URLs: no redeployment, and no outage."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING

import pytest

from tests.e2e import canaries
from tests.e2e.deployed import Deployment, aws
from tests.e2e.wire import post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.api import Api
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("URLs are Scalekit's")

_BETWEEN_READS = 2.0  # the ring is read past its cache no more often than this


@pytest.fixture
def renew(deployment: Deployment) -> Iterator[Callable[[str], None]]:
    """Replaces a function's workers, as Lambda does in its own time; and once more at the end."""
    renewed = set[str]()

    def act(logical_id: str) -> None:
        deployment.renew(logical_id)
        renewed.add(logical_id)

    yield act
    for logical_id in list(renewed):
        act(logical_id)


@pytest.fixture
def roll(deployment: Deployment, renew: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Puts a new key into the ring, and lets it sign; afterwards the ring is as it was.

    `renew` ends after it, so that the workers that are left know the old ring only.
    """
    client, arn = aws("secretsmanager"), deployment.resources["UrlKeys"]
    before = client.get_secret_value(SecretId=arn)["SecretString"]

    def act(key_id: str) -> None:
        key = secrets.token_urlsafe(48)
        canaries.remember("URL keys", key)
        ring = json.loads(before) | {"current": key_id, key_id: key}
        client.put_secret_value(SecretId=arn, SecretString=json.dumps(ring))
        renew("EnsureInstanceFunction")

    yield act
    client.put_secret_value(SecretId=arn, SecretString=before)


def _signed_by(url: str) -> str:
    key = url.rpartition("/mcp/mvk_")[2]
    return urlsafe_b64decode(key[:80])[20:28].rstrip(b"\0").decode()


def _cold_starts(deployment: Deployment) -> set[str]:
    """The requests for which the MCP server was started, by its own log."""
    pages = (
        aws("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=deployment.resources["McpServerLogs"])
    )
    lines = [event["message"] for page in pages for event in page["events"]]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return {line["function_request_id"] for line in told if line.get("cold_start")}


def _is_served(api: Api, url: str) -> bool:
    """By a call, since of MCP's requests only those are in the log; its arguments are wrong."""
    params = {"name": "gmail_fetch_mails", "arguments": {"max_results": "all"}}
    return post(api, url, "tools/call", params).status_code == 200


def test_a_rolled_key_signs_new_urls_at_once_and_old_urls_go_on(
    user: User,
    other: User,
    api: Api,
    deployment: Deployment,
    renew: Callable[[str], None],
    roll: Callable[[str], None],
) -> None:
    old = user.ensure()["url"]
    assert _signed_by(old) != "k2"
    starts = _cold_starts(deployment)
    renew("McpServerFunction")
    assert _is_served(api, old)
    warm_at = time.monotonic()
    (start,) = _cold_starts(deployment) - starts

    roll("k2")
    new = other.ensure()["url"]
    assert _signed_by(new) == "k2"
    # The same worker, whose ring is from before the roll, and not read within the last moment.
    while not _is_served(api, old) or time.monotonic() < warm_at + _BETWEEN_READS:
        assert time.monotonic() < warm_at + 60, "the old URL is out of order"
    assert _is_served(api, new)
    assert _is_served(api, old)
    assert user.ensure()["url"] == old
    assert _cold_starts(deployment) - starts == {start}
