"""Finishing an authorization: verify first, exchange second.

The app names the user who came back (from its own sign-in). Only if that is the user the link was
made for is the parked code exchanged. One wrong user kills the request for good, and nothing goes
to the provider: cleaning up a mis-linked token at Google would revoke the victim's own grant.

A consent with another account of the provider than the one that is connected is held until the user
has confirmed that they mean it: else a slip at the account chooser would swap the agent's mailbox.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import load_connector
from valet.errors import Conflict, Forbidden, Gone, Misconfigured, NotFound, ProviderFailure
from valet.models import Account, AccountStatus, Connection, Secret, TokenSet, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.consent import callback_url
from valet.native.events import Event, EventType
from valet.native.identity import identify, named_by
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClient,
    OAuthClients,
    TokenEndpoint,
    TokenGrant,
)
from valet.native.table import Above, ConditionFailed, Is, Item, Table, Update, either, when
from valet.native.vault import Owner, SealBroken, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.endpoint import Endpoint
    from valet.native.grants import Grants


CONFIRMATION = timedelta(minutes=5)
_WAITING = ("AWAITING_VERIFICATION", "AWAITING_CONFIRMATION")


class WrongUser(Forbidden):
    """Somebody else consented than the link was made for: an attack, or a mix-up of sign-ins."""

    code = "wrong_user"

    def __init__(self, connection: str) -> None:
        super().__init__(
            "this authorization was started for somebody else and has been cancelled: nothing was "
            "connected"
        )
        self.connection = connection


class DifferentAccount(Conflict):
    """Another account of the provider is connected already; the new one waits for a confirmation.

    Its message names both accounts, for their user: it is never logged.
    """

    code = "different_account"

    def __init__(self, connected: str | None, new: str | None) -> None:
        super().__init__(
            f"{connected or 'another account'} is connected, this is {new or 'a different one'}: "
            'verify again with {"replace_account": true} if the user wants to replace it'
        )


@dataclass(frozen=True, slots=True)
class _Consent:
    """What came of an exchange."""

    tokens: TokenSet
    scopes: frozenset[str]


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

    def verify(
        self, authorization_id: str, user: UserKey, *, replace_account: bool = False
    ) -> Account:
        """Exchange the parked code, if it is this user's.

        Raises:
            NotFound: no such authorization.
            WrongUser: it was started for somebody else; it is dead from now on.
            DifferentAccount: it is another provider account than the connected one; verify again
                with `replace_account` within five minutes to replace that.
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
            return self._finish(digest, record, user, replace_account=replace_account)
        except DifferentAccount:
            raise
        except Exception:
            with suppress(ConditionFailed):
                self.table.write(self._from_exchanging(digest, status="FAILED"))
            self.accounts.expect_no_more(user, record["connection"])
            raise

    def _reject(self, digest: str, record: Item) -> None:
        try:
            self.table.write(
                Update(
                    keys.authorization(digest),
                    set={"status": "REJECTED"},
                    remove=["sealed"],
                    when=either(*((Is("status", status),) for status in _WAITING)),
                )
            )
        except ConditionFailed:
            return  # it was over already; what the caller is told does not change
        user = UserKey(record["user"])
        self.accounts.expect_no_more(user, record["connection"])
        self.accounts.events.publish(
            Event(
                EventType.AUTHORIZATION_REJECTED,
                user,
                connection=record["connection"],
                connector=record["connector"],
                reason="wrong_user",
            )
        )

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
                        Is("status", self._waiting(record)),
                        Above("expires_at", epoch(self.now())),
                    ),
                )
            )
        except ConditionFailed:
            raise Conflict(
                "this authorization was already used: GET /connections shows how it went",
                code="authorization_used",
            ) from None

    @staticmethod
    def _waiting(record: Item) -> str:
        """The state that this attempt may leave: the one it was read in, if it is one to leave."""
        return record["status"] if record["status"] in _WAITING else _WAITING[0]

    @staticmethod
    def _from_exchanging(digest: str, **values: Any) -> Update:
        """Only from there: an authorization that was erased meanwhile does not come back."""
        key = keys.authorization(digest)
        return Update(key, set=values, when=when(Is("status", "EXCHANGING")))

    def _finish(
        self, digest: str, record: Item, user: UserKey, *, replace_account: bool
    ) -> Account:
        name = record["connection"]
        connection = self.configs.connections().get(name)
        if connection is None or connection.connector != record["connector"]:
            raise Conflict(
                f"connection {name!r} has been changed meanwhile: connect again from your app",
                code="connection_changed",
            )
        before = self.accounts.get(user, connection)
        old = self._connected(before)
        if record["status"] == "AWAITING_CONFIRMATION":
            tokens = self.grants.unpark(before, record["sealed"])
            consent = _Consent(tokens, frozenset(record["scopes"]))
        else:
            kept = old if before.status is AccountStatus.ACTIVE else None
            consent = self._exchange(record, connection, kept)
        if old and old.subject != consent.tokens.subject and not replace_account:
            self._hold(digest, before, consent)
            raise DifferentAccount(old.email, consent.tokens.email)
        done = self._from_exchanging(digest, status="DONE")
        return self.grants.connect(user, connection, consent.tokens, consent.scopes, done)

    def _connected(self, before: Account) -> TokenSet | None:
        """The grant that is there now, ended or not; one that no longer opens pins nobody."""
        if not before.sealed:
            return None
        try:
            return self.grants.open(before)
        except SealBroken:
            return None

    def _hold(self, digest: str, before: Account, consent: _Consent) -> None:
        held = self._from_exchanging(
            digest,
            status="AWAITING_CONFIRMATION",
            sealed=self.grants.park(before, consent.tokens),
            scopes=sorted(consent.scopes),
            expires_at=epoch(self.now() + CONFIRMATION),
        )
        with suppress(ConditionFailed):
            self.table.write(held)

    def _exchange(self, record: Item, connection: Connection, old: TokenSet | None) -> _Consent:
        owner = Owner(
            UserKey(record["user"]), connection.name, connection.connector, "authorization"
        )
        parked = json.loads(self.vault.open(record["sealed"], owner))
        provider = load_connector(connection.connector).provider
        client_id, grant = self._redeem(connection, provider, parked)
        subject, email = self._whose(provider, client_id, grant, parked["nonce"])
        # A repeated consent may come without a refresh token: then the one we have goes on.
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
        return _Consent(tokens, asked if grant.scopes is None else grant.scopes)

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
