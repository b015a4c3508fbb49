"""The tools that the conformance suite calls by name; each answers as the suite prescribes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from valet.mcp.capabilities import declares
from valet.mcp.toolbox import Call, InputRequired
from valet.tools.results import Document, Media, ToolResult, ToolView, UnknownTool

type Outcome = ToolResult | InputRequired
type Run = Callable[[Call], Outcome]
type Schema = Mapping[str, Any]

_PNG: Final = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
_WAV: Final = b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")
_NOTHING: Final[Schema] = {"type": "object", "additionalProperties": False}
_ADDRESS: Final[Schema] = {"street": {"type": "string"}, "city": {"type": "string"}}
_DIALECT: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": _ADDRESS}},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_MIRRORED: Final[Schema] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
}
_SAMPLE: Final[Schema] = {
    "method": "sampling/createMessage",
    "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Greet the user"}}],
        "maxTokens": 50,
    },
}
_ROOTS: Final[Schema] = {"method": "roots/list", "params": {}}


def _form(message: str, name: str, kind: str = "string") -> Schema:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }


def _says(text: str, *attachments: Media | Document, is_error: bool = False) -> Run:
    return lambda _: ToolResult(text, attachments=attachments, is_error=is_error)


def _asks(state: str | None = None, done: str = "done", **requests: Schema) -> Run:
    """Asks until there is an object for each thing that it asked for."""

    def run(call: Call) -> Outcome:
        if call.responses is not None and requests.keys() <= call.responses.keys():
            return ToolResult(done)
        return InputRequired(requests, state)

    return run


def _name(call: Call) -> Outcome:
    given = (call.responses or {}).get("user_name", {}).get("content", {})
    if "name" in given:
        return ToolResult(f"Hello, {given['name']}!")
    return InputRequired({"user_name": _form("What is your name?", "name")})


def _rounds(call: Call) -> Outcome:
    match call.state:
        case None:
            return InputRequired({"step1": _form("Step 1: What is your name?", "name")}, "1")
        case "1":
            return InputRequired({"step2": _form("Step 2: Which colour?", "color")}, "2")
    return ToolResult("done")


def _declared(call: Call) -> Outcome:
    asks = {"elicitation": _form("Go on?", "ok", "boolean"), "sampling": _SAMPLE}
    return InputRequired({n: ask for n, ask in asks.items() if declares(call.capabilities, n)})


_CONFIRM: Final = _form("Please confirm", "ok", "boolean")
_TOOLS: Final[Mapping[str, tuple[Run, Schema]]] = {
    "test_simple_text": (_says("This is a simple text response for testing."), _NOTHING),
    "test_image_content": (_says("", Media("image", _PNG, "image/png")), _NOTHING),
    "test_audio_content": (_says("", Media("audio", _WAV, "audio/wav")), _NOTHING),
    "test_embedded_resource": (
        _says("", Document("test://embedded-resource", "An embedded resource.", "text/plain")),
        _NOTHING,
    ),
    "test_multiple_content_types": (
        _says(
            "Multiple content types test:",
            Media("image", _PNG, "image/png"),
            Document("test://mixed-content-resource", '{"value":123}', "application/json"),
        ),
        _NOTHING,
    ),
    "test_error_handling": (
        _says("This tool intentionally returns an error for testing", is_error=True),
        _NOTHING,
    ),
    "json_schema_2020_12_tool": (_says("ok"), _DIALECT),
    "test_x_mcp_header": (_says("ok"), _MIRRORED),
    "test_missing_capability": (_asks(sample=_SAMPLE), _NOTHING),
    "test_streaming_elicitation": (_name, _NOTHING),
    "test_logging_tool": (_says("nothing was logged"), _NOTHING),
    "test_input_required_result_elicitation": (_name, _NOTHING),
    "test_input_required_result_sampling": (_asks(capital_question=_SAMPLE), _NOTHING),
    "test_input_required_result_list_roots": (_asks(client_roots=_ROOTS), _NOTHING),
    "test_input_required_result_request_state": (
        _asks("noted", "state-ok", confirm=_CONFIRM),
        _NOTHING,
    ),
    "test_input_required_result_multiple_inputs": (
        _asks(
            "noted",
            user_name=_form("What is your name?", "name"),
            greeting=_SAMPLE,
            client_roots=_ROOTS,
        ),
        _NOTHING,
    ),
    "test_input_required_result_multi_round": (_rounds, _NOTHING),
    "test_input_required_result_tampered_state": (_asks("noted", confirm=_CONFIRM), _NOTHING),
    "test_input_required_result_capabilities": (_declared, _NOTHING),
}


@dataclass(frozen=True, slots=True)
class SuiteToolbox:
    """`valet.mcp.toolbox.Toolbox` for the suite."""

    revision: str = "suite"

    def list_tools(self) -> Sequence[ToolView]:
        return [
            ToolView(name, name, f"The conformance suite's {name}", schema, {}, _ANNOTATIONS)
            for name, (_, schema) in _TOOLS.items()
        ]

    def call(self, call: Call) -> Outcome:
        if call.name not in _TOOLS:
            raise UnknownTool(f"Unknown tool: {call.name[:64]}")
        return _TOOLS[call.name][0](call)


_ANNOTATIONS: Final = {
    "readOnlyHint": True,
    "destructiveHint": False,
    "idempotentHint": True,
    "openWorldHint": False,
}
