"""Finishing an authorization: verify first, exchange second.

The app names the user who came back (from its own sign-in). Only if that is the user the link was
made for is the parked code exchanged. One wrong user kills the request for good, and nothing goes
to the provider: cleaning up a mis-linked token at Google would revoke the victim's own grant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import load_connector
from valet.errors import Conflict, Forbidden, Gone, Misconfigured, NotFound, ProviderFailure
from valet.models import Account, AccountStatus, Connection, Secret, TokenSet, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.consent import callback_url
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClients,
    TokenEndpoint,
    TokenGrant,
)
from valet.native.table import Above, ConditionFailed, Is, Item, Table, Update, when
from valet.native.vault import Owner, SealBroken, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.endpoint import Endpoint
    from valet.native.grants import Grants


class WrongUser(Forbidden):
    """Somebody else consented than the link was made for: an attack, or a mix-up of sign-ins."""

    code = "wrong_user"

    def __init__(self, connection: str) -> None:
        super().__init__(
            "this authorization was started for somebody else and has been cancelled: nothing was "
            "connected"
        )
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Verification:
    table: Table
    vault: Vault
    accounts: Accounts
    grants: Grants
    configs: Configs
    clients: OAuthClients
    token_endpoint: TokenEndpoint
    endpoint: Endpoint
    now: Clock = utc_now

    def verify(self, authorization_id: str, user: UserKey) -> Account:
        """Exchange the parked code, if it is this user's.

        Raises:
            NotFound: no such authorization.
            WrongUser: it was started for somebody else; it is dead from now on.
            Conflict: it was verified, refused or is being verified already.
            Gone: it waited too long.
            ProviderFailure: the provider refused the code or could not be reached: connect again.
        """
        digest = keys.digest(authorization_id)
        record = self.table.get(keys.authorization(digest))
        if record is None:
            raise NotFound(
                "no such authorization: connect again from your app", code="authorization_unknown"
            )
        if record["user"] != user:
            self._reject(digest, record)
            raise WrongUser(record["connection"])
        self._claim(digest, record)
        try:
            account = self._exchange(record)
        except Exception:
            self._finish(digest, "FAILED")
            self.accounts.expect_no_more(user, record["connection"])
            raise
        self._finish(digest, "DONE")
        return account

    def _reject(self, digest: str, record: Item) -> None:
        try:
            self.table.write(
                Update(
                    keys.authorization(digest),
                    set={"status": "REJECTED"},
                    remove=["sealed"],
                    when=when(Is("status", "AWAITING_VERIFICATION")),
                )
            )
        except ConditionFailed:
            return  # it was over already; what the caller is told does not change
        self.accounts.expect_no_more(UserKey(record["user"]), record["connection"])

    def _claim(self, digest: str, record: Item) -> None:
        if record["expires_at"] <= epoch(self.now()):
            raise Gone(
                "this authorization waited too long: connect again from your app",
                code="authorization_expired",
            )
        try:
            self.table.write(
                Update(
                    keys.authorization(digest),
                    set={"status": "EXCHANGING"},
                    remove=["sealed"],
                    when=when(
                        Is("status", "AWAITING_VERIFICATION"),
                        Above("expires_at", epoch(self.now())),
                    ),
                )
            )
        except ConditionFailed:
            raise Conflict(
                "this authorization was already used: GET /connections shows how it went",
                code="authorization_used",
            ) from None

    def _finish(self, digest: str, status: str) -> None:
        self.table.write(Update(keys.authorization(digest), set={"status": status}))

    def _exchange(self, record: Item) -> Account:
        user, name = UserKey(record["user"]), record["connection"]
        connection = self.configs.connections().get(name)
        if connection is None or connection.connector != record["connector"]:
            raise Conflict(
                f"connection {name!r} has been changed meanwhile: connect again from your app",
                code="connection_changed",
            )
        owner = Owner(user, name, record["connector"], "code")
        parked = json.loads(self.vault.open(record["sealed"], owner))
        provider = load_connector(connection.connector).provider
        client_id, grant = self._redeem(connection, provider, parked)
        subject, email = _identity(provider, client_id, grant, parked["nonce"], epoch(self.now()))
        before = self.accounts.get(user, connection)
        tokens = TokenSet(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token or self._kept(before, subject),
            expires_at=self.now() + timedelta(seconds=grant.expires_in),
            subject=subject,
            email=email,
        )
        if tokens.refresh_token is None and provider.offline:
            raise ProviderFailure(
                "the provider gave no lasting access: remove this app in your account's security "
                "settings at the provider, then connect again",
                code="no_offline_access",
            )
        asked = frozenset(record["scopes"])
        return self.grants.connect(
            user, connection, tokens, asked if grant.scopes is None else grant.scopes
        )

    def _redeem(
        self, connection: Connection, provider: OAuthProvider, parked: Mapping[str, str]
    ) -> tuple[str, TokenGrant]:
        client = self.clients.get(connection.oauth_client)
        try:
            return client.client_id, self.token_endpoint.exchange(
                provider,
                client,
                code=Secret(parked["code"]),
                verifier=Secret(parked["verifier"]),
                redirect_uri=callback_url(self.endpoint, connection.name),
            )
        except InvalidClient:
            self.clients.get(connection.oauth_client, fresh=True)  # for the user's next attempt
            raise Misconfigured(
                f"the provider does not accept the OAuth client {connection.oauth_client!r}: "
                "an operator has to replace it",
                code="invalid_client",
            ) from None
        except InvalidGrant:
            raise ProviderFailure(
                "the provider did not accept this consent: connect again from your app",
                code="code_refused",
            ) from None

    def _kept(self, before: Account, subject: str | None) -> Secret | None:
        """A repeated consent may come without a refresh token: then the one we have goes on."""
        if before.status is not AccountStatus.ACTIVE or subject is None:
            return None
        try:
            old = self.grants.open(before)
        except SealBroken:
            return None
        return old.refresh_token if old.subject == subject else None


def _identity(
    provider: OAuthProvider, client_id: str, grant: TokenGrant, nonce: str, now: int
) -> tuple[str | None, str | None]:
    """Whose account it is, by the id_token: taken from the token endpoint over TLS, so its
    signature need not be checked (OpenID Connect Core §3.1.3.7 point 6); its claims are."""
    if not provider.id_token:
        return None, None
    claims: Mapping[str, Any] = grant.claims or {}
    audience = claims.get("aud")
    expires_at = claims.get("exp")
    holds = (
        claims.get("iss") == provider.issuer
        and (audience == client_id or audience == [client_id])
        and isinstance(expires_at, int | float)
        and expires_at > now - 120  # the provider's clock and ours
        and claims.get("nonce") == nonce
        and isinstance(claims.get("sub"), str)
    )
    if not holds:
        raise ProviderFailure(
            "the provider's answer does not belong to this consent: connect again from your app",
            code="identity_mismatch",
        )
    email = claims.get("email")
    return claims["sub"], email if isinstance(email, str) else None
