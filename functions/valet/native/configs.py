"""Declaring what MCP servers expose: connections, and configs over them.

Create, update and delete are the same verbs for CloudFormation and for operators over HTTP, and
running one twice is the same as once. `owner` tells who declared a name: a stack's resource, or
nobody in particular (HTTP). A stack may not take over a name that something else declared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import connector_names, load_connector
from valet.errors import BadRequest, Busy, Conflict, NotFound, UnknownName
from valet.models import Connection, ConnectionTools, McpConfig
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.table import (
    Absent,
    ConditionFailed,
    Delete,
    Is,
    Item,
    Key,
    Put,
    Table,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIG_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
CONNECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
MAX_MAPPINGS = 25
MAX_DESCRIPTION = 1000
_RACES = 5  # attempts against other writers of the same config


@dataclass(frozen=True, slots=True)
class Configs:
    table: Table
    now: Clock = utc_now

    def put_connection(
        self, name: str, connector: str, oauth_client: str | None, *, owner: str, replaces: bool
    ) -> Connection:
        """Declare a connection; with `replaces` false it must not be somebody else's already.

        Raises:
            BadRequest: the name or the OAuth client's name is malformed.
            UnknownName: no such connector.
            Conflict: another owner declared the name, or it is another connector's.
        """
        _check_name("connection", name, CONNECTION_NAME, "letters, digits, '_' and '-'")
        provider = load_connector(connector).provider
        client = oauth_client or provider.name
        _check_name("OAuth client", client, CONNECTION_NAME, "letters, digits, '_' and '-'")
        key = keys.connection(name)
        item = {
            "pk": key.pk,
            "sk": key.sk,
            "name": name,
            "connector": connector,
            "oauth_client": client,
            "owner": owner,
        }
        for _ in range(_RACES):
            current = self.table.get(key)
            self._refuse_other_owner("connection", name, current, owner, replaces=replaces)
            _refuse_other_connector(name, current, connector)
            unchanged = when(Is("owner", current["owner"])) if current else when(Absent())
            try:
                self.table.write(Put(item, unchanged))
            except ConditionFailed:
                continue
            return Connection(name, connector, client)
        raise Busy(f"connection {name!r} is being changed by others: try again")

    def delete_connection(self, name: str, *, owner: str) -> None:
        self._delete(keys.connection(name), owner)

    def connections(self) -> dict[str, Connection]:
        return {
            item["name"]: Connection(item["name"], item["connector"], item["oauth_client"])
            for item in self.table.query(keys.CONNECTIONS)
        }

    def put(
        self,
        name: str,
        description: str,
        mappings: Sequence[ConnectionTools],
        *,
        owner: str,
        replaces: bool,
    ) -> McpConfig:
        """Declare a config; a change makes a new revision, the same again makes none.

        Raises:
            BadRequest: a malformed name, too many mappings, an empty or repeated tool list.
            UnknownName: a connection or a tool does not exist; names the nearest that does.
            Conflict: another owner declared the name.
        """
        _check_name("config", name, CONFIG_NAME, "lower-case letters, digits, '_' and '-'")
        if len(description) > MAX_DESCRIPTION:
            raise BadRequest(
                f"the description has {len(description)} characters: at most {MAX_DESCRIPTION}",
                code="description_too_long",
            )
        self._check_mappings(mappings)
        for _ in range(_RACES):
            current = self.table.get(keys.config(name))
            self._refuse_other_owner("config", name, current, owner, replaces=replaces)
            stored = _from_item(current) if current else None
            if stored and (stored.description, stored.mappings) == (description, tuple(mappings)):
                return stored
            revision = self._next_revision(name, stored)
            config = McpConfig(name, description, tuple(mappings), revision, self.now())
            # An operator's change in passing leaves the stack in charge of what it declared.
            head = _to_item(config, current["owner"] if current else owner)
            history = head | vars_of(keys.config_revision(name, revision))
            unchanged = when(Is("revision", stored.revision)) if stored else when(Absent())
            try:
                self.table.transact(Put(head, unchanged), Put(history, when(Absent())))
            except ConditionFailed:
                continue
            return config
        raise Busy(f"config {name!r} is being changed by others: try again")

    def get(self, name: str) -> McpConfig:
        """Raises NotFound."""
        item = self.table.get(keys.config(name)) if CONFIG_NAME.fullmatch(name) else None
        if item is None:
            raise NotFound(f"no MCP config {name[:100]!r}: GET /configs lists them")
        return _from_item(item)

    def find(self, name: str) -> McpConfig:
        """A config that a request names; a wrong name is answered with the nearest right one.

        Raises:
            UnknownName: no such config.
        """
        item = self.table.get(keys.config(name)) if CONFIG_NAME.fullmatch(name) else None
        if item is None:
            raise UnknownName("config", name, [config.name for config in self.all()])
        return _from_item(item)

    def all(self) -> list[McpConfig]:
        return [_from_item(item) for item in self.table.query(keys.CONFIGS)]

    def delete(self, name: str, *, owner: str) -> None:
        """Delete a config; its instances' URLs stop answering. One that is gone is no error."""
        self._delete(keys.config(name), owner)

    def _check_mappings(self, mappings: Sequence[ConnectionTools]) -> None:
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
        connections = self.connections()
        seen: set[str] = set()
        exposed: dict[str, str] = {}
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
            _check_tools(mapping, connection.connector, exposed)

    def _next_revision(self, name: str, stored: McpConfig | None) -> int:
        if stored:
            return stored.revision + 1
        # A config that was deleted and declared again goes on counting: revisions are immutable.
        history = self.table.query(keys.config_revision(name, 0).pk)
        return int(history[-1]["revision"]) + 1 if history else 1

    def _delete(self, key: Key, owner: str) -> None:
        # A stack's late delete must not take what is another owner's by now; an operator's may.
        mine = when(Is("owner", owner)) if owner else None
        try:
            self.table.write(Delete(key, mine))
        except ConditionFailed:
            return

    @staticmethod
    def _refuse_other_owner(
        kind: str, name: str, item: Item | None, owner: str, *, replaces: bool
    ) -> None:
        if item is None or replaces or item["owner"] == owner:
            return
        raise Conflict(
            f"{kind} {name!r} exists already, declared by {item['owner'] or 'an operator'}: "
            "choose another name, or delete that one first",
            code=f"duplicate_{kind}",
        )


def exposed_tools(mapping: ConnectionTools, connector: str) -> tuple[str, ...]:
    """The names that a mapping exposes; without a list, all tools of the connector.

    A name that the connector no longer has is left out: one tool is lost, not the server.
    """
    catalogue = load_connector(connector)
    if mapping.tools is None:
        return tuple(catalogue.tools)
    return tuple(name for name in mapping.tools if catalogue.has(name))


def known_connectors() -> list[str]:
    return connector_names()


def vars_of(key: Key) -> dict[str, str]:
    return {"pk": key.pk, "sk": key.sk}


def _check_name(kind: str, name: str, pattern: re.Pattern[str], allowed: str) -> None:
    if not pattern.fullmatch(name):
        raise BadRequest(
            f"bad {kind} name {name[:100]!r}: 1 to 100 of {allowed}, first a letter or digit",
            code="bad_name",
        )


def _refuse_other_connector(name: str, item: Item | None, connector: str) -> None:
    """The tools that configs name on it, and the grants sealed for it, are its connector's."""
    if item and item["connector"] != connector:
        raise Conflict(
            f"connection {name!r} is one of {item['connector']!r}: declare one of {connector!r} "
            "under another name",
            code="connector_fixed",
        )


def _check_tools(mapping: ConnectionTools, connector: str, exposed: dict[str, str]) -> None:
    catalogue = load_connector(connector)
    names = mapping.tools if mapping.tools is not None else tuple(catalogue.tools)
    if not names:
        raise BadRequest(
            f"connection {mapping.connection!r} has an empty tool list: name the tools, or leave "
            "Tools out to expose all of them",
            code="empty_tools",
        )
    for name in names:
        catalogue.tool(name)
        if name in exposed:
            where = "twice" if exposed[name] == mapping.connection else f"by {exposed[name]!r} too"
            raise BadRequest(
                f"tool {name!r} is exposed {where}: a name can be on a server once",
                code="duplicate_tool",
            )
        exposed[name] = mapping.connection


def _to_item(config: McpConfig, owner: str) -> Item:
    mappings: list[Mapping[str, Any]] = [
        {"connection": m.connection, "tools": None if m.tools is None else list(m.tools)}
        for m in config.mappings
    ]
    return {
        **vars_of(keys.config(config.name)),
        "name": config.name,
        "description": config.description,
        "mappings": mappings,
        "revision": config.revision,
        "updated_at": epoch(config.updated_at),
        "owner": owner,
    }


def _from_item(item: Item) -> McpConfig:
    return McpConfig(
        name=item["name"],
        description=item["description"],
        mappings=tuple(
            ConnectionTools(m["connection"], None if m["tools"] is None else tuple(m["tools"]))
            for m in item["mappings"]
        ),
        revision=int(item["revision"]),
        updated_at=from_epoch(item["updated_at"]),
    )
