"""What a config exposes: a pure function of its revision, so that no server's list flickers.

A connection that was removed, or is another connector's by now, takes its tools' calls away and
none of their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector, title
from valet.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import Catalogue
    from valet.models import Connection, ConnectionTools, McpConfig


def exposed_tools(mapping: ConnectionTools) -> tuple[str, ...]:
    """The names that a declared mapping exposes; without a list, all tools of the connector.

    A name that the connector no longer has is left out: one tool is lost, not the server.
    """
    catalogue = load_connector(mapping.connector)
    if mapping.tools is None:
        return tuple(catalogue.tools)
    return tuple(name for name in mapping.tools if catalogue.has(name))


def all_exposed(config: McpConfig, catalogue: Catalogue) -> tuple[str, ...]:
    """The names on a config's servers, in their order."""
    return tuple(name for mapping in config.mappings for name in catalogue.exposed(mapping))


def offered(config: McpConfig, connections: Mapping[str, Connection]) -> dict[str, Connection]:
    """The connections that a config's tools can still be called on, in its order."""
    return {
        mapping.connection: connection
        for mapping in config.mappings
        for connection in [connections.get(mapping.connection)]
        if connection and connection.connector == mapping.connector
    }


def removed(connector: str) -> Misconfigured:
    """Why a tool cannot be called whose connection is offered no more."""
    return Misconfigured(
        f"{title(connector)} was removed from this app: do not retry, its operator has to declare "
        "the connection again, or take the tool out of the config",
        code="connection_removed",
    )
