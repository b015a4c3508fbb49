"""Hostile JSON, and JSON that is no message."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mcp_support import MODERN, World, message
from valet.strict_json import MAX_DEPTH

CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":%s}}'
ENVELOPE_DEPTH = 3  # the message, its params, their arguments


def nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut short"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="utf-16"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="raw surrogate"),
        pytest.param(b"[" * 5_000 + b"]" * 5_000, id="5,000 levels"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="100,000 levels"),
        pytest.param(b"[" * 1_000_000, id="1,000,000 open brackets"),
        pytest.param(b'{"a":' * 100_000, id="100,000 open objects"),
        pytest.param(CALL % '{"text":NaN}', id="NaN"),
        pytest.param(CALL % '{"text":Infinity}', id="Infinity"),
        pytest.param(CALL % '{"text":-Infinity}', id="-Infinity"),
        pytest.param(CALL % '{"text":1e400}', id="1e400"),
        pytest.param(CALL % '{"text":-1e400}', id="-1e400"),
        pytest.param(CALL % ('{"text":' + "9" * 400 + ".0}"), id="a float out of range"),
        pytest.param(CALL % ('{"text":' + "9" * 4301 + "}"), id="an int of 4,301 digits"),
        pytest.param(CALL % ('{"text":-' + "9" * 20 + "}"), id="an int above 64 bits"),
        pytest.param(CALL % '{"text":"\\ud800"}', id="lone surrogate"),
        pytest.param(CALL % '{"text":"\\udc00\\ud800"}', id="reversed pair"),
        pytest.param(CALL % '{"\\ud800":1}', id="lone surrogate in a key"),
        pytest.param(CALL % '{"text":"a","text":"b"}', id="duplicate argument"),
        pytest.param(CALL % '{"text":"a","te\\u0078t":"b"}', id="duplicate key, one escaped"),
        pytest.param(
            '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
            id="duplicate method",
        ),
        pytest.param(CALL % nested(MAX_DEPTH - ENVELOPE_DEPTH + 2), id="one level too deep"),
        pytest.param(CALL % '{"text":"a\nb"}', id="control character"),
        pytest.param(CALL % "{'text':1}", id="single quotes"),
    ],
)
def test_a_body_that_is_not_strict_json_is_a_parse_error(body: bytes | str) -> None:
    world = World()
    answer = world.send(body)
    assert answer.fault == (400, -32700)
    assert answer.json["id"] is None
    assert not world.toolbox.calls
    assert not world.reported


def test_nesting_up_to_the_cap_is_served() -> None:
    world = World()
    assert world.send(CALL % nested(MAX_DEPTH - ENVELOPE_DEPTH + 1)).result
    assert len(world.toolbox.calls) == 1


@pytest.mark.parametrize("text", ["zażółć 🎉", "\u2028", "\\ud800 spelled out", "a\x00b"])
def test_text_survives_the_way_in_and_out(text: str) -> None:
    answer = World().legacy("tools/call", {"name": "echo", "arguments": {"text": text}})
    assert answer.result["structuredContent"] == {"text": text}


def test_an_escaped_surrogate_pair_is_one_character() -> None:
    answer = World().send(CALL % '{"text":"\\ud83c\\udf89"}')
    assert answer.result["structuredContent"] == {"text": "🎉"}


@pytest.mark.parametrize("request_id", [0, -1, 7, 2**63 - 1, "", "0", "server-discover-probe-1"])
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_an_id_comes_back_as_it_was(request_id: Any, era: str) -> None:
    world = World()
    send = world.modern if era == MODERN else world.legacy
    for answer in (send("tools/list", id=request_id), send("no/such", id=request_id)):
        assert answer.json["id"] == request_id
        assert type(answer.json["id"]) is type(request_id)


@pytest.mark.parametrize("request_id", [None, True, False, 1.0, 1.5, [], {}])
def test_an_id_that_is_no_string_or_integer_makes_no_request(request_id: Any) -> None:
    answer = World().legacy("tools/list", id=request_id)
    assert answer.fault == (400, -32600)
    assert answer.json["id"] is None


@pytest.mark.parametrize(
    "body",
    [
        "1",
        "null",
        '"tools/list"',
        "{}",
        '{"id":1,"method":"tools/list"}',
        '{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        '{"jsonrpc":2.0,"id":1,"method":"tools/list"}',
        '{"jsonrpc":"2.0","id":1}',
        '{"jsonrpc":"2.0","id":1,"method":7}',
        '{"jsonrpc":"2.0","id":1,"method":null}',
        '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(body: str) -> None:
    assert World().send(body).fault == (400, -32600)


def test_an_invalid_request_still_has_its_readable_id_echoed() -> None:
    assert World().send('{"jsonrpc":"1.0","id":"x7","method":"ping"}').json["id"] == "x7"


@pytest.mark.parametrize("member", ["Method", "METHOD", "methoD", "Params", "ID", "JsonRpc"])
def test_members_that_differ_in_case_only_are_refused(member: str) -> None:
    world = World()
    smuggled = {**message("tools/list"), member: "tools/call"}
    assert world.send(smuggled).fault == (400, -32600)


def test_a_member_that_unicode_folds_to_a_known_one_is_refused() -> None:
    assert World().send({**message("tools/list"), "param\u017f": {}}).fault == (400, -32600)


@pytest.mark.parametrize("params", [[], [1], "x", 3, False])
def test_parameters_that_are_no_object_are_invalid_in_either_era(params: Any) -> None:
    assert World().legacy("tools/list", params).fault == (200, -32602)
    answer = World().send(message("tools/list", params), mcp_protocol_version=MODERN)
    assert answer.fault == (400, -32602)
    assert answer.json["id"] == 1
