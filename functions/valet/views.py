"""How the management API shows configs, what a change of one takes away, and the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.native.exposure import offered
from valet.tools.views import tool_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import Catalogue, ToolFacts
    from valet.models import Connection, Impact, McpConfig


def catalogue_view(tool: ToolFacts, *, schemas: bool) -> dict[str, Any]:
    shown = tool_view(tool)
    view: dict[str, Any] = {
        "name": tool.name,
        "connector": tool.connector,
        "title": tool.title,
        "description": tool.description,
        "read_only": tool.read_only,
        "destructive": tool.destructive,
        "aliases": list(tool.aliases),
        "scopes": list(tool.scopes),
        "annotations": shown.annotations,
    }
    if schemas:
        view |= {"input_schema": shown.input_schema, "output_schema": shown.output_schema}
    return view


def config_view(
    config: McpConfig, connections: Mapping[str, Connection], catalogue: Catalogue
) -> dict[str, Any]:
    still = offered(config, connections)
    return {
        "name": config.name,
        "description": config.description,
        "revision": config.revision,
        "updated_at": config.updated_at.isoformat().replace("+00:00", "Z"),
        "connections": [
            {
                "connection": mapping.connection,
                "connector": mapping.connector,
                "removed": mapping.connection not in still,
                "tools": list(names),
                "tool_count": len(names),
                "all_tools": mapping.tools is None,
            }
            for mapping in config.mappings
            for names in [catalogue.exposed(mapping)]
        ],
    }


def impact_view(impact: Impact) -> dict[str, Any]:
    return {
        "removed_tools": list(impact.removed_tools),
        "instances_losing_tools": impact.instances,
    }
