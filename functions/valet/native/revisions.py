"""A config's history: every revision as it was declared, kept for good.

Revisions never change, and a config that was deleted and declared again goes on counting, so a
number stands for one content forever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.models import ConnectionTools, McpConfig
from valet.native import keys
from valet.native.clock import epoch, from_epoch

if TYPE_CHECKING:
    from valet.native.table import Item, Key, Table


@dataclass(frozen=True, slots=True)
class Revisions:
    table: Table

    def of(self, name: str) -> list[McpConfig]:
        """Oldest first; none of a config that never was."""
        return [from_item(item) for item in self.table.query(keys.revisions_partition(name))]

    def get(self, name: str, revision: int) -> McpConfig | None:
        item = self.table.get(keys.config_revision(name, revision))
        return from_item(item) if item else None

    def next_number(self, name: str, current: McpConfig | None) -> int:
        if current:
            return current.revision + 1
        history = self.of(name)
        return history[-1].revision + 1 if history else 1


def to_item(key: Key, config: McpConfig, owner: str) -> Item:
    return {
        "pk": key.pk,
        "sk": key.sk,
        "name": config.name,
        "description": config.description,
        "mappings": [
            {
                "connection": m.connection,
                "tools": None if m.tools is None else list(m.tools),
                "connector": m.connector,
            }
            for m in config.mappings
        ],
        "revision": config.revision,
        "updated_at": epoch(config.updated_at),
        "owner": owner,
    }


def from_item(item: Item) -> McpConfig:
    return McpConfig(
        name=item["name"],
        description=item["description"],
        mappings=tuple(
            ConnectionTools(
                connection=m["connection"],
                tools=None if m["tools"] is None else tuple(m["tools"]),
                connector=m["connector"],
            )
            for m in item["mappings"]
        ),
        revision=int(item["revision"]),
        updated_at=from_epoch(item["updated_at"]),
    )
