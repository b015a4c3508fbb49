"""Forgetting a user: everything that is kept about them, and their grants at the providers.

What is gone after it: tokens, accounts, leases, instances (their URLs and session tokens stop
answering), connect links, consents under way, and the record of calls. What stays: log lines, which
know the user by hash only, until their retention ends, and the table's backups within the recovery
window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.backend import Erased
from valet.connectors.catalog import load_connector
from valet.errors import ValetError
from valet.native.disconnect import revoke
from valet.native.events import Event, Events, EventType

if TYPE_CHECKING:
    from valet.models import Account, Connection, Secret, TokenSet, UserKey
    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.forget import Forget
    from valet.native.grants import Grants
    from valet.native.provider import OAuthClients, TokenEndpoint


@dataclass(frozen=True, slots=True)
class Erase:
    forget: Forget
    accounts: Accounts
    grants: Grants
    configs: Configs
    clients: OAuthClients
    token_endpoint: TokenEndpoint
    events: Events

    def erase(self, user: UserKey) -> Erased:
        """Forget a user; doing it again finds what is left, which may be nothing.

        The tokens go first, here, whatever the providers answer afterwards.
        """
        connections = self.configs.connections()
        held = self._held(user, connections)
        try:
            counts = self.forget.forget(user)
        finally:  # what of it was deleted, no repeat of this could take back
            told = [
                (provider, revoke(self.token_endpoint, self.clients, *grant))
                for (provider, *_), grant in held.items()
            ]
        revoked = {provider for provider, _ in told} - {provider for provider, ok in told if not ok}
        self.events.publish(Event(EventType.USER_ERASED, user))
        return Erased(counts, sorted(revoked))

    def _held(
        self, user: UserKey, connections: dict[str, Connection]
    ) -> dict[tuple[str, ...], tuple[Connection, Secret]]:
        """One token of each grant: an account of a provider, as our client there was granted it.

        Whose account it is may be unknown; then each connection stands for itself.
        """
        found: dict[tuple[str, ...], tuple[Connection, Secret]] = {}
        for name, account in self.accounts.of(user, connections).items():
            tokens = self._tokens(account)
            if tokens:
                connection = connections[name]
                provider = load_connector(account.connector).provider
                shared = tokens.subject and provider.revokes_whole_grant
                whose = (tokens.subject or "",) if shared else ("", name)
                token = tokens.refresh_token or tokens.access_token
                grant = (provider.name, connection.oauth_client, *whose)
                found.setdefault(grant, (connection, token))
        return found

    def _tokens(self, account: Account) -> TokenSet | None:
        if not account.sealed:
            return None
        try:
            return self.grants.open(account)
        except ValetError:
            return None
