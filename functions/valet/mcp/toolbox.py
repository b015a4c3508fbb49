"""The port through which the protocol reaches one instance's tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.tools.results import ToolResult, ToolView


class Toolbox(Protocol):
    """The tools of one MCP instance, run with its user's grants."""

    def list_tools(self) -> Sequence[ToolView]:
        """All tools in a fixed order: a pure function of the config's revision and the access."""
        ...

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Run one tool.

        Never raises for a wrong argument, a missing grant or a provider's failure: those are
        results with `is_error`.

        Raises:
            UnknownTool: the instance does not expose `name` to this caller.
        """
        ...
