"""The tokens of connected accounts: sealed when stored, opened when used, nowhere else in clear."""

from __future__ import annotations

import json
from dataclasses import dataclass

from valet.errors import Busy
from valet.models import Account, AccountStatus, Connection, Secret, TokenSet, UserKey
from valet.native import keys
from valet.native.accounts import RACES, Accounts
from valet.native.clock import epoch, from_epoch
from valet.native.events import Event, EventType
from valet.native.table import Absent, ConditionFailed, Is, Update, When, either
from valet.native.vault import Owner, Purpose, SealBroken, Vault


@dataclass(frozen=True, slots=True)
class Grants:
    accounts: Accounts
    vault: Vault

    def email(self, account: Account) -> str | None:
        """Which account of the provider it is. Raises as `open`."""
        return self.open(account).email

    def open(self, account: Account) -> TokenSet:
        """The tokens of an account; ones that were tampered with are told of and never served.

        Raises:
            SealBroken: they are not what was sealed for this account.
            Busy: the vault is unavailable.
        """
        try:
            return _load(self.vault.open(account.sealed, _owner(account)))
        except SealBroken:
            self.accounts.events.publish(
                Event(
                    EventType.SEAL_BROKEN,
                    account.user,
                    connection=account.connection,
                    connector=account.connector,
                )
            )
            raise

    def park(self, account: Account, tokens: TokenSet) -> bytes:
        """Tokens that wait for the user's word, sealed for the authorization, not for use."""
        return self.vault.seal(_dump(tokens), _owner(account, "authorization"))

    def unpark(self, account: Account, sealed: bytes) -> TokenSet:
        """Raises SealBroken or Busy, as the vault does."""
        return _load(self.vault.open(sealed, _owner(account, "authorization")))

    def connect(
        self,
        user: UserKey,
        connection: Connection,
        tokens: TokenSet,
        scopes: frozenset[str],
        done: Update,
    ) -> Account:
        """Store a new grant, in place of whatever was there. The latest consent wins.

        `done` ends the authorization in the same transaction: one that was erased meanwhile
        connects nobody.

        Raises:
            Busy: others kept changing the account, or the authorization is no more.
        """
        for _ in range(RACES):
            before = self.accounts.get(user, connection)
            write, account = self._made(before, tokens, scopes, either(*_seen(before)))
            try:
                self.accounts.table.transact(write, done)
            except ConditionFailed:
                continue
            self.accounts.announce(before, AccountStatus.ACTIVE)
            return account
        raise Busy("this connection is being changed by others: try again")

    def refreshed(self, before: Account, tokens: TokenSet, scopes: frozenset[str]) -> Account:
        """Store refreshed tokens on top of the version that they were made from.

        Conditioned on the version alone, not on holding the lease: a late success is still the
        valid successor of that version, and dropping it would lose a rotated refresh token.

        Raises:
            ConditionFailed: a newer version is there, or the user disconnected meanwhile.
        """
        alive = (Is("version", before.version), Is("status", AccountStatus.ACTIVE))
        marked = (Is("version", before.version), Is("status", AccountStatus.EXPIRED))
        write, account = self._made(before, tokens, scopes, either(alive, marked))
        self.accounts.table.write(write)
        return account

    def _made(
        self, before: Account, tokens: TokenSet, scopes: frozenset[str], condition: When
    ) -> tuple[Update, Account]:
        """The write that stores tokens on top of an account, and the account that it makes."""
        sealed = self.vault.seal(_dump(tokens), _owner(before))
        now = self.accounts.now().replace(microsecond=0)
        write = Update(
            keys.account(before.user, before.connection),
            set={
                "connector": before.connector,
                "status": AccountStatus.ACTIVE.value,
                "scopes": sorted(scopes),
                "sealed": sealed,
                "token_expires_at": epoch(tokens.expires_at),
                "version": before.version + 1,
                "updated_at": epoch(now),
            },
            remove=["pending_until"],
            when=condition,
        )
        return write, Account(
            user=before.user,
            connection=before.connection,
            connector=before.connector,
            status=AccountStatus.ACTIVE,
            scopes=scopes,
            version=before.version + 1,
            sealed=sealed,
            updated_at=now,
        )


def _owner(account: Account, purpose: Purpose = "tokens") -> Owner:
    return Owner(account.user, account.connection, account.connector, purpose)


def _seen(before: Account) -> tuple[tuple[Absent | Is, ...], ...]:
    if before.version:
        return ((Is("version", before.version),),)
    return ((Absent("version"),),)


def _dump(tokens: TokenSet) -> bytes:
    return json.dumps(
        {
            "access_token": tokens.access_token.reveal(),
            "refresh_token": tokens.refresh_token.reveal() if tokens.refresh_token else None,
            "expires_at": epoch(tokens.expires_at),
            "subject": tokens.subject,
            "email": tokens.email,
        }
    ).encode()


def _load(plaintext: bytes) -> TokenSet:
    stored = json.loads(plaintext)
    refresh_token = stored["refresh_token"]
    return TokenSet(
        access_token=Secret(stored["access_token"]),
        refresh_token=Secret(refresh_token) if refresh_token else None,
        expires_at=from_epoch(stored["expires_at"]),
        subject=stored["subject"],
        email=stored["email"],
    )
