"""Tool calls on the deployed stack: counted in its table and recorded in its log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.consent import GMAIL
from tests.e2e.deployed import aws
from tests.e2e.wire import post_call
from valet.native.limits import READS

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("Scalekit runs the tools, and MCP is its own")

FETCH = "gmail_fetch_mails"
WRONG = {"max_results": "all"}  # reaches no provider, and counts


def records(deployment: Deployment, user: User) -> list[dict[str, Any]]:
    pages = aws("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=deployment.resources["McpServerLogs"])
    lines = [event["message"] for page in found for event in page["events"]]
    read = [json.loads(line) for line in lines if '"tool called"' in line]
    return [record for record in read if record["user"] == user.key]


def test_a_loop_is_stopped_and_another_user_is_not(
    deployment: Deployment, api: Api, user: User, other: User
) -> None:
    url, theirs = user.ensure()["url"], other.ensure()["url"]
    told: list[str] = []
    # Twice as many: a minute may end in between.
    while len(told) <= 2 * READS.calls and "wait" not in (told or [""])[-1]:
        told.append(post_call(api, url, FETCH, WRONG)["content"][0]["text"])
    assert "which is as often as allowed" in told[-1]
    assert len(told) > READS.calls
    assert "max_results" in post_call(api, theirs, FETCH, WRONG)["content"][0]["text"]
    counts = [
        item
        for item in deployment.items()
        if item["pk"]["S"] == f"CALL#{user.key}" and item["sk"]["S"].startswith("MINUTE#")
    ]
    assert 1 <= len(counts) <= 3
    assert READS.calls - READS.sample < sum(int(c[f"tool:{FETCH}"]["N"]) for c in counts)
    outcomes = [record["outcome"] for record in records(deployment, user)]
    assert outcomes == ["invalid_arguments"] * (len(told) - 1) + ["rate_limited"]


def test_a_call_is_in_the_log_with_who_what_and_how_and_is_a_metric(
    deployment: Deployment, api: Api, user: User
) -> None:
    instance = user.ensure()
    post_call(api, instance["url"], FETCH, {"query": "e2e-recorded"})
    (record,) = records(deployment, user)
    assert record["instance"] == instance["id"]
    assert (record["via"], record["access"]) == ("url", "FULL")
    assert (record["tool"], record["connection"]) == (FETCH, GMAIL)
    assert record["outcome"] == "not_connected"
    assert record["function_request_id"]
    (metrics,) = record["_aws"]["CloudWatchMetrics"]
    assert all(record[name] for name in metrics["Dimensions"][0])
    assert "e2e-recorded" not in json.dumps(record)
