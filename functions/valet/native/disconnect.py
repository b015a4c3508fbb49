"""Taking a grant back: here first, at the provider where that takes nothing else with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.backend import Disconnection
from valet.connectors.catalog import load_connector
from valet.errors import NotFound, ValetError
from valet.models import Account, AccountStatus, Connection, Secret, UserKey

if TYPE_CHECKING:
    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.grants import Grants
    from valet.native.provider import OAuthClients, TokenEndpoint


@dataclass(frozen=True, slots=True)
class Disconnect:
    accounts: Accounts
    grants: Grants
    configs: Configs
    clients: OAuthClients
    token_endpoint: TokenEndpoint

    def disconnect(self, user: UserKey, name: str) -> Disconnection:
        """Erase a user's grant; then ask the provider to forget it.

        A provider that fails to answer does not keep the user connected here.

        Raises:
            NotFound: no such connection, or nothing is connected on it.
        """
        connections = self.configs.connections()
        connection = connections.get(name)
        if connection is None:
            raise NotFound(f"no connection {name[:100]!r}: GET /connections lists them")
        before = self.accounts.disconnect(user, connection)
        if before.status is not AccountStatus.ACTIVE or self._shares_fate(
            user, connection, connections
        ):
            return Disconnection(name, revoked=False)
        return Disconnection(name, revoked=self._revoke(before, connection))

    def _shares_fate(
        self, user: UserKey, connection: Connection, connections: dict[str, Connection]
    ) -> bool:
        """Google revokes the whole grant of a Cloud project, whichever token is named: with
        another connection of the same provider alive, revoking this one would end that too."""
        provider = load_connector(connection.connector).provider
        if not provider.revokes_whole_grant:
            return False
        siblings = {
            name: other
            for name, other in connections.items()
            if name != connection.name
            and load_connector(other.connector).provider.issuer == provider.issuer
        }
        accounts = self.accounts.of(user, siblings)
        return any(account.status is AccountStatus.ACTIVE for account in accounts.values())

    def _revoke(self, before: Account, connection: Connection) -> bool:
        try:
            tokens = self.grants.open(before)
        except ValetError:
            return False
        token = tokens.refresh_token or tokens.access_token
        return revoke(self.token_endpoint, self.clients, connection, token)


def revoke(
    token_endpoint: TokenEndpoint, clients: OAuthClients, connection: Connection, token: Secret
) -> bool:
    """Ask the provider to forget a grant; say whether it did, whatever kept it from it."""
    provider = load_connector(connection.connector).provider
    try:
        client = clients.get(connection.oauth_client)
        token_endpoint.revoke(provider, client, token=token)
    except ValetError:
        return False
    return True
