"""What the protocol's tests share: a toolbox in memory, and requests as clients send them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import Clock, key_ring
from valet.mcp.connecting import Connecting
from valet.mcp.cursors import PAGE_SIZE
from valet.mcp.server import McpServer
from valet.mcp.transport import HttpRequest, HttpResponse
from valet.native.handles import Handles
from valet.native.key_ring import Signers
from valet.tools.results import ToolResult, ToolView, UnknownTool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.mcp.toolbox import Toolbox, Tools

MODERN = "2026-07-28"
LEGACY = ["2025-03-26", "2025-06-18", "2025-11-25"]
PREFIX = "io.modelcontextprotocol/"
CONNECT_URL = "https://valet.example/connect/t1"
_SIGNERS = Signers(key_ring)
OUTPUT_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

ECHO = ToolView(
    name="echo",
    title="Echo",
    description="Say it again",
    input_schema={"type": "object", "properties": {"text": {"type": "string"}}},
    output_schema=OUTPUT_SCHEMA,
    annotations={"readOnlyHint": True, "destructiveHint": False},
)
SEND = ToolView(
    name="send",
    title="Send",
    description="Send a mail",
    input_schema={"type": "object", "additionalProperties": False},
    output_schema=OUTPUT_SCHEMA,
)
NOT_CONNECTED = ToolResult(
    f"Gmail is not connected. Open {CONNECT_URL} and try again.",
    is_error=True,
    code="not_connected",
    connect_url=CONNECT_URL,
    connect_to="Gmail",
)


@dataclass
class MemoryToolbox:
    """Two tools, of which `send` needs a connection; what is set to be raised comes out."""

    raises: Exception | None = None
    list_raises: Exception | None = None
    gives: ToolResult | None = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)  # calls not run, and why
    listed: Sequence[ToolView] = (ECHO, SEND)
    revision: str = "config/1"
    connected: bool = False

    def list_tools(self) -> Sequence[ToolView]:
        if self.list_raises:
            raise self.list_raises
        return self.listed

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.calls.append((name, dict(arguments)))
        if self.raises:
            raise self.raises
        if self.gives:
            return self.gives
        if name == "echo":
            return _echo(arguments)
        if name == "send":
            return ToolResult("sent") if self.connected else NOT_CONNECTED
        raise UnknownTool(f"unknown tool {name!r}")

    def not_run(self, name: str, arguments: Mapping[str, Any], why: ToolResult) -> ToolResult:
        assert isinstance(arguments, dict)
        self.left.append((name, why.code))
        return why


def _echo(arguments: Mapping[str, Any]) -> ToolResult:
    text = arguments.get("text", "")
    if not isinstance(text, str):
        return ToolResult("text must be a string", is_error=True, code="invalid_arguments")
    return ToolResult(text=json.dumps({"text": text}), structured={"text": text})


@dataclass
class World:
    """A server, its toolbox and what it reported."""

    toolbox: MemoryToolbox = field(default_factory=MemoryToolbox)
    reported: list[Exception] = field(default_factory=list)
    origins: frozenset[str] = frozenset({"https://app.example"})
    page_size: int = PAGE_SIZE
    now: Clock = field(default_factory=Clock)
    caller: str = "ins_1/FULL"
    asking: Toolbox | None = None  # in place of `toolbox`: tools that ask for things themselves

    @property
    def server(self) -> McpServer:
        return McpServer(
            name="valet",
            version="1.2.3",
            title="Valet",
            instructions="Tools of your accounts.",
            on_error=self.reported.append,
            allowed_origins=self.origins,
            page_size=self.page_size,
            elapsed=lambda: self.now().timestamp(),
        )

    def answer(self, request: HttpRequest) -> HttpResponse:
        handles = Handles(_SIGNERS, self.now).of(self.caller)
        return self.server.handle(request, self.asking or Connecting(self.toolbox), handles)

    def send(self, body: bytes | str | object, method: str = "POST", **headers: str) -> Answer:
        """Send a body, as it is or as JSON; underscores in header names stand for dashes."""
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **given,
        }
        return Answer(self.answer(HttpRequest(method, sent, body)))

    def legacy(
        self, method: str, params: object = None, *, version: str | None = "2025-11-25", id: Any = 1
    ) -> Answer:
        headers = {} if version is None else {"mcp_protocol_version": version}
        return self.send(message(method, params, id=id), **headers)

    def modern(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        id: Any = 1,
        **headers: str | None,
    ) -> Answer:
        """A correct 2026-07-28 request, but for the headers given; None leaves one out."""
        body = message(method, {**(params or {}), "_meta": envelope() if meta is None else meta})
        sent: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
        if params and isinstance(params.get("name"), str):
            sent["mcp_name"] = params["name"]
        sent |= headers
        present = {key: value for key, value in sent.items() if value is not None}
        return self.send({**body, "id": id}, **present)

    def either(self, era: str, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        return self.modern(method, params) if era == MODERN else self.legacy(method, params)


@dataclass
class Answer:
    """A response with its body read."""

    http: HttpResponse

    @property
    def status(self) -> int:
        return self.http.status

    @property
    def json(self) -> Any:
        return json.loads(self.http.body)

    @property
    def result(self) -> dict[str, Any]:
        assert self.status == 200
        assert "error" not in self.json, self.json
        found: dict[str, Any] = self.json["result"]
        return found

    @property
    def error(self) -> dict[str, Any]:
        assert "result" not in self.json
        found: dict[str, Any] = self.json["error"]
        return found

    @property
    def fault(self) -> tuple[int, int]:
        """Its HTTP status and JSON-RPC code."""
        return self.status, self.error["code"]


def message(method: str, params: object = None, *, id: Any = 1) -> dict[str, Any]:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
    return body if params is None else {**body, "params": params}


def envelope(version: object = MODERN, capabilities: object = None) -> dict[str, Any]:
    return {
        f"{PREFIX}protocolVersion": version,
        f"{PREFIX}clientCapabilities": {} if capabilities is None else capabilities,
    }


def test_the_toolbox_in_memory_has_the_verbs_of_the_port() -> None:
    toolbox: Tools = MemoryToolbox()
    assert [tool.name for tool in toolbox.list_tools()] == ["echo", "send"]
    with pytest.raises(UnknownTool):
        toolbox.call_tool("absent", {})
