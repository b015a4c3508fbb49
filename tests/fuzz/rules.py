"""What an answer of the MCP endpoint may be: one judge for whatever was sent.

Written from the specification and not from the code: which statuses go with which error codes, the
envelope, the echoed id, and each result held against the official types of its revision.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_types.jsonrpc import jsonrpc_message_adapter
from mcp_types.methods import validate_server_result

from valet.strict_json import BadJson, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema_rs import Draft202012Validator

MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
OLDEST: Final = "2025-03-26"
PREFIX: Final = "io.modelcontextprotocol/"

# JSON-RPC codes by the status that they come with. There is no 5xx: nobody can make it fail.
CODES: Final[Mapping[int, frozenset[int]]] = {
    200: frozenset({-32601, -32602}),  # legacy revisions, whose clients drop a session on 4xx
    400: frozenset({-32700, -32600, -32602, -32020, -32021, -32022}),
    401: frozenset({-32600}),
    403: frozenset({-32600}),
    404: frozenset({-32600, -32601}),
    405: frozenset({-32600}),
    406: frozenset({-32600}),
    413: frozenset({-32700}),
    415: frozenset({-32600}),
}
ALWAYS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Sent:
    """A request as the server sees it; header names are lower-case."""

    method: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """What the body holds, or None."""
        try:
            return loads(self.body)
        except BadJson:
            return None

    @property
    def version(self) -> str | None:
        named = self.headers.get("mcp-protocol-version")
        return named.strip(" \t") if named is not None else None


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: str


def check(sent: Sent, got: Got, tools: Mapping[str, Draft202012Validator]) -> None:
    """Fails for an answer that is outside the protocol; `tools` validate structured content."""
    assert got.headers.items() >= ALWAYS.items()
    got.body.encode("utf-8")
    if got.status == 202:
        assert got.body == ""
        assert "Content-Type" not in got.headers
        assert not [entry for entry in _entries(sent.value) if _is_request(entry)]
        return
    assert got.headers["Content-Type"] == "application/json"
    assert ("Allow" in got.headers) == (got.status == 405)
    challenged = "WWW-Authenticate" in got.headers
    assert challenged or got.status != 401
    assert not challenged or got.status in (401, 403)  # 403: of a token without a scope of ours
    answer = loads(got.body.encode())  # strict: no NaN, no member twice
    if isinstance(answer, list):
        _check_batch(sent, got.status, answer, tools)
        return
    _check_envelope(answer)
    if "error" in answer:
        _check_error(sent, got.status, answer)
    else:
        assert got.status == 200
        request = sent.value
        assert _is_request(request)
        assert _same_id(answer["id"], request["id"])
        check_result(request, _revision(sent, request), answer["result"], tools)


def _check_batch(
    sent: Sent, status: int, answers: list[Any], tools: Mapping[str, Draft202012Validator]
) -> None:
    assert status == 200
    assert sent.version in (None, OLDEST)
    entries = sent.value
    assert isinstance(entries, list)
    assert 1 <= len(answers) <= len(entries)
    requests = [entry for entry in entries if _is_request(entry)]
    answered = Counter(_typed(answer["id"]) for answer in answers if answer.get("id") is not None)
    assert not Counter(_typed(entry["id"]) for entry in requests) - answered
    for answer in answers:
        _check_envelope(answer)
        if "error" in answer:
            assert answer["error"]["code"] in CODES[200] | {-32600}
            continue
        asked = [entry for entry in requests if _same_id(entry["id"], answer["id"])]
        assert asked
        if len(asked) == 1:  # the same id twice is the client's own puzzle
            check_result(asked[0], OLDEST, answer["result"], tools)


def _check_envelope(answer: Any) -> None:
    assert isinstance(answer, dict)
    assert answer["jsonrpc"] == "2.0"
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert answer["id"] is None or type(answer["id"]) in (str, int)
    jsonrpc_message_adapter.validate_python(answer)


def _check_error(sent: Sent, status: int, answer: Any) -> None:
    error = answer["error"]
    assert set(error) in ({"code", "message"}, {"code", "message", "data"})
    assert error["code"] in CODES[status], (status, error)
    assert 0 < len(error["message"]) <= 300
    request = sent.value
    if answer["id"] is not None:
        assert isinstance(request, dict)
        assert _same_id(answer["id"], request["id"])
    elif _is_request(request):  # refused before it was read
        assert error["code"] in (-32700, -32600)
    if status == 200:
        assert _revision(sent, request) != MODERN
    if error["code"] == -32022:
        assert set(error["data"]) == {"supported", "requested"}
        assert MODERN in error["data"]["supported"]


def check_result(
    request: Mapping[str, Any],
    revision: str,
    result: Any,
    tools: Mapping[str, Draft202012Validator],
) -> None:
    """Held against the revision's own types, and against the tool's own schema."""
    method = request["method"]
    validate_server_result(method, revision, result)  # KeyError: the revision has no such method
    if revision == MODERN:
        assert result["resultType"] in ("complete", "input_required")
        assert f"{PREFIX}serverInfo" in result["_meta"]
        assert ("ttlMs" in result) == (method in ("server/discover", "tools/list"))
    else:
        assert "resultType" not in result
    if method == "initialize":
        wanted = request["params"]["protocolVersion"]
        assert result["protocolVersion"] == (wanted if wanted in LEGACY else LEGACY[0])
    if method == "tools/call" and result.get("resultType", "complete") == "complete":
        assert [part["type"] for part in result["content"]] == ["text"]
        assert result["content"][0]["text"]
        if not result["isError"]:
            structured = result["structuredContent"]
            tools[request["params"]["name"]].validate(structured)
            assert json.loads(result["content"][0]["text"]) == structured


def _revision(sent: Sent, request: Any) -> str:
    """The revision that a single request is to be answered by."""
    params = request.get("params") if isinstance(request, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    enveloped = isinstance(meta, dict) and any(
        f"{PREFIX}{name}" in meta for name in ("protocolVersion", "clientCapabilities")
    )
    if enveloped:
        return MODERN
    if request["method"] == "initialize":
        return LEGACY[0]  # all these have one form of it
    return sent.version or OLDEST


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_request(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("jsonrpc") == "2.0"
        and isinstance(value.get("method"), str)
        and type(value.get("id")) in (str, int)
        and not {"result", "error"} & set(value)
    )


def _same_id(one: Any, other: Any) -> bool:
    return _typed(one) == _typed(other)


def _typed(value: Any) -> tuple[str, Any]:
    """1, "1" and true are three ids."""
    return type(value).__name__, value
