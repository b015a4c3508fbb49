"""The port to who does the work: `native`, in this account, or `scalekit`, a hosted environment.

Entry points call these and know no more; `wiring` picks by the deployment's settings. Routes,
bodies, answers and errors are the same on both. What a backend cannot do it refuses with the code
`unsupported_by_backend` and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from valet.connectors.models import Catalogue
    from valet.models import (
        Access,
        Account,
        Connection,
        McpInstance,
        Secret,
        SessionToken,
        UserKey,
    )
    from valet.native.authorizations import Returned
    from valet.native.configs import Configs
    from valet.native.connect_pages import ConnectPage
    from valet.tools.results import ToolResult


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes to consent, and the cookie that it must bring back."""

    authorize_url: str
    cookie_name: str
    cookie_value: str
    max_age_seconds: int


@dataclass(frozen=True, slots=True)
class Disconnection:
    """What became of it: the tokens are erased in any case."""

    connection: str
    revoked: bool  # at the provider too


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, by kind, and at which providers every grant was taken back too."""

    counts: dict[str, int]
    revoked: list[str]


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A tool that was called without MCP, and in which config."""

    config: str
    result: ToolResult


class Instances(Protocol):
    def ensure(self, config_name: str, user: UserKey) -> McpInstance: ...

    def url(self, instance: McpInstance) -> str: ...

    def of(self, user: UserKey) -> list[McpInstance]: ...

    def get(self, instance_id: str, user: UserKey) -> McpInstance: ...

    def delete(self, instance_id: str, user: UserKey) -> None: ...

    def rotate(self, instance_id: str, user: UserKey, grace: timedelta) -> McpInstance: ...


class SessionTokens(Protocol):
    def issue(
        self, instance_id: str, user: UserKey, lifetime: timedelta, access: Access
    ) -> tuple[SessionToken, Secret]: ...

    def url(self, instance_id: str, user: UserKey, /) -> str:
        """Where such a token is good."""
        ...

    def of(self, instance_id: str, user: UserKey) -> list[SessionToken]: ...

    def revoke(self, instance_id: str, user: UserKey, token_id: str, /) -> None: ...


class Accounts(Protocol):
    def of(self, user: UserKey, connections: dict[str, Connection]) -> dict[str, Account]: ...


class Grants(Protocol):
    def email(self, account: Account) -> str | None:
        """Which account of the provider it is, where that is known."""
        ...


class ToolRuns(Protocol):
    def run(
        self, user: UserKey, tool: str, config: str | None, arguments: Mapping[str, Any]
    ) -> ToolRun:
        """Run one tool of a user's instance of a config, or of the one that exposes it.

        Raises:
            UnknownName, NotFound, BadRequest: there is no such tool for this user, or several.
        """
        ...


class Consent(Protocol):
    def page(self, ticket_text: str) -> ConnectPage: ...

    def start(self, ticket_text: str, connection_name: str) -> Started: ...


class Callbacks(Protocol):
    def receive(
        self, connection: str, query: Mapping[str, list[str]], cookies: Mapping[str, str]
    ) -> Returned: ...


class Verification(Protocol):
    def verify(
        self, authorization_id: str, user: UserKey, *, replace_account: bool = False
    ) -> Account: ...


class Disconnect(Protocol):
    def disconnect(self, user: UserKey, name: str) -> Disconnection: ...


class Erase(Protocol):
    def erase(self, user: UserKey) -> Erased: ...


class Backend(Protocol):
    """All of it, each part built when first asked for."""

    def catalogue(self) -> Catalogue: ...

    def configs(self) -> Configs: ...

    def instances(self) -> Instances: ...

    def session_tokens(self) -> SessionTokens: ...

    def accounts(self) -> Accounts: ...

    def grants(self) -> Grants: ...

    def tool_runs(self) -> ToolRuns | None:
        """None where the function that serves MCP runs them."""
        ...

    def consent(self) -> Consent: ...

    def callbacks(self) -> Callbacks: ...

    def verification(self) -> Verification: ...

    def disconnect(self) -> Disconnect: ...

    def erase(self) -> Erase: ...
