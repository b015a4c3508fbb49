"""Each user's MCP instances: one per config, with a URL of its own.

Ids are random, so that deleting an instance kills its URL for good: ensuring again makes another.
One conditional transaction decides the race of first calls; the losers read the winner's.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Busy, Conflict, NotFound
from valet.models import InstanceId, McpInstance, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.events import Event, Events, EventType
from valet.native.table import (
    Absent,
    ConditionFailed,
    Delete,
    Is,
    Item,
    Put,
    Table,
    Update,
    when,
)
from valet.native.url_keys import UrlKey, UrlKeys, new_instance_id

if TYPE_CHECKING:
    from valet.native.configs import Configs
    from valet.native.endpoint import Endpoint

MAX_GRACE = timedelta(hours=24)
_ID = re.compile(r"ins_[0-9a-f]{32}")
_RACES = 5


@dataclass(frozen=True, slots=True)
class Instances:
    table: Table
    configs: Configs
    url_keys: UrlKeys
    endpoint: Endpoint
    events: Events
    now: Clock = utc_now

    def ensure(self, config_name: str, user: UserKey) -> McpInstance:
        """The user's instance of a config: the same one every time.

        Raises:
            UnknownName: no such config.
        """
        config = self.configs.find(config_name)
        for _ in range(_RACES):
            owned = self.table.get(keys.owned_instance(user, config.name))
            if owned:
                stored = self.table.get(keys.instance(InstanceId(owned["id"])))
                if stored:
                    return _from_item(stored)
                continue  # deleted between the two reads
            instance = McpInstance(
                id=new_instance_id(secrets.token_bytes),
                config=config.name,
                user=user,
                generation=1,
                key_id=self.url_keys.current_key_id(),
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

    def url(self, instance: McpInstance) -> str:
        key = UrlKey(instance.id, instance.generation, instance.key_id)
        return f"{self.endpoint.url()}/mcp/{self.url_keys.derive(key)}"

    def of(self, user: UserKey) -> list[McpInstance]:
        pointers = self.table.query(keys.owned_partition(user))
        found = self.table.get_many([keys.instance(InstanceId(p["id"])) for p in pointers])
        return sorted((_from_item(item) for item in found.values()), key=lambda i: i.config)

    def get(self, instance_id: str, user: UserKey) -> McpInstance:
        """Raises NotFound; somebody else's instance is not found either."""
        # Its form first: what comes from a URL's path can be longer than a key may be.
        known = _ID.fullmatch(instance_id)
        item = self.table.get(keys.instance(InstanceId(instance_id))) if known else None
        if item is None or item["user"] != user:
            raise _no_instance()
        return _from_item(item)

    def delete(self, instance_id: str, user: UserKey) -> None:
        """The URL dies at once and for good; the user's grants stay.

        Raises:
            NotFound: no such instance of this user; a second delete says so too.
        """
        instance = self.get(instance_id, user)
        try:
            self.table.transact(
                Delete(keys.owned_instance(user, instance.config), when(Is("id", instance.id))),
                Delete(keys.instance(instance.id), when(Is("user", user))),
            )
        except ConditionFailed:
            raise _no_instance() from None
        self._tell(EventType.URL_REVOKED, instance)

    def rotate(self, instance_id: str, user: UserKey, grace: timedelta) -> McpInstance:
        """A new URL; the old one dies at once, or after `grace` (at most 24 h).

        Raises:
            BadRequest: a grace below zero or above its limit.
            NotFound: no such instance of this user.
            Conflict: it was rotated at the same time: the other one's URL is the new one.
        """
        if not timedelta(0) <= grace <= MAX_GRACE:
            raise BadRequest("an old URL can be kept for 0 to 86400 seconds", code="bad_grace")
        instance = self.get(instance_id, user)
        rotated = replace(
            instance,
            generation=instance.generation + 1,
            key_id=self.url_keys.current_key_id(),
        )
        try:
            self.table.write(
                Update(
                    keys.instance(instance.id),
                    set={
                        "generation": rotated.generation,
                        "key_id": rotated.key_id,
                        "grace_generation": instance.generation,
                        "grace_key_id": instance.key_id,
                        "grace_until": epoch(self.now() + grace),
                    },
                    when=when(Is("generation", instance.generation)),
                )
            )
        except ConditionFailed:
            raise Conflict(
                "this URL was just rotated: GET /instances/{id} shows the new one",
                code="rotated_concurrently",
            ) from None
        self._tell(EventType.URL_ROTATED, instance)
        return rotated

    def _tell(self, kind: EventType, instance: McpInstance) -> None:
        self.events.publish(
            Event(kind, instance.user, instance=instance.id, config=instance.config)
        )


def lives(item: Item, key: UrlKey, now: int) -> bool:
    """Whether a signed key's generation is this instance's, or still within its grace."""
    # With its own key each: one that has leaked and left must not sign for URLs of another.
    signed = (key.generation, key.key_id)
    if signed == (item["generation"], item["key_id"]):
        return True
    in_grace = signed == (item.get("grace_generation"), item.get("grace_key_id"))
    return in_grace and bool(now < item["grace_until"])


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
