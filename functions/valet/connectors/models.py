"""What a connector is: a provider's OAuth facts and its tools, as read from the data files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from valet.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.models import ConnectionTools


class ToolFacts(Protocol):
    """What whoever declares a config is told of a tool."""

    @property
    def name(self) -> str: ...

    @property
    def connector(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def read_only(self) -> bool: ...

    @property
    def destructive(self) -> bool: ...

    @property
    def idempotent(self) -> bool: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def input_schema(self) -> Mapping[str, Any]: ...

    @property
    def output_schema(self) -> Mapping[str, Any]: ...


class Offer(Protocol):
    """What a connector offers, whoever runs its tools."""

    @property
    def tools(self) -> Mapping[str, ToolFacts]: ...

    def tool(self, name: str) -> ToolFacts:
        """Raises UnknownName."""
        ...


class Catalogue(Protocol):
    """What can be declared, and what a declared line comes to."""

    def names(self) -> list[str]:
        """The connectors'."""
        ...

    def get(self, connector: str) -> Offer:
        """Raises UnknownName."""
        ...

    def exposed(self, mapping: ConnectionTools) -> tuple[str, ...]:
        """The names of tools on a config's servers."""
        ...


@dataclass(frozen=True, slots=True)
class Userinfo:
    """Where a provider without id_tokens says whose grant it is, and under which names."""

    url: str
    subject: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class OAuthProvider:
    """How a user grants access at the provider; `name` is also the default OAuth client's.

    What the types cannot forbid is refused when the data is read: see `oauth_facts`.
    """

    name: str
    issuer: str
    authorize_url: str
    token_url: str
    revoke_url: str  # empty: it has none
    scope_prefix: str
    base_scopes: tuple[str, ...]
    authorize_params: Mapping[str, str]
    pkce: Literal["S256"]
    client_auth: Literal["client_secret_post", "client_secret_basic", "none"]
    iss_parameter: Literal["required", "optional"]  # RFC 9207
    id_token: bool
    offline: bool  # a grant must come with a refresh token
    rotates_refresh_tokens: bool
    revokes_whole_grant: bool = False  # one token revoked ends all that the user granted there
    # Neither this nor an id_token: whose grant it is stays unknown.
    userinfo: Userinfo | None = None
    token_params: Mapping[str, str] = field(default_factory=dict)  # with each exchange and refresh
    lifetime_seconds: int = 3600  # of an access token whose answer names none


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """Where the provider names the reason of a failure, and which of our codes each becomes."""

    reasons_at: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RequestTemplate:
    """One provider request with `{name}` where a value goes; `patterns` guard its path."""

    method: str
    host: str
    path: str
    query: Mapping[str, Any]
    body: Any
    if_match: str | None
    patterns: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class FanOut:
    """Replaces each entry of a list in the first answer by the answer to a GET of its own."""

    over: str
    limit: int
    request: RequestTemplate


@dataclass(frozen=True, slots=True, eq=False)
class Recover:
    """Finds out whether a write with an id of ours was done: the answer must match."""

    request: RequestTemplate
    match: Mapping[str, Any]
    reject: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """One tool: what a client sees of it, and how its requests and results are made.

    Compared by identity: the catalogue holds each once, and validators are cached per tool.
    """

    name: str
    connector: str
    title: str
    description: str
    scopes: tuple[str, ...]  # any one of them is enough; the one to ask for comes first
    read_only: bool
    destructive: bool
    idempotent: bool
    aliases: tuple[str, ...]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    requires: Mapping[str, tuple[str, ...]]  # an argument, and the ones it needs beside it
    request: RequestTemplate
    before: RequestTemplate | None  # a read whose answer the request may use as `{before.…}`
    fan_out: FanOut | None
    recover: Recover | None
    done_on: frozenset[int]  # statuses that mean the wish is already fulfilled
    result: Any
    untrusted: bool  # the result holds words of third parties
    errors: ErrorRules


@dataclass(frozen=True, slots=True, eq=False)
class Connector:
    """What a provider offers under one name."""

    name: str
    title: str
    provider: OAuthProvider
    hosts: tuple[str, ...]
    tools: Mapping[str, Tool]

    def has(self, name: str) -> bool:
        return name in self.tools or any(name in tool.aliases for tool in self.tools.values())

    def tool(self, name: str) -> Tool:
        """The tool of that name or alias.

        Raises:
            UnknownName: the connector has no such tool.
        """
        found = self.tools.get(name) or next(
            (tool for tool in self.tools.values() if name in tool.aliases), None
        )
        if found is None:
            aliases = (alias for tool in self.tools.values() for alias in tool.aliases)
            raise UnknownName("tool", name, (*self.tools, *aliases))
        return found
