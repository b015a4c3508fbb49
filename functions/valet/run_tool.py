"""One tool call over HTTP: what a service asks for, and what it is told of the outcome.

Where the function that serves MCP runs tools, this is part of it, loaded when it is first asked
for. The body is read by hand: pydantic would take longer to load than all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from valet.backend import ToolRun
from valet.errors import BadRequest, TooMany, UnknownName
from valet.http import Handler, Request, Response, Route, http_handler, json_response
from valet.mcp.transport import MAX_BODY
from valet.tools.results import UnknownTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.models import UserKey
    from valet.native.sessions import Session
    from valet.native.tool_sessions import ToolSessions
    from valet.native.toolbox import InstanceToolbox

    type Run = Callable[[UserKey, str, str | None, Mapping[str, Any]], ToolRun]

_FIELDS = ("config", "arguments")


class Asked(NamedTuple):
    config: str | None
    arguments: dict[str, Any]


def handler(sessions: ToolSessions, toolbox_of: Callable[[Session], InstanceToolbox]) -> Handler:
    def run(user: UserKey, name: str, config: str | None, arguments: Mapping[str, Any]) -> ToolRun:
        session = sessions.session(user, name, config)
        toolbox = toolbox_of(session)
        try:
            return ToolRun(session.config.name, toolbox.call_tool(name, arguments))
        except UnknownTool:
            raise UnknownName("tool", name, [tool.name for tool in toolbox.list_tools()]) from None

    return http_handler(
        {
            "POST /users/{user}/tools/{tool}": Route(
                "iam", lambda request: answer(request, run), MAX_BODY
            )
        }
    )


def answer(request: Request, run: Run) -> Response:
    name, (config, arguments) = request.path("tool"), asked(request.json())
    ran = run(request.user_key, name, config, arguments)
    result = ran.result
    if result.retry_after is not None:
        # What HTTP clients wait for by themselves: our limit's pause, or the provider's.
        raise TooMany(result.text, code=result.code, retry_after=result.retry_after)
    return json_response(outcome(name, ran))


def asked(body: Any) -> Asked:
    """Raises BadRequest, naming the fields that are wrong, never their values."""
    if not isinstance(body, dict):
        raise _invalid("body: must be an object")
    for name in body:
        if name not in _FIELDS:
            raise _invalid(f"{name[:100]}: no such field, there are config and arguments")
    config, arguments = body.get("config"), body.get("arguments", {})
    if "config" in body and (not isinstance(config, str) or not config):
        raise _invalid("config: must be a config's name; leave it out if one exposes the tool")
    if not isinstance(arguments, dict):
        raise _invalid("arguments: must be an object")
    return Asked(config, arguments)


def outcome(tool: str, ran: ToolRun) -> dict[str, Any]:
    """A call that was made or refused on the way is a result, as for a client of MCP: its message
    is meant for the model that chose the arguments, or for the user who has to connect."""
    result = ran.result
    return {
        "tool": tool,
        "config": ran.config,
        "is_error": result.is_error,
        "code": result.code,
        "result": None if result.is_error else result.structured,
        "message": result.text if result.is_error or result.structured is None else None,
        "connect_url": result.connect_url,
    }


def _invalid(what: str) -> BadRequest:
    return BadRequest(what, code="invalid_request")
