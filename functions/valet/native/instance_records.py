"""Which instances there are: one per user and config, found by either, with a random id.

One conditional transaction decides the race of first calls; the losers read the winner's. An id is
never given twice, so that what was handed out for a deleted instance can never come back to life.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Busy, NotFound
from valet.models import InstanceId, McpInstance, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.table import (
    Absent,
    ConditionFailed,
    Delete,
    Is,
    Item,
    Put,
    Table,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.native.configs import Configs

_ID = re.compile(r"ins_[0-9a-f]{32}")
_ID_BYTES = 16
_RACES = 5


@dataclass(frozen=True, slots=True)
class InstanceRecords:
    table: Table
    configs: Configs
    now: Clock = utc_now

    def ensure(self, config_name: str, user: UserKey, key_id: Callable[[], str]) -> McpInstance:
        """The user's instance of a config; `key_id` says what signs a new one's URL.

        Raises:
            UnknownName: no such config.
        """
        config = self.configs.find(config_name)
        for _ in range(_RACES):
            owned = self.owned(user, config.name)
            if owned:
                return owned
            instance = McpInstance(
                id=new_instance_id(secrets.token_bytes),
                config=config.name,
                user=user,
                generation=1,
                key_id=key_id(),
                created_at=self.now().replace(microsecond=0),
            )
            owner_key = keys.owned_instance(user, config.name)
            pointer = {"pk": owner_key.pk, "sk": owner_key.sk, "id": instance.id}
            try:
                self.table.transact(
                    Put(pointer, when(Absent())), Put(_to_item(instance), when(Absent()))
                )
            except ConditionFailed:
                continue
            return instance
        raise Busy("this instance is being changed by others: try again")

    def of(self, user: UserKey) -> list[McpInstance]:
        pointers = self.table.query(keys.owned_partition(user))
        found = self.table.get_many([keys.instance(InstanceId(p["id"])) for p in pointers])
        return sorted((_from_item(item) for item in found.values()), key=lambda i: i.config)

    def owned(self, user: UserKey, config_name: str) -> McpInstance | None:
        """The user's instance of a config, if there is one."""
        pointer = self.table.get(keys.owned_instance(user, config_name))
        item = self.table.get(keys.instance(InstanceId(pointer["id"]))) if pointer else None
        return _from_item(item) if item else None

    def get(self, instance_id: str, user: UserKey) -> McpInstance:
        """Raises NotFound; somebody else's instance is not found either."""
        # Its form first: what comes from a URL's path can be longer than a key may be.
        known = _ID.fullmatch(instance_id)
        item = self.table.get(keys.instance(InstanceId(instance_id))) if known else None
        if item is None or item["user"] != user:
            raise _no_instance()
        return _from_item(item)

    def delete(self, instance: McpInstance) -> None:
        """Raises NotFound: a second delete says so too."""
        try:
            self.table.transact(
                Delete(
                    keys.owned_instance(instance.user, instance.config),
                    when(Is("id", instance.id)),
                ),
                Delete(keys.instance(instance.id), when(Is("user", instance.user))),
            )
        except ConditionFailed:
            raise _no_instance() from None


def new_instance_id(random: Callable[[int], bytes]) -> InstanceId:
    return InstanceId(f"ins_{random(_ID_BYTES).hex()}")


def _no_instance() -> NotFound:
    return NotFound("no such MCP instance: GET /instances lists yours")


def _to_item(instance: McpInstance) -> Item:
    key = keys.instance(instance.id)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "id": instance.id,
        "config": instance.config,
        "user": instance.user,
        "generation": instance.generation,
        "key_id": instance.key_id,
        "created_at": epoch(instance.created_at),
    }


def _from_item(item: Item) -> McpInstance:
    return McpInstance(
        id=InstanceId(item["id"]),
        config=item["config"],
        user=UserKey(item["user"]),
        generation=int(item["generation"]),
        key_id=item["key_id"],
        created_at=from_epoch(item["created_at"]),
    )
