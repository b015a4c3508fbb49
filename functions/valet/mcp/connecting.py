"""Asks the user to connect an account where the client can be asked, and says so in text elsewhere.

A client that declares URL elicitation shows the link to its user by itself, and calls again when
they are done (2026-07-28, client/elicitation). It is asked once a call: whoever accepts without
having connected gets the text with the link, as every other client does, or the two would go on
for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from valet.mcp.capabilities import declares
from valet.mcp.errors import INVALID_PARAMS, ProtocolError
from valet.mcp.toolbox import InputRequired
from valet.tools.results import ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.mcp.toolbox import Call, Tools
    from valet.tools.results import ToolView

_KEY: Final = "connect"
_LEFT: Final = {
    "decline": "The user declined to connect {account}",
    "cancel": "The user closed the request to connect {account} without an answer",
}


@dataclass(frozen=True, slots=True)
class Connecting:
    """Tools whose missing grants are asked for."""

    tools: Tools

    @property
    def revision(self) -> str:
        return self.tools.revision

    def list_tools(self) -> Sequence[ToolView]:
        return self.tools.list_tools()

    def call(self, call: Call) -> ToolResult | InputRequired:
        action = _action(call)
        if action in _LEFT:
            return self.tools.not_run(call.name, call.arguments, _left(call, action))
        result = self.tools.call_tool(call.name, call.arguments)
        can_be_asked = declares(call.capabilities, "elicitation", "url")
        if result.connect_url is None or action == "accept" or not can_be_asked:
            return result
        return _connect(call.name, result.connect_to, result.connect_url)


def _action(call: Call) -> str | None:
    """What the user did when they were asked to connect; None when they were not."""
    if call.responses is None:
        return None
    if call.state is None:
        raise ProtocolError(INVALID_PARAMS, "inputResponses came without their requestState")
    if _KEY not in call.responses:
        return None  # to be asked again, as the specification has it
    action = call.responses[_KEY].get("action")
    if action not in ("accept", *_LEFT):
        raise ProtocolError(INVALID_PARAMS, "action must be accept, decline or cancel")
    return str(action)


def _connect(tool: str, account: str, url: str) -> InputRequired:
    params: Mapping[str, Any] = {
        "mode": "url",
        "message": f"{tool} needs your {account} account. Open the link and connect it there.",
        "url": url,
    }
    return InputRequired({_KEY: {"method": "elicitation/create", "params": params}}, state=account)


def _left(call: Call, action: str) -> ToolResult:
    what = _LEFT[action].format(account=call.state)
    return ToolResult(
        f"{what}, so {call.name} was not run. Go on without it; if the user wants it after all, "
        "call it again and they are asked anew.",
        is_error=True,
        code=f"connect_{action}",
    )
