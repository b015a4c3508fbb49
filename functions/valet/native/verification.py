"""Finishing an authorization: verify first, exchange second.

The app names the user who came back (from its own sign-in). Only if that is the user the link was
made for is the parked code exchanged. One wrong user kills the request for good, and nothing goes
to the provider: cleaning up a mis-linked token at Google would revoke the victim's own grant.

A consent with another account of the provider than the one that is connected is held until the user
has confirmed that they mean it: else a slip at the account chooser would swap the agent's mailbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.errors import Conflict
from valet.models import Account, AccountStatus, TokenSet, UserKey
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.clock import Clock, epoch, utc_now
from valet.native.exchange import Consented
from valet.native.vault import SealBroken

if TYPE_CHECKING:
    from valet.native.accounts import Accounts
    from valet.native.authorizations import Authorizations
    from valet.native.configs import Configs
    from valet.native.exchange import Exchange
    from valet.native.grants import Grants
    from valet.native.table import Item

CONFIRMATION = timedelta(minutes=5)


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
class Verification:
    authorizations: Authorizations
    accounts: Accounts
    grants: Grants
    configs: Configs
    exchange: Exchange
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
        record = self.authorizations.get(digest)
        if record["user"] != user:
            if self.authorizations.reject(digest, record):
                self.accounts.expect_no_more(UserKey(record["user"]), record["connection"])
            raise WrongUser(record["connection"])
        self.authorizations.claim(digest, record)
        try:
            return self._finish(digest, record, user, replace_account=replace_account)
        except DifferentAccount:
            raise
        except Exception:
            self.authorizations.settle(digest, status="FAILED")
            self.accounts.expect_no_more(user, record["connection"])
            raise

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
            consent = Consented(tokens, frozenset(record["scopes"]))
        else:
            kept = old if before.status is AccountStatus.ACTIVE else None
            consent = self.exchange.exchange(record, connection, kept)
        if old and old.subject != consent.tokens.subject and not replace_account:
            self._hold(digest, before, consent)
            raise DifferentAccount(old.email, consent.tokens.email)
        done = self.authorizations.settlement(digest, status="DONE")
        return self.grants.connect(user, connection, consent.tokens, consent.scopes, done)

    def _connected(self, before: Account) -> TokenSet | None:
        """The grant that is there now, ended or not; one that no longer opens pins nobody."""
        if not before.sealed:
            return None
        try:
            return self.grants.open(before)
        except SealBroken:
            return None

    def _hold(self, digest: str, before: Account, consent: Consented) -> None:
        self.authorizations.settle(
            digest,
            status="AWAITING_CONFIRMATION",
            sealed=self.grants.park(before, consent.tokens),
            scopes=sorted(consent.scopes),
            expires_at=epoch(self.now() + CONFIRMATION),
        )
