"""Each user's MCP instances, served by Scalekit in one of its two ways.

`instance`: a URL a user, which opens that user's tools by itself, as on `native`. It is asked of
Scalekit each time, and is nowhere at rest here. `server`: one URL a config, which opens nothing
without a session token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Misconfigured
from valet.native.events import Event, Events, EventType

if TYPE_CHECKING:
    from datetime import timedelta

    from valet.models import McpInstance, UserKey
    from valet.native.instance_records import InstanceRecords
    from valet.scalekit.answers import RemoteConfig
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class Instances:
    records: InstanceRecords
    api: Api
    events: Events
    url_per_user: bool

    def ensure(self, config_name: str, user: UserKey) -> McpInstance:
        """The user's instance of a config: the same one every time.

        Raises:
            UnknownName: no such config.
        """
        return self.records.ensure(config_name, user, lambda: "")

    def url(self, instance: McpInstance) -> str:
        """
        Raises:
            NotFound: the instance was deleted meanwhile.
            Misconfigured: the environment does not serve configs under URLs of their own.
        """
        if not self.url_per_user:
            return served_config(self.api, instance.config)[1]
        remote = self.api.ensure_instance(instance.id, instance.config, instance.user)
        try:
            self.records.get(instance.id, instance.user)
        except Exception:
            self.api.delete_instance(remote.id)  # a URL that nobody could find any more
            raise
        return remote.url.reveal()

    def of(self, user: UserKey) -> list[McpInstance]:
        return self.records.of(user)

    def get(self, instance_id: str, user: UserKey) -> McpInstance:
        """Raises NotFound; somebody else's instance is not found either."""
        return self.records.get(instance_id, user)

    def delete(self, instance_id: str, user: UserKey) -> None:
        """The URL dies at once and for good; session tokens live to their end, the grants stay.

        Raises:
            NotFound: no such instance of this user; a second delete says so too.
        """
        instance = self.records.get(instance_id, user)
        self.end_urls(user, instance.config)
        self.records.delete(instance)
        self._tell(EventType.URL_REVOKED, instance)

    def rotate(self, instance_id: str, user: UserKey, grace: timedelta) -> McpInstance:
        """A new URL; the old one dies at once.

        Raises:
            BadRequest: a grace, which Scalekit has none of; or a URL that is not the user's own.
            NotFound: no such instance of this user.
        """
        instance = self.records.get(instance_id, user)
        if not self.url_per_user:
            raise BadRequest(
                "this URL is the config's and opens nothing without a session token: there is "
                "nothing to rotate",
                code="unsupported_by_backend",
            )
        if grace:
            raise BadRequest(
                "Scalekit cannot keep an old URL: rotate with grace_seconds 0",
                code="unsupported_by_backend",
            )
        self.end_urls(user, instance.config)
        self._tell(EventType.URL_ROTATED, instance)
        return instance

    def end_urls(self, user: UserKey, config: str | None = None) -> int:
        """Delete a user's instances at Scalekit, of one config or of all; says how many."""
        if not self.url_per_user:
            return 0
        found = [i for i in self.api.instances(user) if config in (None, i.config)]
        for instance in found:
            self.api.delete_instance(instance.id)
        return len(found)

    def _tell(self, kind: EventType, instance: McpInstance) -> None:
        if self.url_per_user:
            self.events.publish(
                Event(kind, instance.user, instance=instance.id, config=instance.config)
            )


def served_config(api: Api, name: str) -> tuple[RemoteConfig, str]:
    """A config at Scalekit, and the URL that it is served under."""
    found = api.config(name)
    if found is None:
        raise Misconfigured(f"Scalekit has no config {name!r} any more: deploy, or PUT it, again")
    if not found.server_url:
        raise Misconfigured(
            "this Scalekit environment does not serve configs under URLs of their own: ask "
            "Scalekit to enable it, or deploy with ScalekitMode=instance"
        )
    return found, found.server_url
