"""Declaring what MCP servers expose, and making it true at Scalekit.

What was declared is kept here as on `native`, with its owner and its revisions; Scalekit's config
follows it: found by its name, created, or changed where it differs. Every step may be repeated, so
that a lost answer or two deploys at once end with one config that says what was declared last.

A list of tools is never empty there, where it would mean all of them: who leaves it out gets the
tools of the day written out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Busy, Conflict, UnknownName
from valet.native import keys
from valet.native.configs import Configs as DeclaredConfigs
from valet.scalekit.errors import ScalekitRefused, ScalekitUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from valet.models import Connection, ConnectionTools, McpConfig
    from valet.scalekit.answers import RemoteConfig
    from valet.scalekit.api import Api

_RACES = 5


@dataclass(frozen=True, kw_only=True)  # without slots, which a base class's method is not found by
class Configs(DeclaredConfigs):
    api: Api

    def put_connection(
        self, name: str, connector: str, oauth_client: str | None, *, owner: str, replaces: bool
    ) -> Connection:
        """Declare a connection that was set up at Scalekit, which has its OAuth client.

        Raises:
            UnknownName: Scalekit has no such connection; names the nearest that it has.
            Conflict: it is another provider's, or not set up to its end; or as on `native`.
            BadRequest: an OAuth client is named.
        """
        if oauth_client:
            raise BadRequest(
                f"connection {name!r} names an OAuth client, which Scalekit has in its own "
                "connection: leave it out",
                code="unsupported_by_backend",
            )
        known = {connection.name: connection for connection in self.api.connections()}
        remote = known.get(name)
        if remote is None:
            raise UnknownName("connection", name, known)
        if remote.provider != connector.upper():
            raise Conflict(
                f"connection {name!r} is one of {remote.provider.lower()!r} at Scalekit, not of "
                f"{connector!r}",
                code="connector_fixed",
            )
        if not remote.usable:
            raise Conflict(
                f"connection {name!r} is not enabled at Scalekit, or not set up to its end: finish "
                "it in its dashboard",
                code="connection_unfinished",
            )
        return self._declare_connection(name, connector, "", owner=owner, replaces=replaces)

    def put(
        self,
        name: str,
        description: str,
        mappings: Sequence[ConnectionTools],
        *,
        owner: str,
        replaces: bool,
    ) -> McpConfig:
        """As on `native`, and at Scalekit too; one that Scalekit does not take is not declared.

        Raises:
            ScalekitRefused, ScalekitUnavailable: beside what `native` raises.
        """
        before = self.current(name)
        written_out = self._written_out(mappings)
        config = super().put(name, description, written_out, owner=owner, replaces=replaces)
        try:
            self._make_true(name)
        except Exception:
            if before is None:
                super().delete(name, owner=owner)
            raise
        return config

    def delete(self, name: str, *, owner: str) -> None:
        """Delete a config with its instances and their URLs. One that is gone is no error."""
        item = self.table.get(keys.config(name))
        if item is None or (owner and item["owner"] != owner):
            return  # not ours, or no more
        self._end(name)
        super().delete(name, owner=owner)

    def _written_out(self, mappings: Iterable[ConnectionTools]) -> list[ConnectionTools]:
        connections = self.connections()
        return [
            replace(mapping, tools=tuple(self.catalogue.get(connection.connector).tools))
            if mapping.tools is None and connection
            else mapping
            for mapping in mappings
            for connection in [connections.get(mapping.connection)]
        ]

    def _make_true(self, name: str) -> None:
        """Until what is there is what is declared: others may declare something else meanwhile."""
        for _ in range(_RACES):
            declared = self.current(name)
            if declared is None:
                self._end(name)
                return
            self._apply(declared)
            if self.current(name) == declared:
                return
        raise Busy(f"config {name!r} is being changed by others: try again")

    def _apply(self, declared: McpConfig) -> None:
        found = self.api.config(declared.name) or self._create(declared)
        if not _says(found, declared):
            self.api.update_config(found.id, declared.description, declared.mappings)

    def _create(self, declared: McpConfig) -> RemoteConfig:
        try:
            return self.api.create_config(declared.name, declared.description, declared.mappings)
        except ScalekitUnavailable as lost:
            failure: Exception = lost  # the answer may be lost, and the config be there
        except ScalekitRefused as refused:
            if not refused.exists_already:  # another deploy was faster
                raise
            failure = refused
        found = self.api.config(declared.name)
        if found is None:
            raise failure
        return found

    def _end(self, name: str) -> None:
        found = self.api.config(name)
        if found:
            self.api.delete_config(found.id)


def _says(remote: RemoteConfig, declared: McpConfig) -> bool:
    def lines(mappings: Iterable[ConnectionTools]) -> dict[str, frozenset[str]]:
        return {mapping.connection: frozenset(mapping.tools or ()) for mapping in mappings}

    # An empty description cannot be told from none, so that none says nothing.
    described = declared.description in ("", remote.description)
    return described and lines(remote.mappings) == lines(declared.mappings)
