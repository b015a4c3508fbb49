"""Session tokens: short-lived bearers for `/mcp`, each of one instance and revocable by itself.

`mvt_` and what `signed_keys` makes of the instance, the token's id, its end and its access. A small
item for each, beside the instance's, is what revoking takes away: a token works while that item and
the instance are there and its time is not over. Rotating the instance's URL leaves tokens alone:
who has the URL cannot make one.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from valet.errors import NotFound, TooMany
from valet.models import Access, InstanceId, Secret, SessionToken, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.signed_keys import SignedForm
from valet.native.table import ConditionFailed, Delete, Is, Item, Put, Table, when
from valet.native.url_keys import id_bytes, id_of

if TYPE_CHECKING:
    from valet.native.endpoint import Endpoint
    from valet.native.instances import Instances
    from valet.native.key_ring import Signers

SHORTEST: Final = timedelta(seconds=60)
LONGEST: Final = timedelta(hours=24)
USUAL: Final = timedelta(hours=1)
MOST: Final = 50  # alive of one instance: one for each client, and a loop must not fill the table

PREFIX: Final = "mvt_"
_ID_BYTES = 8
_ID = re.compile(r"tok_[0-9a-f]{16}")
_FORM = SignedForm(PREFIX, b"session-token:", f"16s{_ID_BYTES}sIB")  # instance, id, end, access
_ACCESS = (Access.FULL, Access.READ_ONLY)  # by the number that stands for it


@dataclass(frozen=True, slots=True)
class TokenContent:
    """What a well-signed token says: not yet whether it still lives."""

    instance: InstanceId
    id: str
    expires_at: int
    access: Access
    key_id: str

    def lives(self, item: Item | None, now: int) -> bool:
        """Whether the item is this token's, and its time not over by either."""
        # The table deletes expired items late, so the time is compared here. And with the key that
        # signed it: one that has leaked and left signing must not sign for tokens of another.
        return (
            item is not None
            and item["key_id"] == self.key_id
            and now < min(self.expires_at, item["expires_at"])
        )


@dataclass(frozen=True, slots=True)
class TokenReader:
    signers: Signers

    def read(self, text: str) -> TokenContent | None:
        """The content if it was signed by the ring, else None; all wrong ones look alike."""
        signed = _FORM.read(text, self.signers)
        if signed is None:
            return None
        key_id, (instance, token_id, expires_at, access) = signed
        return TokenContent(
            id_of(instance), f"tok_{token_id.hex()}", expires_at, _ACCESS[access], key_id
        )


@dataclass(frozen=True, slots=True)
class SessionTokens:
    table: Table
    instances: Instances
    signers: Signers
    endpoint: Endpoint
    now: Clock = utc_now

    def issue(
        self, instance_id: str, user: UserKey, lifetime: timedelta, access: Access
    ) -> tuple[SessionToken, Secret]:
        """A new token, and its text, which cannot be had again.

        Raises:
            NotFound: no such instance of this user.
            TooMany: so many tokens of it are alive already.
        """
        alive = self.of(instance_id, user)
        if len(alive) >= MOST:
            raise TooMany(
                f"{MOST} session tokens of this instance are alive: revoke one of those that GET "
                f"/instances/{{id}}/tokens lists, or wait until {alive[0].expires_at:%H:%M} UTC, "
                "when the first of them ends",
                code="too_many_tokens",
            )
        now = self.now().replace(microsecond=0)
        instance, raw = InstanceId(instance_id), secrets.token_bytes(_ID_BYTES)
        token = SessionToken(f"tok_{raw.hex()}", instance, access, now, now + lifetime)
        key_id, signer = self.signers.current()
        self.table.write(Put(_to_item(token, user, key_id)))
        content = (id_bytes(instance), raw, epoch(token.expires_at), _ACCESS.index(access))
        return token, Secret(_FORM.write(signer, key_id, *content))

    def url(self, _instance: str, _user: UserKey, /) -> str:
        """Where these tokens are good: the same for everybody, the token says the rest."""
        return f"{self.endpoint.url()}/mcp"

    def of(self, instance_id: str, user: UserKey) -> list[SessionToken]:
        """The instance's tokens that are alive, the first to end first.

        Raises:
            NotFound: no such instance of this user.
        """
        instance = self.instances.get(instance_id, user).id
        now = epoch(self.now())
        items = self.table.query(keys.instance(instance).pk, keys.TOKENS)
        alive = [_from_item(item, instance) for item in items if now < item["expires_at"]]
        return sorted(alive, key=lambda token: token.expires_at)

    def revoke(self, instance_id: str, user: UserKey, token_id: str) -> None:
        """The token dies at once.

        Raises:
            NotFound: no such token of this user's instance; revoking again says so too.
        """
        instance = self.instances.get(instance_id, user).id
        if not _ID.fullmatch(token_id):
            raise _no_token()
        try:
            key = keys.session_token(instance, token_id)
            self.table.write(Delete(key, when(Is("user", user))))
        except ConditionFailed:
            raise _no_token() from None


def _no_token() -> NotFound:
    return NotFound("no such session token: GET /instances/{id}/tokens lists those that are alive")


def _to_item(token: SessionToken, user: UserKey, key_id: str) -> Item:
    key = keys.session_token(token.instance, token.id)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "user": user,
        "access": token.access.value,
        "key_id": key_id,
        "created_at": epoch(token.created_at),
        "expires_at": epoch(token.expires_at),
        "ttl": epoch(token.expires_at),
    }


def _from_item(item: Item, instance: InstanceId) -> SessionToken:
    return SessionToken(
        id=item["sk"].removeprefix(keys.TOKENS),
        instance=instance,
        access=Access(item["access"]),
        created_at=from_epoch(item["created_at"]),
        expires_at=from_epoch(item["expires_at"]),
    )
