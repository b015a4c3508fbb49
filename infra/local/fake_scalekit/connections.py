"""Connections: the fake has them from its seed; the API here only shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import Json, handles, page
from .errors import not_found
from .seed import redirect_uri

if TYPE_CHECKING:
    from .world import Connection, World


@handles("ConnectionService.ListAppConnections")
def list_app(world: World, given: Json) -> Json:
    found = [
        connection
        for connection in world.state.connections.values()
        if given.get("provider", "").upper() in ("", connection.provider.key)
        and given.get("query", "").lower() in connection.name.lower()
    ]
    chosen, more = page(given, found)
    return {"connections": [_common(world, connection) for connection in chosen], **more}


@handles("ConnectionService.GetEnvironmentConnection")
def get(world: World, given: Json) -> Json:
    for connection in world.state.connections.values():
        if connection.id == given["connection_id"]:
            oauth = {
                "scopes": list(connection.provider.scopes),
                "redirect_uri": redirect_uri(world.base, connection.id),
            }
            return {"connection": {**_common(world, connection), "oauth_config": oauth}}
    raise not_found(f"no connection {given['connection_id']}")


def _common(world: World, connection: Connection) -> Json:
    return {
        "id": connection.id,
        "key_id": connection.name,
        "provider_key": connection.provider.key,
        "type": "OAUTH",
        "status": "COMPLETED",
        "enabled": connection.enabled,
        "auth_mode": "USER",
        "mcp_server_url": f"{world.base}/mcp/v3/connections/{connection.name}",
    }
