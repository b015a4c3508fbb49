"""Finding tools in the catalogue, whichever connector has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import UnknownName

if TYPE_CHECKING:
    from valet.connectors.models import Catalogue, ToolFacts


@dataclass(frozen=True, slots=True)
class ToolQuery:
    """What the tools that are looked for have in common; None asks nothing."""

    connector: str | None = None
    name: str | None = None  # a tool's own or one of its aliases
    words: str = ""  # each of them somewhere in name, title or description
    read_only: bool | None = None


def find_tools(query: ToolQuery, catalogue: Catalogue) -> list[ToolFacts]:
    """In the connectors' and their tools' own order.

    Raises:
        UnknownName: there is no such connector, or no tool of that name; names the nearest.
    """
    names = catalogue.names() if query.connector is None else [query.connector]
    every = [tool for name in names for tool in catalogue.get(name).tools.values()]
    if query.name is not None and not any(query.name in (t.name, *t.aliases) for t in every):
        raise UnknownName("tool", query.name, [n for t in every for n in (t.name, *t.aliases)])
    return [tool for tool in every if _fits(tool, query)]


def _fits(tool: ToolFacts, query: ToolQuery) -> bool:
    text = f"{tool.name}\n{tool.title}\n{tool.description}".casefold()
    return (
        query.name in (None, tool.name, *tool.aliases)
        and query.read_only in (None, tool.read_only)
        and all(word in text for word in query.words.casefold().split())
    )
