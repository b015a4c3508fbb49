"""The nouns of the system: plain frozen dataclasses, no AWS, no HTTP, no pydantic.

All times are aware UTC datetimes named `*_at`. Ids are opaque strings.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NewType

if TYPE_CHECKING:
    from datetime import datetime

UserId = NewType("UserId", str)  # as the app knows the user: exact bytes, 1 to 256 characters
UserKey = NewType("UserKey", str)  # what enters keys, logs and encryption contexts instead
InstanceId = NewType("InstanceId", str)


def user_key(user: UserId) -> UserKey:
    """A user's name in keys, logs and encryption contexts: never the id itself.

    Hashing also keeps delimiters and prefixes in ids from colliding (`a#b`, `bob` and `bobby`).
    """
    return UserKey(hashlib.sha256(user.encode()).hexdigest()[:40])


class Secret:
    """A credential that does not print, format or serialise; `reveal` is the one way out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return False
        return hmac.compare_digest(other._value.encode(), self._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")


class Access(StrEnum):
    """What a caller may do with an instance's tools."""

    FULL = "FULL"
    READ_ONLY = "READ_ONLY"  # sees and calls just the tools that are annotated read-only


type Via = Literal["url", "token", "oauth", "iam"]  # how a caller proved what they may use


class AccountStatus(StrEnum):
    """Where a user's grant on a connection stands."""

    PENDING_AUTH = "PENDING_AUTH"  # never authorized
    PENDING_VERIFICATION = "PENDING_VERIFICATION"  # consented; the app has not verified who did
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"  # the provider no longer honours the grant: authorize again
    DISCONNECTED = "DISCONNECTED"


@dataclass(frozen=True, slots=True)
class Connection:
    """A connector set up under a name of the app's, with an OAuth client."""

    name: str
    connector: str
    oauth_client: str  # its name in the OAuth clients secret, never the credential


@dataclass(frozen=True, slots=True)
class ConnectionTools:
    """One line of a config: a connection and the tools of it that are exposed."""

    connection: str
    tools: tuple[str, ...] | None = None  # None exposes all tools of the connector
    connector: str = ""  # the connection's when the config was declared: its declaring fills it in


@dataclass(frozen=True, slots=True)
class McpConfig:
    """A reusable template: which connections and which of their tools an MCP server exposes."""

    name: str
    description: str
    mappings: tuple[ConnectionTools, ...]
    revision: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change of a config takes away: which tools, and from how many instances."""

    removed_tools: tuple[str, ...] = ()
    instances: int = 0


@dataclass(frozen=True, slots=True)
class McpInstance:
    """One user's instantiation of a config; it has the URL."""

    id: InstanceId
    config: str
    user: UserKey
    generation: int  # raised by each rotation of the URL
    key_id: str  # the key of the ring that signs this generation's URL
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A short-lived bearer for one instance, without its text."""

    id: str
    instance: InstanceId
    access: Access
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A user's grant on a connection, without its tokens."""

    user: UserKey
    connection: str
    connector: str
    status: AccountStatus
    scopes: frozenset[str] = frozenset()
    scopes_known: bool = True  # a backend may not tell; then a grant is held to be enough
    version: int = 0  # raised by every write of tokens
    sealed: bytes = field(default=b"", repr=False)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What a provider's token endpoint granted, and whose account it is."""

    access_token: Secret
    refresh_token: Secret | None
    expires_at: datetime
    subject: str | None = None  # the provider's own id of the account (`sub`)
    email: str | None = None  # shown to its user only
