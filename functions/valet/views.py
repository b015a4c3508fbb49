"""How the management API shows configs, and what a change of one takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.native.exposure import exposed_tools, offered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.models import Connection, Impact, McpConfig


def config_view(config: McpConfig, connections: Mapping[str, Connection]) -> dict[str, Any]:
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
            for names in [exposed_tools(mapping)]
        ],
    }


def impact_view(impact: Impact) -> dict[str, Any]:
    return {
        "removed_tools": list(impact.removed_tools),
        "instances_losing_tools": impact.instances,
    }
