"""The session in which one tool runs for a user whom a service names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.models import Access
from valet.native.instance_choice import no_instance

if TYPE_CHECKING:
    from valet.models import UserKey
    from valet.native.instance_choice import InstanceChoice
    from valet.native.sessions import Session, Sessions


@dataclass(frozen=True, slots=True)
class ToolSessions:
    choice: InstanceChoice
    sessions: Sessions

    def session(self, user: UserKey, tool: str, config: str | None) -> Session:
        """Raises what `InstanceChoice.of` does."""
        instance = self.choice.of(user, tool, config)
        session = self.sessions.for_instance(instance, Access.FULL, "iam")
        if session is None:
            raise no_instance(instance.config)
        return session
