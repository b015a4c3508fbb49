"""What a config may say, checked against the connections and tools that there are today."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Conflict, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.connectors.models import Catalogue, Offer
    from valet.models import Connection, ConnectionTools

CONFIG_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
CONNECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
MAX_MAPPINGS = 25
MAX_DESCRIPTION = 1000


def check_config_name(name: str) -> None:
    _check_name("config", name, CONFIG_NAME, "lower-case letters, digits, '_' and '-'")


def check_connection_name(kind: str, name: str) -> None:
    """Of a connection, or of the OAuth client that it uses."""
    _check_name(kind, name, CONNECTION_NAME, "letters, digits, '_' and '-'")


def check_description(description: str) -> None:
    if len(description) > MAX_DESCRIPTION:
        raise BadRequest(
            f"the description has {len(description)} characters: at most {MAX_DESCRIPTION}",
            code="description_too_long",
        )


def checked_mappings(
    mappings: Sequence[ConnectionTools],
    connections: Mapping[str, Connection],
    catalogue: Catalogue,
) -> tuple[ConnectionTools, ...]:
    """The lines of a config to declare, each with its connection's connector.

    Raises:
        BadRequest: none or too many, a connection or a tool twice, an empty list of tools.
        UnknownName: a connection or a tool does not exist; names the nearest that does.
        Conflict: a line of an older revision, whose connection is another connector's by now.
    """
    if not mappings:
        raise BadRequest(
            "a config needs at least one connection: add one to Connections",
            code="no_connections",
        )
    if len(mappings) > MAX_MAPPINGS:
        raise BadRequest(
            f"{len(mappings)} connections: at most {MAX_MAPPINGS} fit one config",
            code="too_many_connections",
        )
    seen: set[str] = set()
    exposed: dict[str, str] = {}
    declared = []
    for mapping in mappings:
        connection = connections.get(mapping.connection)
        if connection is None:
            raise UnknownName("connection", mapping.connection, connections)
        if mapping.connection in seen:
            raise BadRequest(
                f"connection {mapping.connection!r} is listed twice: merge its tools",
                code="duplicate_connection",
            )
        seen.add(mapping.connection)
        _check_connector(mapping, connection)
        declared.append(replace(mapping, connector=connection.connector))
        _check_tools(declared[-1], catalogue.get(connection.connector), exposed)
    return tuple(declared)


def _check_name(kind: str, name: str, pattern: re.Pattern[str], allowed: str) -> None:
    if not pattern.fullmatch(name):
        raise BadRequest(
            f"bad {kind} name {name[:100]!r}: 1 to 100 of {allowed}, first a letter or digit",
            code="bad_name",
        )


def _check_connector(mapping: ConnectionTools, connection: Connection) -> None:
    """Without a list of tools, a line would silently come to expose all of another connector's."""
    if mapping.connector not in ("", connection.connector):
        raise Conflict(
            f"connection {mapping.connection!r} was one of {mapping.connector!r} and is one of "
            f"{connection.connector!r} now: declare the config anew with the tools of that",
            code="connector_changed",
        )


def _check_tools(mapping: ConnectionTools, offer: Offer, exposed: dict[str, str]) -> None:
    names = mapping.tools if mapping.tools is not None else tuple(offer.tools)
    if not names:
        raise BadRequest(
            f"connection {mapping.connection!r} has an empty tool list: name the tools, or leave "
            "Tools out to expose all of them",
            code="empty_tools",
        )
    for name in names:
        offer.tool(name)
        if name in exposed:
            where = "twice" if exposed[name] == mapping.connection else f"by {exposed[name]!r} too"
            raise BadRequest(
                f"tool {name!r} is exposed {where}: a name can be on a server once",
                code="duplicate_tool",
            )
        exposed[name] = mapping.connection
