"""The provider's answer: parked sealed until the app says whose browser it was.

Nothing is exchanged here. Whoever consented in this browser need not be who the link was made for
(a forwarded link is the attack), and only the app can tell; see `verification`. An answer is taken
once: everything after the first finds the state used.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.errors import BadRequest, Busy, Conflict, Gone
from valet.models import AccountStatus, Connection, UserKey
from valet.native import keys
from valet.native.accounts import RACES, Accounts
from valet.native.clock import Clock, epoch, utc_now
from valet.native.consent import cookie_name, nonce, pkce_verifier
from valet.native.table import Above, Absent, ConditionFailed, Is, Item, Put, Table, Update, when
from valet.native.vault import Owner, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.native.tickets import Tickets

LIFETIME = timedelta(minutes=5)  # from consent to the app's verification
_KEPT_AFTER = timedelta(days=1)
_MAX_CODE = 4096


@dataclass(frozen=True, slots=True)
class Returned:
    """What the app is told at its verify page: an id to verify, or why there is none."""

    connection: str
    cookie_name: str  # of the flow that has ended
    authorization_id: str | None = None
    error: str | None = None  # user_denied, provider_error: a closed set, never provider prose


@dataclass(frozen=True, slots=True)
class Callbacks:
    table: Table
    vault: Vault
    tickets: Tickets
    accounts: Accounts
    now: Clock = utc_now

    def receive(
        self, connection: str, query: Mapping[str, list[str]], cookies: Mapping[str, str]
    ) -> Returned:
        """Take a provider's answer.

        Raises:
            BadRequest: it is malformed, from another browser, connection or issuer.
            Gone: the consent took too long.
            Conflict: the state was used.
            Busy: others kept changing it; it was not used.
        """
        state = _one(query, "state")
        if state is None or len(state) > 200:
            raise _not_ours()
        record = self.table.get(keys.state(keys.digest(state)))
        if record is None:
            raise _not_ours()
        browser = cookies.get(cookie_name(state), "")
        self._check(record, connection, browser)
        provider = load_connector(record["connector"]).provider
        issuer, code, error = (_one(query, name) for name in ("iss", "code", "error"))
        if not _issuer_holds(provider, issuer, present="iss" in query):
            self._end(state, "FAILED")
            raise _not_ours()
        if error is not None and code is None:
            self._end(state, "FAILED")
            return Returned(connection, cookie_name(state), error=_reason(error))
        if code is None or error is not None or not 0 < len(code) <= _MAX_CODE:
            self._end(state, "FAILED")
            raise _not_ours()
        return self._park(record, state, browser, code)

    def _check(self, record: Item, connection: str, browser: str) -> None:
        # First: the browser that comes back a second time has no cookie any more, and is not
        # another one. Whoever knows the state learns nothing by it but that it is over.
        if record["status"] != "NEW":
            raise _used()
        if not hmac.compare_digest(keys.digest(browser), record["browser"]):
            raise BadRequest(
                "this consent was started in another browser: open the connect link from your app "
                "again, in the browser that you use the app in",
                code="wrong_browser",
            )
        if record["connection"] != connection:
            raise _not_ours()
        if record["expires_at"] <= epoch(self.now()):
            raise Gone(
                "the consent took too long: go back to your app and connect again",
                code="consent_expired",
            )

    def _end(self, state: str, status: str) -> None:
        try:
            self.table.write(self._claim(state, status))
        except ConditionFailed:
            raise _used() from None

    def _claim(self, state: str, status: str) -> Update:
        return Update(
            keys.state(keys.digest(state)),
            set={"status": status},
            when=when(Is("status", "NEW"), Above("expires_at", epoch(self.now()))),
        )

    def _park(self, record: Item, state: str, browser: str, code: str) -> Returned:
        authorization_id = secrets.token_urlsafe(32)
        user, connection = UserKey(record["user"]), record["connection"]
        parked = json.dumps(
            {
                "code": code,
                "verifier": pkce_verifier(state, browser),
                "nonce": nonce(state, browser),
            }
        )
        owner = Owner(user, connection, record["connector"], "authorization")
        key = keys.authorization(keys.digest(authorization_id))
        expires_at = self.now() + LIFETIME
        item = {
            "pk": key.pk,
            "sk": key.sk,
            "status": "AWAITING_VERIFICATION",
            "user": user,
            "connection": connection,
            "connector": record["connector"],
            "scopes": record["scopes"],
            "sealed": self.vault.seal(parked.encode(), owner),
            "expires_at": epoch(expires_at),
            "ttl": epoch(expires_at + _KEPT_AFTER),
        }
        before = self.accounts.get(user, Connection(connection, record["connector"], ""))
        for _ in range(RACES):
            try:
                self.table.transact(
                    self._claim(state, "RETURNED"),
                    self.tickets.use_for(record["ticket"], connection),
                    Put(item, when(Absent())),
                    self.accounts.expect(user, connection, expires_at),
                )
            except ConditionFailed:
                self._refuse_used(record, state)
                continue
            if before.status is not AccountStatus.ACTIVE:
                self.accounts.announce(before, AccountStatus.PENDING_VERIFICATION)
            return Returned(connection, cookie_name(state), authorization_id=authorization_id)
        raise Busy("this consent is being changed by others: reload this page to try again")

    def _refuse_used(self, record: Item, state: str) -> None:
        """Tell a consent that was used from one that met another tab's at the link they share."""
        now = self.table.get(keys.state(keys.digest(state)))
        spent = self.tickets.is_spent(record["ticket"], record["connection"])
        if now is None or now["status"] != "NEW" or spent:
            raise _used()


def _one(query: Mapping[str, list[str]], name: str) -> str | None:
    """A parameter that may come once; a repeated one is refused, not chosen from."""
    values = query.get(name, [])
    if len(values) > 1:
        raise _not_ours()
    return values[0] if values and values[0] else None


def _issuer_holds(provider: OAuthProvider, issuer: str | None, *, present: bool) -> bool:
    """RFC 9207 §2.4: exact string comparison, no normalisation."""
    if present:
        return issuer == provider.issuer
    return provider.iss_parameter != "required"


def _reason(error: str) -> str:
    return "user_denied" if error == "access_denied" else "provider_error"


def _not_ours() -> BadRequest:
    return BadRequest(
        "this answer does not belong to a consent that was started here: go back to your app and "
        "connect again",
        code="state_invalid",
    )


def _used() -> Conflict:
    return Conflict(
        "this consent was already used: go back to your app, it shows how it went",
        code="authorization_used",
    )
