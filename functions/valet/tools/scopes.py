"""Which scopes to ask a user for, and which tools a grant is enough for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from valet.connectors.models import Tool


def least_scopes(tools: Iterable[Tool]) -> tuple[str, ...]:
    """The scopes to ask for so that every tool works, and nothing beyond.

    Each tool's preferred scope, without those that a broader one makes redundant which another
    tool needs anyway. One broad scope never replaces two narrow ones: least privilege counts
    rights, not scopes.
    """
    needs = [tool.scopes for tool in tools]
    chosen = {scopes[0] for scopes in needs}
    for scope in sorted(
        chosen, key=lambda scope: (sum(scope in any_of for any_of in needs), scope)
    ):
        others = chosen - {scope}
        if all(others.intersection(any_of) for any_of in needs):
            chosen = others
    return tuple(sorted(chosen))


def missing(tool: Tool, granted: Collection[str]) -> bool:
    """Whether a grant of these scopes is not enough for the tool."""
    return not any(scope in granted for scope in tool.scopes)
