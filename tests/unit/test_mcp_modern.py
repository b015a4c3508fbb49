"""The stateless revision, 2026-07-28: envelopes, mirrored headers, statuses."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.mcp_support import ECHO as TOOL
from tests.unit.mcp_support import MODERN, PREFIX, MemoryToolbox, World, envelope, message

SERVER_INFO = {"name": "valet", "title": "Valet", "version": "1.2.3"}
ECHO = {"name": "echo", "arguments": {"text": "hi"}}


def encoded(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def test_discovery_names_every_revision_of_both_eras() -> None:
    assert World().modern("server/discover").result == {
        "resultType": "complete",
        "supportedVersions": [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"],
        "capabilities": {"tools": {}},
        "instructions": "Tools of your accounts.",
        "ttlMs": 3_600_000,
        "cacheScope": "private",
        "_meta": {f"{PREFIX}serverInfo": SERVER_INFO},
    }


def test_a_list_says_how_long_and_for_whom_it_holds() -> None:
    result = World().modern("tools/list").result
    assert (result["ttlMs"], result["cacheScope"]) == (30_000, "private")
    assert [tool["name"] for tool in result["tools"]] == ["echo", "send"]
    assert "nextCursor" not in result


def test_both_eras_list_the_same_tools() -> None:
    world = World()
    assert world.modern("tools/list").result["tools"] == world.legacy("tools/list").result["tools"]


@pytest.mark.parametrize(
    ("method", "params"),
    [("server/discover", {}), ("tools/list", {}), ("tools/call", ECHO)],
)
def test_every_result_is_typed_and_names_the_server(method: str, params: Any) -> None:
    result = World().modern(method, params).result
    assert result["resultType"] == "complete"
    assert result["_meta"] == {f"{PREFIX}serverInfo": SERVER_INFO}


@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/list",
        "resources/subscribe",
        "prompts/get",
        "subscriptions/listen",
        "completion/complete",
        "Tools/List",
        "",
    ],
)
def test_a_method_that_is_not_served_is_404(method: str) -> None:
    answer = World().modern(method, {"protocolVersion": "2025-11-25"})
    assert answer.fault == (404, -32601)
    assert answer.json["id"] == 1


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {f"{PREFIX}protocolVersion": MODERN},
        {f"{PREFIX}clientCapabilities": {}},
        envelope(version=20260728),
        envelope(version=None),
        envelope(capabilities=[]),
        envelope(capabilities="all"),
    ],
)
def test_an_incomplete_envelope_is_invalid(meta: dict[str, Any]) -> None:
    world = World()
    assert world.modern("tools/call", ECHO, meta=meta).fault == (400, -32602)
    assert not world.toolbox.calls


@pytest.mark.parametrize("params", [None, {}, {"_meta": None}, {"_meta": []}, {"_meta": "x"}])
def test_the_header_alone_does_not_make_an_envelope(params: Any) -> None:
    answer = World().send(
        message("tools/list", params), mcp_protocol_version=MODERN, mcp_method="tools/list"
    )
    assert answer.fault == (400, -32602)


def test_half_an_envelope_without_headers_is_not_taken_for_an_old_request() -> None:
    meta: dict[str, Any] = {f"{PREFIX}clientCapabilities": {}}
    assert World().send(message("tools/list", {"_meta": meta})).fault == (400, -32602)


def test_a_client_without_a_name_is_served_and_one_with_a_name_too() -> None:
    named = {**envelope(), f"{PREFIX}clientInfo": {"name": "c", "version": "1"}}
    assert World().modern("tools/list").result
    assert World().modern("tools/list", meta=named).result


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_protocol_version": None},
        {"mcp_protocol_version": "2025-11-25"},
        {"mcp_protocol_version": "2099-01-01"},
        {"mcp_protocol_version": f"{MODERN},{MODERN}"},
        {"mcp_method": None},
        {"mcp_method": "tools/list"},
        {"mcp_method": "TOOLS/CALL"},
        {"mcp_method": "tools/call, tools/call"},
        {"mcp_name": None},
        {"mcp_name": ""},
        {"mcp_name": "send"},
        {"mcp_name": "Echo"},
        {"mcp_name": "echo,echo"},
        {"mcp_name": encoded("send")},
        {"mcp_name": "=?base64?ZWNobw?="},  # padding left out
        {"mcp_name": "=?base64?ZWNobx==?="},  # stray bits: b64decode reads it as `echo`
        {"mcp_name": "=?base64?ZWNobw==!?="},
        {"mcp_name": "=?base64?/w==?="},
        {"mcp_name": "=?BASE64?ZWNobw==?="},
        {"mcp_name": "=?base64?="},
    ],
)
def test_headers_that_tell_another_story_than_the_body_are_refused(
    headers: dict[str, Any],
) -> None:
    world = World()
    answer = world.modern("tools/call", ECHO, **headers)
    assert answer.fault == (400, -32020)
    assert answer.json["id"] == 1
    assert not world.toolbox.calls


def test_a_safe_name_in_the_header_does_not_cover_another_in_the_body() -> None:
    world = World()
    assert world.modern("tools/call", {"name": "send"}, mcp_name="echo").fault == (400, -32020)
    assert not world.toolbox.calls


@pytest.mark.parametrize("name", ["echo", " echo\t", encoded("echo"), f" {encoded('echo')} "])
def test_a_name_may_be_padded_or_encoded(name: str) -> None:
    assert World().modern("tools/call", ECHO, mcp_name=name).result["isError"] is False


def test_an_argument_that_no_schema_mirrors_may_have_any_header() -> None:
    assert World().modern("tools/call", ECHO, mcp_param_text="other").result["isError"] is False


def mirroring() -> World:
    """With a tool whose schema has some of its arguments in headers."""
    properties = {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "text": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties}
    return World(MemoryToolbox(listed=[replace(TOOL, input_schema=schema)]))


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": None}, {}),
        ({"region": "us"}, {"mcp_param_region": "us"}),
        ({"region": "us"}, {"mcp_param_region": f" {encoded('us')} "}),
        ({"region": "é"}, {"mcp_param_region": encoded("é")}),
        ({"region": "=?base64?x"}, {"mcp_param_region": "=?base64?x"}),
        ({"count": 3, "dry": True}, {"mcp_param_count": "3", "mcp_param_dry": "true"}),
    ],
)
def test_an_argument_that_a_schema_mirrors_is_taken_with_its_header(
    arguments: Any, headers: dict[str, Any]
) -> None:
    call = {"name": "echo", "arguments": arguments}
    assert mirroring().modern("tools/call", call, **headers).result["isError"] is False


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "us"}, {}),
        ({}, {"mcp_param_region": "us"}),
        ({"region": None}, {"mcp_param_region": "null"}),
        ({"region": "us"}, {"mcp_param_region": "eu"}),
        ({"region": "us"}, {"mcp_param_region": "US"}),
        ({"region": "us"}, {"mcp_param_region": "=?base64?dXM?="}),
        ({"region": "us"}, {"mcp_param_region": "=?base64?dX!!M=?="}),
        ({"count": 3}, {"mcp_param_count": "4"}),
        ({"dry": True}, {"mcp_param_dry": "True"}),
    ],
)
def test_an_argument_that_its_header_contradicts_is_refused(
    arguments: Any, headers: dict[str, Any]
) -> None:
    world = mirroring()
    call = {"name": "echo", "arguments": arguments}
    assert world.modern("tools/call", call, **headers).fault == (400, -32020)
    assert not world.toolbox.calls


@pytest.mark.parametrize("version", ["2099-01-01", "2025-11-25", "x"])
def test_an_unsupported_revision_is_answered_with_those_that_have_an_envelope(version: str) -> None:
    answer = World().modern("tools/list", meta=envelope(version), mcp_protocol_version=version)
    assert answer.fault == (400, -32022)
    assert answer.error["data"] == {"supported": [MODERN], "requested": version}


def test_a_contradiction_is_told_before_an_unsupported_revision() -> None:
    answer = World().modern("tools/list", meta=envelope("2099-01-01"))
    assert answer.fault == (400, -32020)


def test_a_handshake_with_an_envelope_is_not_a_handshake() -> None:
    answer = World().modern("initialize", {"protocolVersion": "2025-11-25"})
    assert answer.fault == (404, -32601)


def test_an_unknown_tool_is_a_bad_request() -> None:
    answer = World().modern("tools/call", {"name": "drop"})
    assert answer.fault == (400, -32602)
    assert answer.error["message"] == "Unknown tool: drop"


@pytest.mark.parametrize("params", [{}, {"name": 1}, {"name": "echo", "arguments": []}])
def test_a_malformed_call_is_a_bad_request(params: Any) -> None:
    assert World().modern("tools/call", params).fault == (400, -32602)


def test_a_posted_response_is_refused() -> None:
    answer = World().send({"jsonrpc": "2.0", "id": 1, "result": {}}, mcp_protocol_version=MODERN)
    assert answer.fault == (400, -32600)


def test_a_session_id_and_an_event_id_are_ignored() -> None:
    plain = World().modern("tools/list")
    assert World().modern("tools/list", mcp_session_id="s", last_event_id="1").http == plain.http


def test_a_call_needs_no_request_before_it() -> None:
    assert World().modern("tools/call", ECHO, id=0).result["structuredContent"] == {"text": "hi"}
