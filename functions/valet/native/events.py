"""What an app may want to act on: grants that began or ended, links refused, URLs that changed.

An event names a user by key, a connection, an instance or a config; never an e-mail address, a
token, or anything that opens something. It is told after the write that made it true, at most once:
an app that must not miss one asks `GET /users/{user}/connections`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.models import UserKey


class EventType(StrEnum):
    ACCOUNT_STATUS_CHANGED = "AccountStatusChanged"
    AUTHORIZATION_REJECTED = "AuthorizationRejected"
    SEAL_BROKEN = "SealBroken"
    URL_ROTATED = "UrlRotated"
    URL_REVOKED = "UrlRevoked"
    USER_ERASED = "UserErased"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; what does not apply is None and left out of what is sent."""

    type: EventType
    user: UserKey
    connection: str | None = None
    connector: str | None = None
    status: str | None = None
    previous_status: str | None = None
    reason: str | None = None  # of a rejection: a stable word
    instance: str | None = None
    config: str | None = None


class Events(Protocol):
    def publish(self, event: Event) -> None:
        """Tell it to whoever listens. Never raises: what happened has happened."""
        ...


@dataclass(frozen=True, slots=True)
class LazyEvents:
    """Events whose means are made when there is the first one to tell: most requests have none."""

    means: Callable[[], Events]

    def publish(self, event: Event) -> None:
        self.means().publish(event)
