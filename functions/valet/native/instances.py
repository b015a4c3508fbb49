"""Each user's MCP instances: one per config, with a URL of its own.

Deleting an instance kills its URL for good: ensuring again makes another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Conflict
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.events import Event, Events, EventType
from valet.native.instance_records import InstanceRecords
from valet.native.table import ConditionFailed, Is, Item, Table, Update, when
from valet.native.url_keys import UrlKey, UrlKeys

if TYPE_CHECKING:
    from valet.models import McpInstance, UserKey
    from valet.native.configs import Configs
    from valet.native.endpoint import Endpoint

MAX_GRACE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Instances:
    table: Table
    configs: Configs
    url_keys: UrlKeys
    endpoint: Endpoint
    events: Events
    now: Clock = utc_now

    @property
    def _records(self) -> InstanceRecords:
        return InstanceRecords(self.table, self.configs, self.now)

    def ensure(self, config_name: str, user: UserKey) -> McpInstance:
        """The user's instance of a config: the same one every time.

        Raises:
            UnknownName: no such config.
        """
        return self._records.ensure(config_name, user, self.url_keys.current_key_id)

    def url(self, instance: McpInstance) -> str:
        key = UrlKey(instance.id, instance.generation, instance.key_id)
        return f"{self.endpoint.url()}/mcp/{self.url_keys.derive(key)}"

    def of(self, user: UserKey) -> list[McpInstance]:
        return self._records.of(user)

    def get(self, instance_id: str, user: UserKey) -> McpInstance:
        """Raises NotFound; somebody else's instance is not found either."""
        return self._records.get(instance_id, user)

    def delete(self, instance_id: str, user: UserKey) -> None:
        """The URL dies at once and for good; the user's grants stay.

        Raises:
            NotFound: no such instance of this user; a second delete says so too.
        """
        instance = self.get(instance_id, user)
        self._records.delete(instance)
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
