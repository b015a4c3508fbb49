"""Declaring what MCP servers expose: connections, and configs over them.

Create, update and delete are the same verbs for CloudFormation and for operators over HTTP, and
running one twice is the same as once. `owner` tells who declared a name: a stack's resource, or
nobody in particular (HTTP). A stack may not take over a name that something else declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import Busy, Conflict, NotFound, UnknownName
from valet.models import Connection, Impact, McpConfig
from valet.native import keys
from valet.native.clock import Clock, utc_now
from valet.native.config_rules import (
    CONFIG_NAME,
    check_config_name,
    check_connection_name,
    check_description,
    checked_mappings,
)
from valet.native.exposure import all_exposed
from valet.native.revisions import Revisions, from_item, to_item
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
    from collections.abc import Sequence

    from valet.connectors.models import Catalogue
    from valet.models import ConnectionTools

_RACES = 5  # attempts against other writers of the same config


@dataclass(frozen=True, slots=True)
class Configs:
    table: Table
    catalogue: Catalogue
    now: Clock = utc_now

    @property
    def revisions(self) -> Revisions:
        return Revisions(self.table)

    def put_connection(
        self, name: str, connector: str, oauth_client: str | None, *, owner: str, replaces: bool
    ) -> Connection:
        """Declare a connection; with `replaces` false it must not be somebody else's already.

        Raises:
            BadRequest: the name or the OAuth client's name is malformed.
            UnknownName: no such connector.
            Conflict: another owner declared the name, or it is another connector's.
        """
        provider = load_connector(connector).provider
        client = oauth_client or provider.name
        check_connection_name("OAuth client", client)
        return self._declare_connection(name, connector, client, owner=owner, replaces=replaces)

    def _declare_connection(
        self, name: str, connector: str, client: str, *, owner: str, replaces: bool
    ) -> Connection:
        check_connection_name("connection", name)
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
        check_config_name(name)
        check_description(description)
        declared = checked_mappings(mappings, self.connections(), self.catalogue)
        for _ in range(_RACES):
            current = self.table.get(keys.config(name))
            self._refuse_other_owner("config", name, current, owner, replaces=replaces)
            stored = from_item(current) if current else None
            if stored and (stored.description, stored.mappings) == (description, declared):
                return stored
            revision = self.revisions.next_number(name, stored)
            now = self.now().replace(microsecond=0)  # as it is stored, and answered next time
            config = McpConfig(name, description, declared, revision, now)
            # An operator's change in passing leaves the stack in charge of what it declared.
            in_charge = current["owner"] if current else owner
            head = to_item(keys.config(name), config, in_charge)
            history = to_item(keys.config_revision(name, revision), config, in_charge)
            unchanged = when(Is("revision", stored.revision)) if stored else when(Absent())
            try:
                self.table.transact(Put(head, unchanged), Put(history, when(Absent())))
            except ConditionFailed:
                continue
            return config
        raise Busy(f"config {name!r} is being changed by others: try again")

    def restore(self, name: str, revision: int) -> McpConfig:
        """Declare what a revision said again, as a new revision; of a deleted config, too.

        It has to fit the connections and tools of today. To go back to what already is changes
        nothing, and whoever declared the config stays in charge of it.

        Raises:
            NotFound: no such config, or no such revision of it; names those that there are.
            What `put` raises.
        """
        old = self.revisions.get(name, revision) if CONFIG_NAME.fullmatch(name) else None
        if old is None:
            last = self.history(name)[-1].revision
            raise NotFound(
                f"config {name!r} has no revision {revision}: it has 1 to {last}",
                code="unknown_revision",
            )
        return self.put(name, old.description, old.mappings, owner="", replaces=True)

    def history(self, name: str) -> list[McpConfig]:
        """All revisions, oldest first; of a deleted config, too. Raises NotFound."""
        found = self.revisions.of(name) if CONFIG_NAME.fullmatch(name) else []
        if not found:
            raise _no_config(name)
        return found

    def impact(self, config: McpConfig) -> Impact:
        """What a revision took away from the one before it, and how many instances lose it now.

        Of the revisions, not of what was there when it was asked for: a repeated request is
        answered the same.
        """
        before = self.revisions.get(config.name, config.revision - 1)
        earlier = self._exposed(before) if before else ()
        return self._impact(config.name, earlier, self._exposed(config))

    def impact_of_deleting(self, config: McpConfig) -> Impact:
        return self._impact(config.name, self._exposed(config), ())

    def _exposed(self, config: McpConfig) -> tuple[str, ...]:
        return all_exposed(config, self.catalogue)

    def _impact(self, name: str, before: Sequence[str], after: Sequence[str]) -> Impact:
        removed = tuple(tool for tool in before if tool not in after)
        return Impact(removed, self.table.count_of_config(name)) if removed else Impact()

    def get(self, name: str) -> McpConfig:
        """Raises NotFound."""
        found = self.current(name)
        if found is None:
            raise _no_config(name)
        return found

    def find(self, name: str) -> McpConfig:
        """A config that a request names; a wrong name is answered with the nearest right one.

        Raises:
            UnknownName: no such config.
        """
        found = self.current(name)
        if found is None:
            raise UnknownName("config", name, [config.name for config in self.all()])
        return found

    def current(self, name: str) -> McpConfig | None:
        """The config as it is declared now, if it is."""
        item = self.table.get(keys.config(name)) if CONFIG_NAME.fullmatch(name) else None
        return from_item(item) if item else None

    def all(self) -> list[McpConfig]:
        return [from_item(item) for item in self.table.query(keys.CONFIGS)]

    def delete(self, name: str, *, owner: str) -> None:
        """Delete a config; its instances' URLs stop answering. One that is gone is no error."""
        self._delete(keys.config(name), owner)

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


def _no_config(name: str) -> NotFound:
    return NotFound(f"no MCP config {name[:100]!r}: GET /configs lists them")


def _refuse_other_connector(name: str, item: Item | None, connector: str) -> None:
    """The tools that configs name on it, and the grants sealed for it, are its connector's."""
    if item and item["connector"] != connector:
        raise Conflict(
            f"connection {name!r} is one of {item['connector']!r}: declare one of {connector!r} "
            "under another name",
            code="connector_fixed",
        )
