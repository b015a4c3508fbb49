"""Exchanging the code that a callback parked: what was granted, and whose account it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import Misconfigured, ProviderFailure
from valet.models import Connection, Secret, TokenSet, UserKey
from valet.native.clock import Clock, epoch, utc_now
from valet.native.identity import identify, named_by
from valet.native.provider import InvalidClient, InvalidGrant
from valet.native.states import callback_url
from valet.native.vault import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.native.endpoint import Endpoint
    from valet.native.provider import OAuthClient, OAuthClients, TokenEndpoint, TokenGrant
    from valet.native.table import Item
    from valet.native.vault import Vault


@dataclass(frozen=True, slots=True)
class Consented:
    """What came of an exchange."""

    tokens: TokenSet
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    vault: Vault
    clients: OAuthClients
    token_endpoint: TokenEndpoint
    endpoint: Endpoint
    now: Clock = utc_now

    def exchange(self, record: Item, connection: Connection, old: TokenSet | None) -> Consented:
        """Open what the callback parked, and redeem it.

        `old` is the grant that is there, whose refresh token goes on if a repeated consent of the
        same account comes without one.

        Raises:
            SealBroken, Busy: as the vault does.
            ProviderFailure: the provider refused the code, or its answer is not of this consent.
            Misconfigured: the provider does not accept our OAuth client.
        """
        owner = Owner(
            UserKey(record["user"]), connection.name, connection.connector, "authorization"
        )
        parked = json.loads(self.vault.open(record["sealed"], owner))
        provider = load_connector(connection.connector).provider
        client_id, grant = self._redeem(connection, provider, parked)
        subject, email = self._whose(provider, client_id, grant, parked["nonce"])
        kept = old.refresh_token if old and subject and old.subject == subject else None
        refresh_token = grant.refresh_token or kept
        if refresh_token is None and provider.offline:
            raise ProviderFailure(
                "the provider gave no lasting access: remove this app in your account's security "
                "settings at the provider, then connect again",
                code="no_offline_access",
            )
        tokens = TokenSet(
            access_token=grant.access_token,
            refresh_token=refresh_token,
            expires_at=self.now() + timedelta(seconds=grant.expires_in),
            subject=subject,
            email=email,
        )
        asked = frozenset(record["scopes"])
        return Consented(tokens, asked if grant.scopes is None else grant.scopes)

    def _whose(
        self, provider: OAuthProvider, client_id: str, grant: TokenGrant, nonce: str
    ) -> tuple[str | None, str | None]:
        if provider.userinfo:
            answer = self.token_endpoint.userinfo(provider, token=grant.access_token)
            return named_by(provider.userinfo, answer)
        return identify(provider, client_id, grant, nonce, epoch(self.now()))

    def _redeem(
        self, connection: Connection, provider: OAuthProvider, parked: Mapping[str, str]
    ) -> tuple[str, TokenGrant]:
        refused: OAuthClient | None = None
        for fresh in (False, True):
            # The second time past the cache: the operator may just have replaced the secret. Who
            # was not let in has redeemed nothing, so the code is as good as before.
            client = self.clients.get(connection.oauth_client, fresh=fresh)
            if client == refused:
                break
            try:
                return client.client_id, self.token_endpoint.exchange(
                    provider,
                    client,
                    code=Secret(parked["code"]),
                    verifier=Secret(parked["verifier"]),
                    redirect_uri=callback_url(self.endpoint, connection.name),
                )
            except InvalidClient:
                refused = client
            except InvalidGrant:
                raise ProviderFailure(
                    "the provider did not accept this consent: connect again from your app",
                    code="code_refused",
                ) from None
        raise Misconfigured(
            f"the provider does not accept the OAuth client {connection.oauth_client!r}: "
            "an operator has to replace it",
            code="invalid_client",
        )
