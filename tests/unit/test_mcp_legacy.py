"""The revisions with a handshake, 2025-03-26 to 2025-11-25, and the batches of the first."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.mcp_support import (
    CONNECT_URL,
    LEGACY,
    MODERN,
    OUTPUT_SCHEMA,
    MemoryToolbox,
    World,
    envelope,
    message,
)
from valet.mcp.server import MAX_BATCH
from valet.tools.results import ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize("version", LEGACY)
def test_the_handshake_keeps_a_revision_that_is_served(version: str) -> None:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "c"}}
    assert World().legacy("initialize", params, version=None, id=0).result == {
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "valet", "title": "Valet", "version": "1.2.3"},
        "instructions": "Tools of your accounts.",
    }


@pytest.mark.parametrize("version", ["2024-11-05", "2099-01-01", MODERN, ""])
def test_the_handshake_offers_the_newest_of_its_era_for_any_other(version: str) -> None:
    result = World().legacy("initialize", {"protocolVersion": version}, version=None).result
    assert result["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("params", [None, {}, {"protocolVersion": 1}, {"protocolVersion": None}])
def test_a_handshake_without_a_revision_is_invalid(params: Any) -> None:
    assert World().legacy("initialize", params, version=None).fault == (200, -32602)


@pytest.mark.parametrize("header", ["2024-11-05", MODERN, "2025-06-18"])
def test_a_handshake_is_taken_whatever_its_header_says(header: str) -> None:
    answer = World().legacy("initialize", {"protocolVersion": "2025-06-18"}, version=header)
    assert answer.result["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize("version", [None, *LEGACY])
def test_ping_list_and_call_need_no_handshake_first(version: str | None) -> None:
    world = World()
    assert world.legacy("ping", version=version).json == {"jsonrpc": "2.0", "id": 1, "result": {}}
    listed = world.legacy("tools/list", version=version).result
    assert [tool["name"] for tool in listed["tools"]] == ["echo", "send"]
    called = world.legacy(
        "tools/call", {"name": "echo", "arguments": {"text": "hi"}}, version=version
    )
    assert called.result["content"] == [{"type": "text", "text": '{"text": "hi"}'}]


@pytest.mark.parametrize("version", ["2024-11-05", "2099-01-01", "x", "", "2025-06-18,2025-06-18"])
def test_an_unsupported_version_header_is_a_bad_request(version: str) -> None:
    answer = World().legacy("tools/list", version=version)
    assert answer.fault == (400, -32022)
    assert answer.error["data"]["requested"] == version
    assert answer.json["id"] == 1
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert World().send(notification, mcp_protocol_version=version).status == 400


def test_white_space_around_a_version_header_does_not_count() -> None:
    assert World().legacy("tools/list", version=" 2025-06-18\t").result


def test_a_tool_is_described_in_full_and_nothing_is_paged() -> None:
    result = World().legacy("tools/list").result
    assert list(result) == ["tools"]
    assert result["tools"][0] == {
        "name": "echo",
        "title": "Echo",
        "description": "Say it again",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "outputSchema": OUTPUT_SCHEMA,
        "annotations": {"readOnlyHint": True, "destructiveHint": False},
    }
    assert "annotations" not in result["tools"][1]


def test_two_lists_are_the_same_to_the_byte() -> None:
    world = World()
    assert world.legacy("tools/list").http == world.legacy("tools/list").http


def test_a_list_is_never_another_one_that_was_written_before() -> None:
    world, first = World(), World().toolbox.listed[0]
    renamed = replace(first, title="Echoes")
    for listed, titles in (([first], ["Echo"]), ([renamed], ["Echoes"]), ([first], ["Echo"])):
        world.toolbox.listed = listed
        assert [tool["title"] for tool in world.legacy("tools/list").result["tools"]] == titles


@pytest.mark.parametrize("version", LEGACY)
def test_an_unknown_tool_is_a_protocol_error_at_200(version: str) -> None:
    answer = World().legacy("tools/call", {"name": "drop"}, version=version, id=0)
    assert answer.fault == (200, -32602)
    assert answer.error["message"] == "Unknown tool: drop"
    assert answer.json["id"] == 0


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"name": None},
        {"name": 1},
        {"Name": "echo"},
        {"name": "echo", "arguments": []},
        {"name": "echo", "arguments": "x"},
        {"name": "echo", "arguments": False},
    ],
)
def test_a_malformed_call_is_a_protocol_error_and_runs_nothing(params: Any) -> None:
    world = World()
    assert world.legacy("tools/call", params).fault == (200, -32602)
    assert not world.toolbox.calls


@pytest.mark.parametrize("params", [{"name": "echo"}, {"name": "echo", "arguments": None}])
def test_a_call_without_arguments_has_empty_ones(params: Any) -> None:
    world = World()
    world.legacy("tools/call", params)
    assert world.toolbox.calls == [("echo", {})]


def test_arguments_of_another_case_reach_the_tool_as_they_are() -> None:
    world = World()
    world.legacy("tools/call", {"name": "echo", "Arguments": {"text": "x"}, "arguments": {"T": 1}})
    assert world.toolbox.calls == [("echo", {"T": 1})]


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_wrong_argument_is_a_result_that_the_model_can_read(era: str) -> None:
    result = World().either(era, "tools/call", {"name": "echo", "arguments": {"text": 1}}).result
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "text must be a string"}]
    assert "structuredContent" not in result


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_missing_grant_is_a_result_that_carries_the_connect_link(era: str) -> None:
    result = World().either(era, "tools/call", {"name": "send"}).result
    assert result["isError"] is True
    assert CONNECT_URL in result["content"][0]["text"]


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_success_has_its_data_and_its_text(era: str) -> None:
    result = World().either(era, "tools/call", {"name": "echo", "arguments": {"text": "é"}}).result
    assert result["isError"] is False
    assert result["structuredContent"] == {"text": "é"}
    assert result["content"][0]["type"] == "text"


@pytest.mark.parametrize(
    "method",
    ["server/discover", "logging/setLevel", "resources/list", "prompts/list", "", "Tools/list"],
)
def test_a_method_that_is_not_served_is_not_found_at_200(method: str) -> None:
    assert World().legacy(method).fault == (200, -32601)


def test_a_posted_response_is_taken_and_dropped() -> None:
    for posted in (
        {"jsonrpc": "2.0", "id": 5, "result": {}},
        {"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": "x"}},
    ):
        answer = World().send(posted)
        assert (answer.status, answer.http.body) == (202, "")


def test_a_call_without_an_id_is_never_run() -> None:
    world = World()
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo"}}
    assert world.send(call).status == 202
    assert world.send([call]).status == 202
    assert not world.toolbox.calls


@pytest.mark.parametrize("version", [None, "2025-03-26"])
def test_a_batch_is_answered_with_one_response_a_request(version: str | None) -> None:
    headers = {} if version is None else {"mcp_protocol_version": version}
    batch = [
        message("ping", id=0),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        message("tools/call", {"name": "drop"}, id="b"),
        {"jsonrpc": "2.0", "id": 9, "result": {}},
        message("tools/call", {"name": "echo", "arguments": {"text": "x"}}, id=2),
    ]
    answer = World().send(batch, **headers)
    assert answer.status == 200
    assert [entry["id"] for entry in answer.json] == [0, "b", 2]
    assert answer.json[0]["result"] == {}
    assert answer.json[1]["error"]["code"] == -32602
    assert answer.json[2]["result"]["structuredContent"] == {"text": "x"}


def test_a_batch_that_expects_no_answer_gets_none() -> None:
    batch = [{"jsonrpc": "2.0", "method": "x"}, {"jsonrpc": "2.0", "id": 1, "result": {}}]
    answer = World().send(batch)
    assert (answer.status, answer.http.body) == (202, "")


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", MODERN, "2024-11-05"])
def test_later_revisions_have_no_batches(version: str) -> None:
    world = World()
    call = message("tools/call", {"name": "echo"})
    assert world.send([call], mcp_protocol_version=version).fault == (400, -32600)
    assert not world.toolbox.calls


def test_a_batch_of_nothing_or_of_too_much_is_refused() -> None:
    world = World()
    call = message("tools/call", {"name": "echo"})
    assert world.send([]).fault == (400, -32600)
    assert world.send([call] * (MAX_BATCH + 1)).fault == (400, -32600)
    assert not world.toolbox.calls
    assert len(world.send([call] * MAX_BATCH).json) == MAX_BATCH


def test_a_batch_that_takes_too_long_has_its_last_calls_refused_and_its_first_answered() -> None:
    """The function would be ended in the midst of them, and all the answers be lost."""
    world = World()

    class Slow(MemoryToolbox):
        def call_tool(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
            world.now.advance(seconds=4)
            return super().call_tool(name, arguments)

    world.toolbox = Slow()
    answers = world.send([message("tools/call", {"name": "echo"}, id=n) for n in range(6)]).json
    assert [entry["id"] for entry in answers] == [0, 1, 2, 3, 4, 5]
    assert ["result" in entry for entry in answers] == [True] * 3 + [False] * 3
    assert {entry["error"]["code"] for entry in answers[3:]} == {-32600}
    assert "send it by itself" in answers[5]["error"]["message"]
    assert len(world.toolbox.calls) == 3


def test_a_batch_whose_answers_grow_too_large_is_cut_before_they_cannot_be_sent() -> None:
    large = ToolResult('"' * 100_000)  # twice in JSON, and once more in what Lambda hands back
    batch = [message("tools/call", {"name": "echo"}, id=n) for n in range(MAX_BATCH)]
    world = World(MemoryToolbox(gives=large))
    answer = world.send(batch)
    assert len(answer.json) == MAX_BATCH
    assert 10 < len(world.toolbox.calls) < MAX_BATCH
    assert len(json.dumps(answer.http.body)) < 6_000_000


@pytest.mark.parametrize(
    "entry",
    [
        message("initialize", {"protocolVersion": "2025-03-26"}),
        message("tools/list", {"_meta": envelope()}),
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
    ],
)
def test_what_may_not_be_in_a_batch_fails_alone(entry: dict[str, Any]) -> None:
    answers = World().send([entry, message("ping", id=2)]).json
    assert (answers[0]["id"], answers[0]["error"]["code"]) == (1, -32600)
    assert answers[1] == {"jsonrpc": "2.0", "id": 2, "result": {}}


def test_batches_do_not_nest() -> None:
    answers = World().send([[message("ping")], 7]).json
    assert [(entry["id"], entry["error"]["code"]) for entry in answers] == [(None, -32600)] * 2
