"""When the toolbox fails: nothing leaks, nobody hangs, someone is told."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import pytest

from tests.unit.mcp_support import MODERN, MemoryToolbox, World, message
from valet.errors import Busy, Misconfigured, ValetError
from valet.tools.results import Document, Media, NotConnected, ToolResult, UnknownTool

ERAS = ["2025-11-25", MODERN]
SECRET = "ya29.secret"


@pytest.mark.parametrize("method", ["tools/list", "tools/call"])
@pytest.mark.parametrize("error", [KeyError(SECRET), RuntimeError(SECRET), RecursionError(SECRET)])
def test_an_unexpected_error_is_reported_and_answered_without_a_word_of_it(
    method: str, error: Exception
) -> None:
    for era, status in (("2025-11-25", 200), (MODERN, 500)):
        world = World(MemoryToolbox(raises=error, list_raises=error))
        answer = world.either(era, method, {"name": "echo"})
        assert answer.fault == (status, -32603)
        assert answer.json["id"] == 1
        assert answer.error["message"] == "Internal error"
        assert SECRET not in answer.http.body
        assert world.reported == [error]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "error",
    [
        Busy("try again in a minute"),
        Misconfigured("ask the operator for a new client secret"),
        NotConnected("MY_GMAIL", "not connected"),
    ],
)
def test_an_error_raised_on_purpose_is_a_result_and_is_reported(
    era: str, error: ValetError
) -> None:
    world = World(MemoryToolbox(raises=error))
    result = world.either(era, "tools/call", {"name": "echo"}).result
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": str(error)}]
    assert world.reported == [error]


@pytest.mark.parametrize("era", ERAS)
def test_an_error_raised_on_purpose_outside_a_call_says_what_to_do(era: str) -> None:
    error = Busy("a secret cannot be read right now: try again in a few seconds")
    world = World(MemoryToolbox(list_raises=error))
    answer = world.either(era, "tools/list")
    assert (answer.error["code"], answer.error["message"]) == (-32603, str(error))
    assert world.reported == [error]


def test_an_unknown_tool_is_nobodys_failure() -> None:
    world = World(MemoryToolbox(raises=UnknownTool("no")))
    world.legacy("tools/call", {"name": "echo"})
    assert not world.reported


@pytest.mark.parametrize("era", ERAS)
def test_a_list_that_fails_on_purpose_is_an_internal_error(era: str) -> None:
    world = World(MemoryToolbox(list_raises=Busy("try again")))
    assert world.either(era, "tools/list").error["code"] == -32603
    assert len(world.reported) == 1


def test_a_failure_in_a_batch_leaves_the_others_alone() -> None:
    world = World(MemoryToolbox(list_raises=KeyError("x")))
    answers = world.send([message("tools/list", id=1), message("ping", id=2)]).json
    assert answers[0]["error"]["code"] == -32603
    assert answers[1]["result"] == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), b"raw", {1, 2}])
def test_data_that_is_not_json_is_an_internal_error_and_not_broken_json(value: Any) -> None:
    world = World(MemoryToolbox(gives=ToolResult("x", structured={"value": value})))
    assert world.legacy("tools/call", {"name": "echo"}).fault == (200, -32603)
    assert len(world.reported) == 1


def test_half_a_surrogate_pair_from_a_provider_does_not_break_the_answer() -> None:
    given = ToolResult("a\ud800b", structured={"text": "\ud83c\udf89 \udc00"})
    answer = World(MemoryToolbox(gives=given)).legacy("tools/call", {"name": "echo"})
    answer.http.body.encode("utf-8")
    assert answer.result["content"][0]["text"] == "a\ufffdb"
    assert answer.result["structuredContent"] == {"text": "🎉 \ufffd"}


def test_data_in_any_mapping_is_written() -> None:
    given = ToolResult("x", structured=MappingProxyType({"a": MappingProxyType({"b": 1})}))
    answer = World(MemoryToolbox(gives=given)).legacy("tools/call", {"name": "echo"})
    assert answer.result["structuredContent"] == {"a": {"b": 1}}


def test_an_empty_object_is_data_and_none_is_not() -> None:
    empty = World(MemoryToolbox(gives=ToolResult("{}", structured={})))
    assert empty.legacy("tools/call", {"name": "echo"}).result["structuredContent"] == {}
    none = World(MemoryToolbox(gives=ToolResult("done")))
    assert "structuredContent" not in none.legacy("tools/call", {"name": "echo"}).result


def test_pictures_sounds_and_documents_come_after_the_text() -> None:
    given = ToolResult(
        "see",
        attachments=(
            Media("image", b"\x89PNG", "image/png"),
            Media("audio", b"RIFF", "audio/wav"),
            Document("note://1", "hello", "text/plain"),
        ),
    )
    answer = World(MemoryToolbox(gives=given)).legacy("tools/call", {"name": "echo"})
    assert answer.result["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "data": "iVBORw==", "mimeType": "image/png"},
        {"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"},
        {
            "type": "resource",
            "resource": {"uri": "note://1", "mimeType": "text/plain", "text": "hello"},
        },
    ]


def test_a_long_tool_name_is_not_echoed_in_full() -> None:
    answer = World().legacy("tools/call", {"name": "x" * 100_000})
    assert answer.fault == (200, -32602)
    assert len(answer.http.body) < 1_000


def test_no_answer_has_a_code_that_the_protocol_forbids() -> None:
    world = World()
    answers = [
        world.legacy("x/y"),
        world.modern("x/y"),
        world.legacy("tools/list", version="1999-01-01"),
        world.modern("tools/list", mcp_method="x"),
        world.send(b"{"),
        world.send(b"", method="GET"),
    ]
    allowed = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
    assert {json.loads(answer.http.body)["error"]["code"] for answer in answers} <= allowed
