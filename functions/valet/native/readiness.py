"""Whether each tool of a config can be called for a user now, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.models import Account, AccountStatus, ConnectionTools, McpConfig
from valet.native.exposure import exposed_tools
from valet.tools.scopes import missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from valet.connectors.models import Catalogue, Tool


@dataclass(frozen=True, slots=True)
class ToolReadiness:
    name: str
    connection: str
    reason: str | None  # None: ready; else not_connected, expired, … : stable words

    @property
    def ready(self) -> bool:
        return self.reason is None


def missing_scopes(configs: Iterable[McpConfig], account: Account) -> list[str]:
    """What an active grant lacks for the tools that configs expose on its connection."""
    return sorted({tool.scopes[0] for tool in lacking_tools(configs, account)})


def lacking_tools(configs: Iterable[McpConfig], account: Account) -> list[Tool]:
    """The tools that an active grant is not enough for, in the configs' order."""
    if account.status is not AccountStatus.ACTIVE or not account.scopes_known:
        return []
    tools = tools_on(configs, account.connection, account.connector)
    return [tool for tool in tools if missing(tool, account.scopes)]


def tools_on(configs: Iterable[McpConfig], connection: str, connector: str) -> list[Tool]:
    """What the configs expose on a connection, in their order."""
    catalogue = load_connector(connector)
    return [
        catalogue.tool(name)
        for config in configs
        for mapping in config.mappings
        if (mapping.connection, mapping.connector) == (connection, connector)
        for name in exposed_tools(mapping)
    ]


_WHY = {
    AccountStatus.PENDING_AUTH: "not_connected",
    AccountStatus.PENDING_VERIFICATION: "not_verified",
    AccountStatus.EXPIRED: "expired",
    AccountStatus.DISCONNECTED: "disconnected",
}


def readiness(
    config: McpConfig, accounts: Mapping[str, Account], catalogue: Catalogue
) -> Iterator[ToolReadiness]:
    """In the config's order, which is the order of `tools/list`.

    `accounts` are the user's on the connections that the config still has, whatever their status.
    """
    for mapping in config.mappings:
        account = accounts.get(mapping.connection)
        for name in catalogue.exposed(mapping):
            reason = _reason(name, mapping, account) if account else "connection_removed"
            yield ToolReadiness(name, mapping.connection, reason)


def _reason(name: str, mapping: ConnectionTools, account: Account) -> str | None:
    if account.status is not AccountStatus.ACTIVE:
        return _WHY[account.status]
    if not account.scopes_known:
        return None
    tool = load_connector(mapping.connector).tool(name)
    return "missing_permission" if missing(tool, account.scopes) else None
