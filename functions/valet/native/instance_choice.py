"""Running one tool for a user whom a service names: which of the user's instances runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import BadRequest, NotFound, UnknownName
from valet.native.exposure import all_exposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.models import McpConfig, McpInstance, UserKey
    from valet.native.instance_records import InstanceRecords


@dataclass(frozen=True, slots=True)
class InstanceChoice:
    instances: InstanceRecords
    config: Callable[[str], McpConfig | None]  # as whoever runs the tool sees it

    def of(self, user: UserKey, tool: str, config: str | None) -> McpInstance:
        """The config's instance, or that of the one config which exposes the tool.

        A named config decides, whether it exposes the tool or not: that is for the call to say.

        Raises:
            UnknownName: no such config; or none of the user's exposes the tool. With the nearest.
            NotFound: the user has no instance of the config, or none at all.
            BadRequest: several of the user's configs expose the tool.
        """
        return self._of(user, config) if config else self._with(user, tool)

    def _of(self, user: UserKey, config: str) -> McpInstance:
        name = self.instances.configs.find(config).name
        instance = self.instances.owned(user, name)
        if instance is None:
            raise no_instance(name)
        return instance

    def _with(self, user: UserKey, tool: str) -> McpInstance:
        owned = self.instances.of(user)
        if not owned:
            raise no_instance("the config")
        exposed = {instance.config: self._exposed(instance) for instance in owned}
        found = [instance for instance in owned if tool in exposed[instance.config]]
        if not found:
            raise UnknownName("tool", tool, {name for names in exposed.values() for name in names})
        if len(found) > 1:
            names = ", ".join(repr(instance.config) for instance in found)
            raise BadRequest(
                f"the tool is exposed by {names}: name one of them as config",
                code="ambiguous_config",
            )
        return found[0]

    def _exposed(self, instance: McpInstance) -> tuple[str, ...]:
        config = self.config(instance.config)
        return all_exposed(config, self.instances.configs.catalogue) if config else ()


def no_instance(config: str) -> NotFound:
    return NotFound(
        f"the user has no instance of {config}: POST /users/{{user}}/instances makes one",
        code="no_instance",
    )
