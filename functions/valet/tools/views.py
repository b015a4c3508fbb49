"""A tool as clients see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valet.tools.results import ToolView

if TYPE_CHECKING:
    from valet.connectors.models import ToolFacts


def tool_view(tool: ToolFacts, name: str | None = None) -> ToolView:
    """The tool under its own name, or under the alias that a config used."""
    return ToolView(
        name=name or tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations={
            "readOnlyHint": tool.read_only,
            "destructiveHint": tool.destructive,
            "idempotentHint": tool.idempotent,
            "openWorldHint": True,
        },
    )
