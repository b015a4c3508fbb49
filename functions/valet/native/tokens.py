"""A valid access token for a connected account, refreshed by one caller at a time.

A lease decides who refreshes; a version decides whose result counts. The lease outlives the token
request's timeouts, because one that ends too early is as bad as none: a second redemption of a
rotating refresh token makes the provider revoke the whole family. So after getting the lease the
account is read again, and an answer is saved on top of exactly the version it was made from.
"""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import Busy, Misconfigured, ProviderFailure
from valet.models import Account, AccountStatus, Connection, Secret, TokenSet
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClients,
    ProviderUnavailable,
    TokenEndpoint,
    TokenGrant,
)
from valet.native.table import (
    Absent,
    Below,
    ConditionFailed,
    Delete,
    Is,
    Item,
    Table,
    Update,
    either,
    when,
)
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from valet.native.accounts import Accounts
    from valet.native.grants import Grants

SOFT_MARGIN = timedelta(seconds=300)  # refresh from here on; who loses the race still uses the old
HARD_MARGIN = timedelta(seconds=30)  # do not use from here on
LEASE = timedelta(seconds=20)  # more than the token endpoint's 2 s to connect and 8 s to read
REDEMPTION = timedelta(seconds=15)  # what a lease must still hold for when a request is sent
COOL_DOWN = timedelta(seconds=15)  # after a failure without a verdict
PATIENCE_SECONDS = 6.0  # how long a caller waits for another's refresh
_COOLING = "cooling"  # the holder of a lease that nobody refreshes under


class _Held(Exception):
    """The lease is another's; `cooling`: nobody's, since the provider just failed."""

    def __init__(self, lease: Item | None) -> None:
        super().__init__()
        self.cooling = (lease or {}).get("holder") == _COOLING


class _TooLate(Exception):
    """The lease may end before an answer comes: nothing is sent under it any more."""


@dataclass(frozen=True, slots=True)
class _Lease:
    holder: str
    until: datetime


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
                lease = self._acquire(account)
            except _Held as held:
                if spare:
                    return tokens, account
                account = self._wait(account, connection, held, deadline)
            else:
                return self._refresh_once(account, connection, lease, tokens if spare else None)

    def _wait(
        self, account: Account, connection: Connection, held: _Held, deadline: float
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
            if lease is None or lease["until"] < epoch(self.now()):
                return now
            if (now.version, now.status) != (account.version, account.status):
                return now
            held = _Held(lease)

    def _open(self, account: Account) -> TokenSet:
        if account.status is not AccountStatus.ACTIVE:
            raise NotConnected(account.connection, _why_not(account))
        return self.grants.open(account)

    def _acquire(self, account: Account) -> _Lease:
        """Raises _Held while another caller refreshes, or while nobody is to try."""
        now = self.now()
        lease = _Lease(secrets.token_hex(8), now + self.lease)
        try:
            self.table.write(
                Update(
                    keys.lease(account.user, account.connection),
                    set={
                        "holder": lease.holder,
                        "until": epoch(lease.until),
                        "ttl": epoch(now + timedelta(hours=1)),
                    },
                    when=either((Absent(),), (Below("until", epoch(now)),)),
                )
            )
        except ConditionFailed as conflict:
            raise _Held(conflict.item) from None
        return lease

    def _refresh_once(
        self, seen: Account, connection: Connection, lease: _Lease, spare: TokenSet | None
    ) -> tuple[TokenSet, Account]:
        account = self.accounts.get(seen.user, connection)
        if account.version != seen.version or account.status is not AccountStatus.ACTIVE:
            self._release(account, lease)
            return self._open(account), account
        old = self.grants.open(account)
        if old.refresh_token is None:
            return self._expire(account, connection, lease)
        try:
            grant = self._redeem(connection, old.refresh_token, lease)
        except InvalidGrant:
            return self._expire(account, connection, lease)
        except _TooLate:
            return self._step_back(account, connection, lease, spare)
        except (ProviderFailure, Misconfigured):  # no verdict on the grant
            self._cool_down(account, lease)
            if spare:
                return spare, account
            raise
        return self._save(account, connection, lease, old, grant)

    def _redeem(self, connection: Connection, refresh_token: Secret, lease: _Lease) -> TokenGrant:
        provider = load_connector(connection.connector).provider
        try:
            client = self.clients.get(connection.oauth_client)
            self._check_time(lease)
            return self.endpoint.refresh(provider, client, refresh_token=refresh_token)
        except InvalidClient:
            # The operator may just have replaced the client's secret: look once past the cache.
            client = self.clients.get(connection.oauth_client, fresh=True)
        try:
            self._check_time(lease)
            return self.endpoint.refresh(provider, client, refresh_token=refresh_token)
        except InvalidClient:
            raise Misconfigured(
                f"the provider does not accept the OAuth client {connection.oauth_client!r}: "
                "an operator has to replace it",
                code="invalid_client",
            ) from None

    def _check_time(self, lease: _Lease) -> None:
        """Whoever was held up (by a slow vault, by a refused client) leaves it to the next."""
        if self.now() + self.redemption > lease.until:
            raise _TooLate

    def _step_back(
        self, account: Account, connection: Connection, lease: _Lease, spare: TokenSet | None
    ) -> tuple[TokenSet, Account]:
        self._release(account, lease)
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
        lease: _Lease,
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
        self._release(account, lease)
        return tokens, saved

    def _expire(
        self, account: Account, connection: Connection, lease: _Lease
    ) -> tuple[TokenSet, Account]:
        """The refresh token was refused; that is a verdict on those bytes, not on the account.

        A sibling may have stored newer tokens meanwhile, so the account ends only if version and
        lease are both still ours.
        """
        try:
            self.table.transact(
                self.accounts.mark_expired(account),
                Delete(
                    keys.lease(account.user, account.connection), when(Is("holder", lease.holder))
                ),
            )
        except ConditionFailed:
            newer = self.accounts.get(account.user, connection)
            if newer.version == account.version and newer.status is AccountStatus.ACTIVE:
                raise Busy("the grant is being renewed: try again in a few seconds") from None
            return self._open(newer), newer
        self.accounts.announce(account, AccountStatus.EXPIRED)
        raise NotConnected(account.connection, _EXPIRED)

    def _release(self, account: Account, lease: _Lease) -> None:
        self._end_lease(
            Delete(keys.lease(account.user, account.connection), when(Is("holder", lease.holder)))
        )

    def _cool_down(self, account: Account, lease: _Lease) -> None:
        """Keep everyone from asking a provider that is down; the lease runs on, nobody's."""
        self._end_lease(
            Update(
                keys.lease(account.user, account.connection),
                set={"holder": _COOLING, "until": epoch(self.now() + COOL_DOWN)},
                when=when(Is("holder", lease.holder)),
            )
        )

    def _end_lease(self, write: Update | Delete) -> None:
        try:
            self.table.write(write)
        except ConditionFailed:
            return  # it ran out and someone else holds it now: theirs to end


_EXPIRED = "the provider no longer honours this grant"


def _why_not(account: Account) -> str:
    return {
        AccountStatus.PENDING_AUTH: "it has not been authorized yet",
        AccountStatus.PENDING_VERIFICATION: "its authorization has not been finished in the app",
        AccountStatus.EXPIRED: _EXPIRED,
        AccountStatus.DISCONNECTED: "it has been disconnected",
    }[account.status]
