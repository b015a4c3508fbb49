"""`tools/list` and `tools/call`, the part of them that all revisions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.errors import ValetError
from valet.mcp.errors import INVALID_PARAMS, ProtocolError
from valet.tools.results import ToolResult, ToolView, UnknownTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.mcp.toolbox import Toolbox


def list_tools(params: Mapping[str, Any], toolbox: Toolbox) -> dict[str, Any]:
    """All tools on one page.

    Raises:
        ProtocolError: a cursor came, and none was ever handed out.
    """
    if params.get("cursor") is not None:
        raise ProtocolError(INVALID_PARAMS, "Invalid cursor")
    return {"tools": [_described(tool) for tool in toolbox.list_tools()]}


def call_tool(
    params: Mapping[str, Any], toolbox: Toolbox, report: Callable[[Exception], None]
) -> ToolResult:
    """Run the tool that the parameters name.

    An error raised on purpose becomes a result: its sentence tells the model what to do next, and
    a protocol error would reach only the client (server/tools, Error Handling). The toolbox is
    not meant to raise one, so it is reported as well.

    Raises:
        ProtocolError: there is no such tool, or the parameters are malformed.
    """
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise ProtocolError(INVALID_PARAMS, "params.name must be a string")
    if arguments is not None and not isinstance(arguments, dict):
        raise ProtocolError(INVALID_PARAMS, "params.arguments must be an object")
    try:
        return toolbox.call_tool(name, arguments or {})
    except UnknownTool as error:
        raise ProtocolError(INVALID_PARAMS, f"Unknown tool: {name[:128]}") from error
    except ValetError as error:
        report(error)
        return ToolResult(text=str(error), is_error=True, code=error.code)


def content_of(result: ToolResult) -> dict[str, Any]:
    """A result as `CallToolResult`; the text is always there, as not all clients read the rest."""
    content: dict[str, Any] = {"content": [{"type": "text", "text": result.text}]}
    if result.structured is not None:
        content["structuredContent"] = result.structured
    content["isError"] = result.is_error
    return content


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
