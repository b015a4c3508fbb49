"""MCP behind Scalekit's URLs: who is served by which, and what they may list and call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.concurrency import run_in_threadpool

from . import configs, instances, session_tokens, tools
from .world import Mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.server.context import ServerRequestContext
    from starlette.requests import Request

    from valet.connectors.models import Tool

    from .world import World


@dataclass(frozen=True)
class Served:
    """For whom an MCP request is: a config's or a connection's tools, with one user's accounts."""

    mappings: tuple[Mapping, ...]
    identifier: str
    read_only: bool = False


class Refused(Exception):
    """An HTTP status instead of MCP."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def find(world: World, path: str, authorization: str) -> Served:
    """Whom a URL and its bearer stand for.

    Raises:
        Refused: 404 for a URL that is none, 401 for a bearer that is not of this server.
    """
    if path.startswith(instances.V2):
        server = path.removeprefix(instances.V2)
        for instance in world.state.instances.values():
            if instance.server == server:
                instance.last_used_at = world.now()
                mappings = world.state.configs[instance.config].mappings
                return Served(tuple(mappings), instance.identifier)
        raise Refused(404)
    mappings = _virtual(world, path)
    claims = session_tokens.read(world, authorization, world.base + path)
    if claims is None:
        raise Refused(401)
    return Served(tuple(mappings), claims["sub"], claims["access_level"] == "READ_ONLY")


def _virtual(world: World, path: str) -> list[Mapping]:
    for config in world.state.configs.values():
        if path == configs.V3 + config.server:
            return config.mappings
    for name in world.state.connections:
        if path == session_tokens.CONNECTION + name:
            return [Mapping(name, [])]
    raise Refused(404)


def manager(world: World) -> StreamableHTTPSessionManager:
    """Serves requests whose `state.served` says for whom they are."""

    async def list_tools(ctx: ServerRequestContext[Any, Request], _: Any) -> types.ListToolsResult:
        found = [_view(tool) for _, tool in _offered(world, _served(ctx))]
        return types.ListToolsResult(tools=found)

    async def call_tool(
        ctx: ServerRequestContext[Any, Request], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        served = _served(ctx)
        return await run_in_threadpool(_call, world, served, params.name, params.arguments or {})

    server: Server[Any] = Server(
        "scalekit", version="1.0.0", on_list_tools=list_tools, on_call_tool=call_tool
    )
    return StreamableHTTPSessionManager(server, json_response=True, stateless=True)


def _served(ctx: ServerRequestContext[Any, Request]) -> Served:
    assert ctx.request is not None
    served: Served = ctx.request.state.served
    return served


def _offered(world: World, served: Served) -> Iterator[tuple[Mapping, Tool]]:
    for mapping in served.mappings:
        known = tools.of(world.state.connections[mapping.connection].provider)
        for tool in known.values():
            if tool.name in (mapping.tools or known) and (tool.read_only or not served.read_only):
                yield mapping, tool


def _call(
    world: World, served: Served, name: str, arguments: dict[str, Any]
) -> types.CallToolResult:
    with world.lock:
        for mapping, tool in _offered(world, served):
            if tool.name == name:
                return _run(world, served, mapping, tool, arguments)
    return _failed(f"unknown tool: {name}")


def _run(
    world: World, served: Served, mapping: Mapping, tool: Tool, arguments: dict[str, Any]
) -> types.CallToolResult:
    account = world.account(mapping.connection, served.identifier)
    if account is None:
        return _failed(f"{mapping.connection} is not connected")
    try:
        result = tools.run(world, account, tool, arguments)
    except tools.NotActive as wrong:
        return _failed(f"{mapping.connection} is not connected: {wrong}")
    if result.is_error:
        return _failed(result.text)
    data = dict(result.structured or {})
    text = types.TextContent(type="text", text=json.dumps(data))
    return types.CallToolResult(content=[text], structured_content=data)


def _failed(said: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)


def _view(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=dict(tool.input_schema),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
        ),
    )
