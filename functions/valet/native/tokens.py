"""A valid access token for a connected account, refreshed by one caller at a time.

A lease decides who refreshes; a version decides whose result counts. The lease outlives the token
request's timeouts, because one that ends too early is as bad as none: a second redemption of a
rotating refresh token makes the provider revoke the whole family. So after getting the lease the
account is read again, and an answer is saved on top of exactly the version it was made from.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import Busy, Misconfigured, ProviderFailure, ValetError
from valet.models import Account, AccountStatus, Connection, Secret, TokenSet
from valet.native import keys
from valet.native.clock import Clock, utc_now
from valet.native.leases import Held, Lease, Leases, TooLate
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClients,
    ProviderUnavailable,
    TokenEndpoint,
    TokenGrant,
)
from valet.native.standing import why_not
from valet.native.table import ConditionFailed, Table
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.native.accounts import Accounts
    from valet.native.grants import Grants

SOFT_MARGIN = timedelta(seconds=300)  # refresh from here on; who loses the race still uses the old
HARD_MARGIN = timedelta(seconds=30)  # do not use from here on
LEASE = timedelta(seconds=20)  # more than the token endpoint's 2 s to connect and 8 s to read
REDEMPTION = timedelta(seconds=15)  # what a lease must still hold for when a request is sent
COOL_DOWN = timedelta(seconds=15)  # after a failure without a verdict
PATIENCE_SECONDS = 6.0  # how long a caller waits for another's refresh


@dataclass(frozen=True, slots=True)
class Tokens:
    table: Table
    accounts: Accounts
    grants: Grants
    clients: OAuthClients
    endpoint: TokenEndpoint
    now: Clock = utc_now
    pause: Callable[[float], None] = field(default=time.sleep)
    elapsed: Callable[[], float] = field(default=time.monotonic)
    lease: timedelta = LEASE
    redemption: timedelta = REDEMPTION

    @property
    def _leases(self) -> Leases:
        return Leases(self.table, self.now, self.lease)

    def usable(
        self, account: Account, connection: Connection, *, refused: bool = False
    ) -> tuple[TokenSet, Account]:
        """Tokens that can be sent now. `refused`: the provider just answered 401 to these.

        Raises:
            NotConnected: the user has to authorize (again).
            Busy: another caller's refresh is taking too long; try again.
            ProviderFailure: the provider is unavailable and the old token no longer valid.
            Misconfigured: the provider does not accept our OAuth client.
            SealBroken: the stored tokens were tampered with.
        """
        deadline = self.elapsed() + PATIENCE_SECONDS
        refused_version = account.version if refused else None
        while True:
            tokens = self._open(account)
            must = account.version == refused_version
            if not must and tokens.expires_at - self.now() > SOFT_MARGIN:
                return tokens, account
            spare = not must and tokens.expires_at - self.now() > HARD_MARGIN
            try:
                lease = self._leases.acquire(account)
            except Held as held:
                if spare:
                    return tokens, account
                account = self._wait(account, connection, held, deadline)
            else:
                return self._refresh_once(account, connection, lease, tokens if spare else None)

    def _wait(
        self, account: Account, connection: Connection, held: Held, deadline: float
    ) -> Account:
        """Until the account has changed or the lease is over.

        Waiting only reads: an item takes far fewer writes a second than reads, and one that is
        refused counts as well.
        """
        places = (
            keys.account(account.user, account.connection),
            keys.lease(account.user, account.connection),
        )
        while True:
            if held.cooling:
                raise ProviderUnavailable(
                    "the provider just failed to renew this grant: try again in a minute"
                )
            if self.elapsed() > deadline:
                raise Busy("the grant is being renewed: try again in a few seconds")
            self.pause(random.uniform(0.05, 0.15))  # noqa: S311  # jitter, not a secret
            there = self.table.get_many(places)
            now = self.accounts.from_item(there.get(places[0]), account.user, connection)
            lease = there.get(places[1])
            changed = (now.version, now.status) != (account.version, account.status)
            if changed or self._leases.is_over(lease):
                return now
            held = Held(lease)

    def _open(self, account: Account) -> TokenSet:
        if account.status is not AccountStatus.ACTIVE:
            raise NotConnected(account.connection, why_not(account.status))
        return self.grants.open(account)

    def _refresh_once(
        self, seen: Account, connection: Connection, lease: Lease, spare: TokenSet | None
    ) -> tuple[TokenSet, Account]:
        account = self.accounts.get(seen.user, connection)
        if account.version != seen.version or account.status is not AccountStatus.ACTIVE:
            self._leases.release(lease)
            return self._open(account), account
        old = self._old(account, lease)
        if old.refresh_token is None:
            return self._expire(account, connection, lease)
        try:
            grant = self._redeem(connection, old.refresh_token, lease)
        except InvalidGrant:
            return self._expire(account, connection, lease)
        except TooLate:
            return self._step_back(account, connection, lease, spare)
        except (ProviderFailure, Misconfigured, Busy):  # no verdict on the grant
            self._leases.cool_down(lease, COOL_DOWN)
            if spare:
                return spare, account
            raise
        return self._save(account, connection, lease, old, grant)

    def _old(self, account: Account, lease: Lease) -> TokenSet:
        try:
            return self.grants.open(account)
        except ValetError:  # the vault's failure is no reason to keep others waiting
            self._leases.release(lease)
            raise

    def _redeem(self, connection: Connection, refresh_token: Secret, lease: Lease) -> TokenGrant:
        provider = load_connector(connection.connector).provider
        try:
            client = self.clients.get(connection.oauth_client)
            self._leases.check_time(lease, self.redemption)
            return self.endpoint.refresh(provider, client, refresh_token=refresh_token)
        except InvalidClient:
            # The operator may just have replaced the client's secret: look once past the cache.
            client = self.clients.get(connection.oauth_client, fresh=True)
        try:
            self._leases.check_time(lease, self.redemption)
            return self.endpoint.refresh(provider, client, refresh_token=refresh_token)
        except InvalidClient:
            raise Misconfigured(
                f"the provider does not accept the OAuth client {connection.oauth_client!r}: "
                "an operator has to replace it",
                code="invalid_client",
            ) from None

    def _step_back(
        self, account: Account, connection: Connection, lease: Lease, spare: TokenSet | None
    ) -> tuple[TokenSet, Account]:
        self._leases.release(lease)
        newer = self.accounts.get(account.user, connection)
        if newer.version != account.version:
            return self._open(newer), newer
        if spare:
            return spare, account
        raise Busy("renewing the grant took too long: try again in a few seconds")

    def _save(
        self,
        account: Account,
        connection: Connection,
        lease: Lease,
        old: TokenSet,
        grant: TokenGrant,
    ) -> tuple[TokenSet, Account]:
        tokens = TokenSet(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token or old.refresh_token,
            expires_at=self.now() + timedelta(seconds=grant.expires_in),
            subject=old.subject,
            email=old.email,
        )
        scopes = account.scopes if grant.scopes is None else grant.scopes
        try:
            saved = self.grants.refreshed(account, tokens, scopes)
        except ConditionFailed:
            # A newer grant is there, or none any more: this one is dropped, the newer one counts.
            newer = self.accounts.get(account.user, connection)
            tokens, saved = self._open(newer), newer
        self._leases.release(lease)
        return tokens, saved

    def _expire(
        self, account: Account, connection: Connection, lease: Lease
    ) -> tuple[TokenSet, Account]:
        """The refresh token was refused; that is a verdict on those bytes, not on the account.

        A sibling may have stored newer tokens meanwhile, so the account ends only if version and
        lease are both still ours.
        """
        try:
            self.table.transact(
                self.accounts.mark_expired(account),
                lease.end(),
            )
        except ConditionFailed:
            newer = self.accounts.get(account.user, connection)
            if newer.version == account.version and newer.status is AccountStatus.ACTIVE:
                raise Busy("the grant is being renewed: try again in a few seconds") from None
            return self._open(newer), newer
        self.accounts.announce(account, AccountStatus.EXPIRED)
        raise NotConnected(account.connection, why_not(AccountStatus.EXPIRED))
