"""`tools/list` and `tools/call`, the part of them that all revisions share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from valet.errors import ValetError
from valet.mcp import cursors, rounds
from valet.mcp.content import content_of
from valet.mcp.errors import INVALID_PARAMS, ProtocolError
from valet.mcp.jsonrpc import Written
from valet.mcp.toolbox import Call, InputRequired
from valet.tools.results import ToolResult, ToolView, UnknownTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.mcp.handles import Handles
    from valet.mcp.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as far as the protocol cares: their tools, and what they keep for us."""

    toolbox: Toolbox
    handles: Handles


def list_tools(params: Mapping[str, Any], caller: Caller, page_size: int) -> dict[str, Any]:
    """One page of the tools.

    Raises:
        ProtocolError: the cursor is not one that was handed to this caller for this list.
    """
    toolbox = caller.toolbox
    tools, following = cursors.page(
        toolbox.list_tools(), toolbox.revision, params.get("cursor"), caller.handles, page_size
    )
    listed: dict[str, Any] = {"tools": _listed(tuple(tools))}
    return listed if following is None else listed | {"nextCursor": following}


def call_of(params: Mapping[str, Any]) -> Call:
    """The call that the parameters make.

    Raises:
        ProtocolError: they are malformed.
    """
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise ProtocolError(INVALID_PARAMS, "params.name must be a string")
    if arguments is not None and not isinstance(arguments, dict):
        raise ProtocolError(INVALID_PARAMS, "params.arguments must be an object")
    return Call(name, arguments or {})


def call_tool(call: Call, caller: Caller, report: Callable[[Exception], None]) -> dict[str, Any]:
    """Run the tool that is called; a `CallToolResult`, or what the client has to bring first.

    An error raised on purpose becomes a result: its sentence tells the model what to do next, and
    a protocol error would reach only the client (server/tools, Error Handling). The toolbox is
    not meant to raise one, so it is reported as well.

    Raises:
        ProtocolError: there is no such tool, or the client cannot be asked what it needs.
    """
    try:
        outcome = caller.toolbox.call(call)
        if isinstance(outcome, InputRequired):
            return rounds.asked(call, outcome, caller.handles)
    except UnknownTool as error:
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool: {call.name[:128]}") from error
    except ValetError as error:
        report(error)
        outcome = ToolResult(text=str(error), is_error=True, code=error.code)
    return content_of(outcome)


@lru_cache(maxsize=64)
def _listed(tools: tuple[ToolView, ...]) -> Written:
    """The same views are the same list: writing 20 kB takes as long as all else about them."""
    return Written.of([_described(tool) for tool in tools])


def _described(tool: ToolView) -> dict[str, Any]:
    described = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
    }
    if tool.output_schema:
        described["outputSchema"] = tool.output_schema
    if tool.annotations:
        described["annotations"] = tool.annotations
    return described
