"""The ticket in a connect link: says whose grants on which config, authorizes nobody by itself.

Single use per connection: it stops working for a connection once a consent has come back through
it, not when the page is opened, because mail scanners and chat previews open links too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from valet.errors import Gone, TooMany
from valet.models import UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.table import Above, Below, ConditionFailed, HasNot, Put, Table, Update, when

if TYPE_CHECKING:
    from valet.native.endpoint import Endpoint

LIFETIME = timedelta(minutes=10)
MOST = 60  # links a user in that time: a sign-in asks for one, a loop must not fill the table
MOST_IN_CALLS = 30  # of these: whoever calls tools in a loop must not keep the user from the app
_KEPT_AFTER = timedelta(days=1)  # so that a late click reads "expired", not "unknown"


@dataclass(frozen=True, slots=True)
class ConnectLink:
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    digest: str
    user: UserKey
    config: str
    used: tuple[str, ...]  # connections that a consent has come back for
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Tickets:
    table: Table
    endpoint: Endpoint
    now: Clock = utc_now

    def issue(self, user: UserKey, config: str, *, most: int = MOST) -> ConnectLink:
        """Raises TooMany for a user who was given `most` links or more lately."""
        self._count(user, most)
        ticket = secrets.token_urlsafe(32)
        expires_at = self.now().replace(microsecond=0) + LIFETIME
        key = keys.ticket(keys.digest(ticket))
        self.table.write(
            Put(
                {
                    "pk": key.pk,
                    "sk": key.sk,
                    "user": user,
                    "config_name": config,  # `config` is what instances are counted by
                    "used": [],
                    "expires_at": epoch(expires_at),
                    "ttl": epoch(expires_at + _KEPT_AFTER),
                }
            )
        )
        return ConnectLink(f"{self.endpoint.url()}/connect/{ticket}", expires_at)

    def _count(self, user: UserKey, most: int) -> None:
        now = epoch(self.now())
        key = keys.link_count(user)
        within = when(Above("until", now), Below("issued", most))
        try:
            self.table.write(Update(key, add={"issued": 1}, when=within))
        except ConditionFailed as refused:
            until = refused.item["until"] if refused.item else 0
            if until > now:
                raise TooMany(
                    f"{most} connect links were made for this user within ten minutes: use the "
                    "last one, or ask again in ten minutes",
                    code="too_many_links",
                    retry_after=until - now,
                ) from None
            self._begin_count(user, now)

    def _begin_count(self, user: UserKey, now: int) -> None:
        """Of several that begin a window at once one is counted: a limit need not be exact."""
        until = now + int(LIFETIME.total_seconds())
        key = keys.link_count(user)
        item = {"pk": key.pk, "sk": key.sk, "user": user, "issued": 1, "until": until}
        self.table.write(Put(item | {"ttl": until}))

    def read(self, ticket: str) -> Ticket:
        """Raises Gone for one that is expired or unknown (the table forgets expired ones)."""
        return self.read_digest(keys.digest(ticket))

    def read_digest(self, ticket_digest: str) -> Ticket:
        item = self.table.get(keys.ticket(ticket_digest))
        # The table deletes expired items late, so the time is compared here.
        if item is None or item["expires_at"] <= epoch(self.now()):
            raise ticket_gone()
        return Ticket(
            digest=ticket_digest,
            user=UserKey(item["user"]),
            config=item["config_name"],
            used=tuple(item["used"]),
            expires_at=from_epoch(item["expires_at"]),
        )

    def use_for(self, ticket_digest: str, connection: str) -> Update:
        """The write that spends the ticket for one connection, for the caller's transaction.

        Its time has been checked when the consent began, which has a lifetime of its own; here the
        ticket only has to be there still.
        """
        return Update(
            keys.ticket(ticket_digest),
            append={"used": connection},
            when=when(Above("expires_at", 0), HasNot("used", connection)),
        )

    def is_spent(self, ticket_digest: str, connection: str) -> bool:
        item = self.table.get(keys.ticket(ticket_digest))
        return item is None or connection in item["used"]


def ticket_gone() -> Gone:
    return Gone(
        "this connect link has expired or was never valid: ask your app for a new one",
        code="link_expired",
    )
