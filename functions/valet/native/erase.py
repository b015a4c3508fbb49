"""Forgetting a user: everything that is kept about them, and their grants at the providers.

What is gone after it: tokens, accounts, leases, instances (their URLs and session tokens stop
answering), connect links, consents under way, and the record of calls. What stays: log lines, which
know the user by hash only, until their retention ends, and the table's backups within the recovery
window.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import ValetError
from valet.models import InstanceId
from valet.native import keys
from valet.native.disconnect import revoke
from valet.native.events import Event, Events, EventType
from valet.native.table import Delete, Item, Key, Table

if TYPE_CHECKING:
    from valet.models import Account, Connection, Secret, TokenSet, UserKey
    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.grants import Grants
    from valet.native.provider import OAuthClients, TokenEndpoint

_KINDS = {
    "ACCOUNT": "accounts",
    "LEASE": "leases",
    "TOKEN": "session_tokens",
    "INSTANCE": "instances",
    "TICKET": "links",
    "STATE": "consents",
    "AUTHORIZATION": "consents",
    "CALL": "calls",
}
_NOT_TOLD = (keys.COUNT, keys.CALL_COUNT)  # how often, not what


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, by kind, and at which providers every grant was taken back too."""

    counts: dict[str, int]
    revoked: list[str]


@dataclass(frozen=True, slots=True)
class Erase:
    table: Table
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
        counts: Counter[str] = Counter(dict.fromkeys(_KINDS.values(), 0))
        for key in self._keys(user):
            self.table.write(Delete(key))
            if key.sk.partition("#")[0] in _NOT_TOLD:
                continue
            kind = _KINDS.get(key.sk.partition("#")[0]) or _KINDS.get(key.pk.partition("#")[0])
            if kind:
                counts[kind] += 1
        told = [
            (provider, revoke(self.token_endpoint, self.clients, *grant))
            for (provider, *_), grant in held.items()
        ]
        revoked = {provider for provider, _ in told} - {provider for provider, ok in told if not ok}
        self.events.publish(Event(EventType.USER_ERASED, user))
        return Erased(dict(counts), sorted(revoked))

    def _keys(self, user: UserKey) -> list[Key]:
        owned = self.table.query(keys.owned_partition(user))
        found = [
            *_keys_of(self.table.query(keys.grants_partition(user))),
            # By their owner's own list, not by the index, which may not have the newest yet: with
            # its pointer gone nobody could find such an instance again, and its URL would live.
            *(keys.instance(InstanceId(pointer["id"])) for pointer in owned),
            *_keys_of(owned),
            *_keys_of(self.table.query(keys.calls_partition(user))),
            *self.table.keys_of_user(user),
        ]
        return list(dict.fromkeys(found))

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


def _keys_of(items: list[Item]) -> list[Key]:
    return [Key(item["pk"], item["sk"]) for item in items]
