"""JSON-RPC 2.0: what a message must be before anything else reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from valet.mcp.errors import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, ProtocolError
from valet.strict_json import BadJson, loads

type Id = str | int

_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})


@dataclass(frozen=True, slots=True)
class Request:
    """A message that expects an answer."""

    id: Id
    method: str
    raw_params: Any

    @property
    def params(self) -> Mapping[str, Any]:
        """Raises: ProtocolError: the parameters are not an object, the only form MCP has."""
        if self.raw_params is None:
            return {}
        if not isinstance(self.raw_params, dict):
            raise ProtocolError(INVALID_PARAMS, "params must be an object")
        return self.raw_params

    @property
    def meta(self) -> Mapping[str, Any]:
        """The `_meta` of the parameters; empty when there is none to read."""
        params = self.raw_params if isinstance(self.raw_params, dict) else {}
        meta = params.get("_meta")
        return meta if isinstance(meta, dict) else {}


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that expects no answer."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that a client posts; this server never asks anything."""


type Message = Request | Notification | Response


def parse(body: bytes) -> Any:
    """The JSON value that a body holds.

    Raises:
        ProtocolError: the body is not strict JSON.
    """
    try:
        return loads(body)
    except BadJson as error:
        raise ProtocolError(PARSE_ERROR, f"Parse error: {error}") from error


def read(value: Any) -> Message:
    """The message that a JSON value is.

    Raises:
        ProtocolError: it is none.
    """
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise _invalid("expected a JSON-RPC 2.0 object")
    if any(key not in _MEMBERS and key.casefold() in _MEMBERS for key in value):
        # `Method` beside `method`: a reader that ignores case would see another request.
        raise _invalid("member names are case-sensitive")
    outcomes = [key for key in ("result", "error") if key in value]
    if "method" not in value:
        if len(outcomes) != 1:
            raise _invalid("method is missing")
        return Response()
    if outcomes or not isinstance(value["method"], str):
        raise _invalid("method must be a string, without result or error beside it")
    if "id" not in value:
        return Notification()
    request_id = id_of(value)
    if request_id is None:
        raise _invalid("id must be a string or an integer")
    return Request(request_id, value["method"], value.get("params"))


def id_of(value: Any) -> Id | None:
    """The id to echo, if `value` has a usable one; 0 is, `true`, `null` and 1.0 are not."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, (str, int)) and not isinstance(found, bool) else None


@dataclass(frozen=True, slots=True)
class Written:
    """A value that is JSON already, since it is written once and sent often."""

    text: str

    @classmethod
    def of(cls, value: Any) -> Written:
        return cls(_written(value))


def result(request_id: Id, outcome: Mapping[str, Any]) -> str:
    members = (
        f"{_written(name)}:{value.text if isinstance(value, Written) else _written(value)}"
        for name, value in outcome.items()
    )
    return f'{{"jsonrpc":"2.0","id":{_written(request_id)},"result":{{{",".join(members)}}}}}'


def error(request_id: Id | None, problem: ProtocolError) -> str:
    """An error response.

    An unknown id is written as `null` rather than left out: clients show the message of the
    former and a generic sentence for the latter.
    """
    body: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.data is not None:
        body["data"] = problem.data
    return _written({"jsonrpc": "2.0", "id": request_id, "error": body})


def _written(value: Any) -> str:
    text = _ENCODER.encode(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # A provider's data may hold half a surrogate pair; whole pairs are joined, halves replaced.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _plain(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
)


def _invalid(detail: str) -> ProtocolError:
    return ProtocolError(INVALID_REQUEST, f"Invalid Request: {detail}")
