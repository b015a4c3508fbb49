"""The revisions with a handshake, 2025-03-26 to 2025-11-25, served without any session.

Nothing of the handshake is kept: what a client declares at `initialize` is unknown at `tools/call`,
so every answer is one that all these revisions take. Fields that came later (`title`,
`outputSchema`, `structuredContent`) are extra members to the older ones, which ignore them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valet.mcp import tools
from valet.mcp.errors import INVALID_PARAMS, METHOD_NOT_FOUND, ProtocolError
from valet.mcp.revisions import LEGACY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.mcp.jsonrpc import Request
    from valet.mcp.tools import Caller


@dataclass(frozen=True, slots=True)
class LegacyEra:
    """Answers requests of the legacy revisions."""

    server_info: Mapping[str, str]
    instructions: str
    page_size: int
    report: Callable[[Exception], None]

    def answer(
        self,
        request: Request,
        headers: Mapping[str, str],  # noqa: ARG002 -- the modern era's, which mirror the body
        caller: Caller,
    ) -> Mapping[str, Any]:
        """The result of one request.

        Raises:
            ProtocolError: it has none.
        """
        params = request.params
        match request.method:
            case "initialize":
                return self._initialized(params)
            case "ping":
                return {}
            case "tools/list":
                return tools.list_tools(params, caller, self.page_size)
            case "tools/call":
                return tools.call_tool(tools.call_of(params), caller, self.report)
        raise ProtocolError(METHOD_NOT_FOUND, "Method not found")

    def status_of(self, code: int) -> int:  # noqa: ARG002 -- one status for all
        """200 for every error: on 4xx, deployed clients drop the whole session."""
        return 200

    def _initialized(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = params.get("protocolVersion")
        if not isinstance(wanted, str):
            raise ProtocolError(INVALID_PARAMS, "params.protocolVersion must be a string")
        return {
            "protocolVersion": wanted if wanted in LEGACY else LEGACY[0],
            "capabilities": {"tools": {}},
            "serverInfo": self.server_info,
            "instructions": self.instructions,
        }
