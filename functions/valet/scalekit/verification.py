"""Finishing an authorization: Scalekit makes the account active if the user is the link's.

The user is who the app's request is about, by a token's claim or an IAM caller's word. One who is
not the link's ends the authorization here, and Scalekit is not even asked.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Conflict, Gone, NotFound
from valet.models import AccountStatus
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.events import Event, EventType
from valet.scalekit.errors import ScalekitBusy, ScalekitRefused, ScalekitUnavailable

if TYPE_CHECKING:
    from valet.models import Account, Connection, UserKey
    from valet.native.authorizations import Authorizations
    from valet.native.configs import Configs
    from valet.native.table import Item
    from valet.scalekit.accounts import Accounts
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class Verification:
    authorizations: Authorizations
    configs: Configs
    accounts: Accounts
    api: Api

    def verify(
        self,
        authorization_id: str,
        user: UserKey,
        *,
        replace_account: bool = False,  # noqa: ARG002  # which account it is, Scalekit does not say
    ) -> Account:
        """Make the account active, if it is this user's.

        Raises:
            NotFound: no such authorization.
            WrongUser: it was started for somebody else; it is dead from now on.
            Conflict: it was verified, refused or is being verified already.
            Gone: it waited too long, here or at Scalekit.
            ScalekitUnavailable, ScalekitBusy: no verdict; verify again.
        """
        digest = keys.digest(authorization_id)
        record = self.authorizations.get(digest)
        if record["user"] != user:
            self.authorizations.reject(digest, record)
            raise WrongUser(record["connection"])
        connection = self.configs.connections().get(record["connection"])
        if connection is None or connection.connector != record["connector"]:
            raise Conflict(
                f"connection {record['connection']!r} has been changed meanwhile: connect again "
                "from your app",
                code="connection_changed",
            )
        self.authorizations.claim(digest, record)
        return self._finish(digest, record, authorization_id, user, connection)

    def _finish(
        self,
        digest: str,
        record: Item,
        authorization_id: str,
        user: UserKey,
        connection: Connection,
    ) -> Account:
        try:
            self.api.verify(_request_id(authorization_id), user)
        except (ScalekitUnavailable, ScalekitBusy):
            # It may have been taken all the same; the next attempt finds out.
            self.authorizations.settle(digest, status="AWAITING_VERIFICATION", asked=True)
            raise
        except ScalekitRefused as refused:
            account = self.accounts.of(user, {connection.name: connection})[connection.name]
            done_before = refused.not_found and record.get("asked")
            if not (done_before and account.status is AccountStatus.ACTIVE):
                self.authorizations.settle(digest, status="FAILED")
                raise _in_our_words(refused, connection) from None
        else:
            account = self.accounts.of(user, {connection.name: connection})[connection.name]
        self.authorizations.settle(digest, status="DONE")
        self._announce(account)
        return account

    def _announce(self, account: Account) -> None:
        self.authorizations.events.publish(
            Event(
                EventType.ACCOUNT_STATUS_CHANGED,
                account.user,
                connection=account.connection,
                connector=account.connector,
                status=account.status.value,
                previous_status=AccountStatus.PENDING_VERIFICATION.value,
            )
        )


def _request_id(authorization_id: str) -> str:
    try:
        padded = authorization_id + "=" * (-len(authorization_id) % 4)
        return urlsafe_b64decode(padded).decode()
    except (binascii.Error, ValueError):  # it was found by its hash, so it is one of ours
        raise NotFound("no such authorization", code="authorization_unknown") from None


def _in_our_words(refused: ScalekitRefused, connection: Connection) -> Exception:
    match refused.http_status:
        case 403:
            return WrongUser(connection.name)
        case 400 | 404:
            return Gone(
                "this authorization waited too long at Scalekit: connect again from your app",
                code="authorization_expired",
            )
    return refused
