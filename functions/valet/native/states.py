"""A consent under way: a single-use state, bound to the browser and the connection it began with.

The state goes out with the browser and is stored by hash; the cookie's value likewise. An answer is
taken once: everything after the first finds the state used.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Conflict, Gone
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.table import Above, Absent, ConditionFailed, Is, Item, Put, Table, Update, when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.models import Connection
    from valet.native.endpoint import Endpoint
    from valet.native.tickets import Ticket

LIFETIME = timedelta(minutes=10)
_KEPT_AFTER = timedelta(days=1)  # so that a replay reads "already used", not "unknown"
_MAX_STATE = 200


@dataclass(frozen=True, slots=True)
class Begun:
    """What goes out: the state in the URL, and the secret in this browser's cookie."""

    state: str
    browser: str

    @property
    def cookie_name(self) -> str:
        return cookie_name(self.state)

    @property
    def max_age_seconds(self) -> int:
        return int(LIFETIME.total_seconds())


@dataclass(frozen=True, slots=True)
class Consenting:
    """A state that has come back in the browser it went out with."""

    state: str
    browser: str
    record: Item

    @property
    def cookie_name(self) -> str:
        return cookie_name(self.state)


@dataclass(frozen=True, slots=True)
class States:
    table: Table
    now: Clock = utc_now

    def begin(self, ticket: Ticket, connection: Connection, scopes: Sequence[str] = ()) -> Begun:
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        key = keys.state(keys.digest(begun.state))
        expires_at = self.now() + LIFETIME
        self.table.write(
            Put(
                {
                    "pk": key.pk,
                    "sk": key.sk,
                    "status": "NEW",
                    "user": ticket.user,
                    "ticket": ticket.digest,
                    "connection": connection.name,
                    "connector": connection.connector,
                    "browser": keys.digest(begun.browser),
                    "scopes": list(scopes),
                    "expires_at": epoch(expires_at),
                    "ttl": epoch(expires_at + _KEPT_AFTER),
                },
                when(Absent()),
            )
        )
        return begun

    def returned(
        self, connection: str, query: Mapping[str, list[str]], cookies: Mapping[str, str]
    ) -> Consenting:
        """The consent that an answer belongs to; it is not used by asking.

        Raises:
            BadRequest: malformed, or of another browser or connection.
            Gone: the consent took too long.
            Conflict: the state was used.
        """
        state = one(query, "state")
        if state is None or len(state) > _MAX_STATE:
            raise not_ours()
        record = self.table.get(keys.state(keys.digest(state)))
        if record is None:
            raise not_ours()
        browser = cookies.get(cookie_name(state), "")
        self._check(record, connection, browser)
        return Consenting(state, browser, record)

    def end(self, consent: Consenting, status: str) -> None:
        """Use the state up. Raises Conflict if another answer has."""
        try:
            self.table.write(self.claim(consent, status))
        except ConditionFailed:
            raise used() from None

    def claim(self, consent: Consenting, status: str) -> Update:
        """The write that uses the state up, for a transaction of the caller's."""
        return Update(
            keys.state(keys.digest(consent.state)),
            set={"status": status},
            when=when(Is("status", "NEW"), Above("expires_at", epoch(self.now()))),
        )

    def is_used(self, consent: Consenting) -> bool:
        now = self.table.get(keys.state(keys.digest(consent.state)))
        return now is None or now["status"] != "NEW"

    def _check(self, record: Item, connection: str, browser: str) -> None:
        # First: the browser that comes back a second time has no cookie any more, and is not
        # another one. Whoever knows the state learns nothing by it but that it is over.
        if record["status"] != "NEW":
            raise used()
        if not hmac.compare_digest(keys.digest(browser), record["browser"]):
            raise BadRequest(
                "this consent was started in another browser: open the connect link from your app "
                "again, in the browser that you use the app in",
                code="wrong_browser",
            )
        if record["connection"] != connection:
            raise not_ours()
        if record["expires_at"] <= epoch(self.now()):
            raise Gone(
                "the consent took too long: go back to your app and connect again",
                code="consent_expired",
            )


def callback_url(endpoint: Endpoint, connection: str) -> str:
    """One a connection, so that one provider's answer cannot be passed off as another's (COAT)."""
    return f"{endpoint.url()}/oauth/callback/{connection}"


def cookie_name(state: str) -> str:
    """One a flow, so that two tabs do not overwrite each other's."""
    return f"__Host-valet_{keys.digest(state)[:16]}"


def one(query: Mapping[str, list[str]], name: str) -> str | None:
    """A parameter that may come once; a repeated one is refused, not chosen from."""
    values = query.get(name, [])
    if len(values) > 1:
        raise not_ours()
    return values[0] if values and values[0] else None


def reason(error: str) -> str:
    """A closed set of what the app is told, never a provider's prose."""
    return "user_denied" if error == "access_denied" else "provider_error"


def not_ours() -> BadRequest:
    return BadRequest(
        "this answer does not belong to a consent that was started here: go back to your app and "
        "connect again",
        code="state_invalid",
    )


def used() -> Conflict:
    return Conflict(
        "this consent was already used: go back to your app, it shows how it went",
        code="authorization_used",
    )
