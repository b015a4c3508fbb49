"""The audit of tool calls as it reaches the log group: one line a call, and the metric in it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.infra.template_support import environment
from tests.world import ALICE, CONFIG, GMAIL
from valet.native.limits import READS
from valet.native.tickets import MOST
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    import io

    from tests.functions.support import Bundle

FETCH = "gmail_fetch_mails"
MESSAGES = "/gmail/v1/users/me/messages"

# What a log line of ours has besides; `function_request_id` is Lambda's, `correlation_id` API
# Gateway's, which its access log has too.
LINE = {
    "cold_start",
    "correlation_id",
    "function_arn",
    "function_memory_size",
    "function_name",
    "function_request_id",
    "level",
    "location",
    "message",
    "service",
    "timestamp",
}
RECORD = {
    "user": str,
    "instance": str,
    "via": str,
    "access": str,
    "config": str,
    "revision": int,
    "tool": str,
    "connection": str,
    "arguments_sha256": str,
    "outcome": str,
    "provider_status": int,
    "milliseconds": int,
}


def message(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def call(bundle: Bundle, name: str = FETCH, **arguments: Any) -> Any:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    return bundle.mcp(key, message(name, arguments)).json


def records(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == "tool called"]


@pytest.fixture
def connected(bundle: Bundle) -> Bundle:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    return bundle


def test_the_record_of_a_call_has_exactly_these_fields(connected: Bundle, log: io.StringIO) -> None:
    call(connected, query="from:bob")
    (record,) = records(log)
    assert set(record) == LINE | set(RECORD) | {"ToolLatency", "_aws"}
    for name, kind in RECORD.items():
        assert type(record[name]) is kind, name
    assert record["user"] == ALICE
    assert record["instance"] == connected.ensure()["id"]
    assert (record["via"], record["access"]) == ("url", "FULL")
    assert (record["config"], record["revision"]) == (CONFIG, 1)
    assert (record["tool"], record["connection"]) == (FETCH, GMAIL)
    assert len(record["arguments_sha256"]) == 64
    assert (record["outcome"], record["provider_status"]) == ("ok", 200)
    assert record["function_request_id"] == "11111111-2222-3333-4444-555555555555"
    assert record["correlation_id"] == "gw-request-1"


def test_the_line_is_a_metric_by_tool_and_outcome(connected: Bundle, log: io.StringIO) -> None:
    """CloudWatch's embedded metric format: every name in it is a member of the line."""
    call(connected)
    (record,) = records(log)
    directive = record["_aws"]
    assert set(directive) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(directive["Timestamp"], int)
    (metrics,) = directive["CloudWatchMetrics"]
    assert metrics == {
        "Namespace": environment("mcp_server")["POWERTOOLS_METRICS_NAMESPACE"],
        "Dimensions": [["service", "tool", "outcome"]],
        "Metrics": [{"Name": "ToolLatency", "Unit": "Milliseconds"}],
    }
    assert all(record[name] and isinstance(record[name], str) for name in metrics["Dimensions"][0])
    assert record["ToolLatency"] == record["milliseconds"]


def test_a_call_that_is_refused_leaves_a_record_and_no_name_that_was_made_up(
    connected: Bundle, log: io.StringIO
) -> None:
    call(connected, "gmail_send_message", to="x")
    call(connected, "canary_tool")
    call(connected, query=7)
    unlisted, unknown, wrong = records(log)
    assert (unlisted["tool"], unlisted["outcome"]) == ("gmail_send_message", "unknown_tool")
    assert (unknown["tool"], unknown["outcome"]) == ("(unknown)", "unknown_tool")
    assert (wrong["tool"], wrong["outcome"]) == (FETCH, "invalid_arguments")
    # What does not apply is left out.
    nothing_asked = LINE | set(RECORD) - {"provider_status"} | {"ToolLatency", "_aws"}
    assert set(wrong) == nothing_asked
    assert set(unlisted) == set(unknown) == nothing_asked - {"connection"}
    assert "canary" not in log.getvalue()


def test_made_up_tools_make_no_new_metrics(connected: Bundle, log: io.StringIO) -> None:
    key = connected.ensure()["url"].rsplit("/", 1)[1]
    for number in range(50):
        connected.mcp(key, message(f"tool_{number}", {}))
    dimensions = {(r["service"], r["tool"], r["outcome"]) for r in records(log)}
    assert dimensions == {("mcp-valet", "(unknown)", "unknown_tool")}


def test_a_loop_is_told_how_long_to_wait_and_others_go_on(
    connected: Bundle, log: io.StringIO
) -> None:
    connected.connected("bob")
    alice, bob = (connected.ensure(user)["url"].rsplit("/", 1)[1] for user in ("alice", "bob"))
    fetch = message(FETCH, {})
    for _ in range(READS.calls):
        assert not connected.mcp(alice, fetch).json["result"]["isError"]
    asked = len(connected.provider.requests)
    refused = connected.mcp(alice, fetch)
    assert refused.status == 200  # a 429 would end clients' sessions
    assert refused.json["result"]["isError"] is True
    assert "wait 60 seconds" in refused.json["result"]["content"][0]["text"]
    assert len(connected.provider.requests) == asked
    assert records(log)[-1]["outcome"] == "rate_limited"
    assert "provider_status" not in records(log)[-1]
    assert not connected.mcp(bob, fetch).json["result"]["isError"]
    connected.world.now.advance(seconds=60)
    assert not connected.mcp(alice, fetch).json["result"]["isError"]


def test_over_http_a_refusal_says_when_to_come_back(bundle: Bundle) -> None:
    for _ in range(MOST):
        bundle.ensure()
    bundle.world.now.advance(seconds=40)
    body = {"config": CONFIG}
    answer = bundle.call("ensure_instance", "POST /instances", caller=events.jwt(), body=body)
    assert (answer.status, answer.code) == (429, "too_many_links")
    assert answer.headers["retry-after"] == "560"


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_call_that_its_user_did_not_let_go_on_is_recorded_and_not_counted(
    action: str, bundle: Bundle, log: io.StringIO
) -> None:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    params: dict[str, Any] = {"name": FETCH, "arguments": {}}
    asked = bundle.mcp_modern(key, "tools/call", **params).json["result"]
    params |= {
        "requestState": asked["requestState"],
        "inputResponses": {"connect": {"action": action}},
    }
    counted = copy.deepcopy(bundle.world.table.items)
    assert bundle.mcp_modern(key, "tools/call", **params).json["result"]["isError"] is True
    assert bundle.world.table.items == counted
    first, left = records(log)
    assert (first["outcome"], left["outcome"]) == ("not_connected", f"connect_{action}")
    assert left["arguments_sha256"] == first["arguments_sha256"]
    assert set(left) == (LINE | set(RECORD) | {"ToolLatency", "_aws"}) - {"provider_status"}
