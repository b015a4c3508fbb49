"""The ports through which the protocol reaches one caller's tools, and what passes through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.tools.results import ToolResult, ToolView


class Tools(Protocol):
    """The tools of one MCP instance, run with its user's grants."""

    @property
    def revision(self) -> str:
        """Changes whenever the list does."""
        ...

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

    def not_run(self, name: str, arguments: Mapping[str, Any], why: ToolResult) -> ToolResult:
        """Take note of a call that its user did not let go on; the result is `why`.

        Raises:
            UnknownTool: the instance does not expose `name` to this caller.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One `tools/call`; what only 2026-07-28 can say is empty in the revisions before it."""

    name: str
    arguments: Mapping[str, Any]
    capabilities: Mapping[str, Any] = field(default_factory=dict)  # the client's, for this call
    responses: Mapping[str, Mapping[str, Any]] | None = None  # to what was asked, by its key
    state: str | None = None  # what was noted when that was asked


@dataclass(frozen=True, slots=True)
class InputRequired:
    """A call that cannot go on before the client has brought something (basic/patterns/mrtr).

    `requests` are requests to the client, `{"method": …, "params": …}`, by a key of one's choice.
    `state` comes back with the responses: signed, but not hidden from the client.
    """

    requests: Mapping[str, Mapping[str, Any]]
    state: str | None = None


class Toolbox(Protocol):
    """Tools that may ask the client for something before they answer."""

    @property
    def revision(self) -> str: ...

    def list_tools(self) -> Sequence[ToolView]: ...

    def call(self, call: Call) -> ToolResult | InputRequired:
        """Run one tool, or ask what has to be known first.

        Raises:
            UnknownTool: there is no such tool for this caller.
            ProtocolError: the responses or the state are not what was asked for.
        """
        ...
