"""The connect page: what a link offers, how each of it stands, and what may be begun from it.

Looking at it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from valet.connectors.catalog import title
from valet.errors import Conflict, NotFound
from valet.native.exposure import offered
from valet.native.readiness import lacking_tools
from valet.native.tickets import Ticket, Tickets, ticket_gone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from valet.models import Account, AccountStatus, Connection, McpConfig, UserKey
    from valet.native.configs import Configs


class Standing(Protocol):
    """Where a user's accounts stand."""

    def of(self, user: UserKey, connections: dict[str, Connection]) -> dict[str, Account]: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """One connection as the connect page shows it."""

    connection: str
    title: str
    status: AccountStatus
    used: bool  # a consent has come back through this link already
    lacking: tuple[str, ...]  # titles of tools that the grant is not enough for


@dataclass(frozen=True, slots=True)
class ConnectPage:
    description: str
    choices: tuple[Choice, ...]
    expires_at: datetime
    authorize_origins: tuple[str, ...]  # where the page's forms end up, for its CSP


@dataclass(frozen=True, slots=True)
class ConnectPages:
    tickets: Tickets
    configs: Configs
    accounts: Standing

    def page(
        self, ticket_text: str, origins: Callable[[dict[str, Connection]], set[str]]
    ) -> ConnectPage:
        """Raises Gone when the link or its config is no more."""
        ticket = self.tickets.read(ticket_text)
        config, connections = self._offered(ticket)
        accounts = self.accounts.of(ticket.user, connections)
        choices = tuple(
            Choice(
                connection=name,
                title=title(connection.connector),
                status=accounts[name].status,
                used=name in ticket.used,
                lacking=tuple(t.title for t in lacking_tools([config], accounts[name])),
            )
            for name, connection in connections.items()
        )
        targets = tuple(sorted(origins(connections)))
        return ConnectPage(config.description, choices, ticket.expires_at, targets)

    def choose(self, ticket_text: str, connection_name: str) -> tuple[Ticket, Connection]:
        """What a button of the page begins; the ticket stays good until a consent has come back.

        Raises:
            Gone: the link has expired.
            NotFound: the link does not offer this connection.
            Conflict: the link was used for this connection.
        """
        ticket = self.tickets.read(ticket_text)
        _, connections = self._offered(ticket)
        connection = connections.get(connection_name)
        if connection is None:
            raise NotFound("this link does not offer that connection: go back and choose another")
        if connection_name in ticket.used:
            raise Conflict(
                "this link was already used for that connection: go back to your app, it shows "
                "how it went",
                code="link_used",
            )
        return ticket, connection

    def _offered(self, ticket: Ticket) -> tuple[McpConfig, dict[str, Connection]]:
        try:
            config = self.configs.get(ticket.config)
        except NotFound:
            raise ticket_gone() from None
        return config, offered(config, self.configs.connections())


def origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
