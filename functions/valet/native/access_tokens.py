"""OAuth access tokens of the issuer that this deployment trusts at `/mcp` (RFC 9068).

Whether the issuer signed one is the adapter's matter; here is what it has to say to open anything:
that it was made for us, that its time is now, whose it is, and what it permits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeIs

from valet.errors import Busy, Forbidden, ValetError
from valet.models import Access, UserKey, user_key
from valet.native.clock import Clock, epoch, utc_now
from valet.users import claimed_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEEWAY: Final = 30  # seconds between the issuer's clock and ours

# Many issuers leave RFC 9068's own type out. Any other is that of a token with another purpose.
_TYPES = (None, "at+jwt", "application/at+jwt", "jwt")
# What an ID token (OIDC Core §2) or a sender-constrained token (RFC 7800) carries: the one is not
# for APIs, the other is no bearer, and taking it as one would undo its protection.
_OF_OTHERS = ("nonce", "c_hash", "cnf")


@dataclass(frozen=True, slots=True)
class Signed:
    """A token that the issuer signed: its header's `typ` in lower case, and its claims."""

    type: str | None
    claims: Mapping[str, Any]


class SignedTokens(Protocol):
    def read(self, token: str) -> Signed | None:
        """The content of a token that names the issuer (`iss`) and is signed by it, else None.

        Raises:
            IssuerUnavailable: the keys that would tell cannot be had.
        """
        ...


class IssuerUnavailable(Busy):
    """The issuer's keys cannot be had: whether a token is good cannot be told."""

    code = "issuer_unavailable"

    def __init__(self) -> None:
        super().__init__("the authorization server cannot be reached right now: try again shortly")


class NotAccepted(Forbidden):
    """The token opens nothing. Its code says why, to the operator; its bearer is not told."""

    def __init__(self, code: str) -> None:
        super().__init__("this access token opens nothing here", code=code)


class InsufficientScope(Forbidden):
    """The token is good, and permits nothing here."""

    code = "insufficient_scope"


@dataclass(frozen=True, slots=True)
class Scopes:
    """The two scopes that a token needs one of."""

    full: str
    read_only: str

    def access(self, granted: frozenset[str]) -> Access | None:
        if self.full in granted:
            return Access.FULL
        return Access.READ_ONLY if self.read_only in granted else None


@dataclass(frozen=True, slots=True)
class Permit:
    """Who may do what, by an access token."""

    user: UserKey
    access: Access


@dataclass(frozen=True, slots=True)
class AccessTokens:
    signed: SignedTokens
    audience: Callable[[], str]
    scopes: Scopes
    user_claim: str
    now: Clock = utc_now

    def read(self, token: str) -> Permit:
        """What a good token permits.

        Raises:
            NotAccepted: it is no good; all that are not look alike to their bearer.
            InsufficientScope: neither of the two scopes was granted.
            IssuerUnavailable: it cannot be told.
        """
        signed = self.signed.read(token)
        if signed is None:
            raise NotAccepted("not_of_the_issuer")
        self._check(signed)
        try:
            user = claimed_user(signed.claims, self.user_claim)
        except ValetError:
            raise NotAccepted("no_user") from None
        access = self.scopes.access(_granted(signed.claims))
        if access is None:
            raise InsufficientScope("this access token has none of the scopes that open /mcp")
        return Permit(user_key(user), access)

    def _check(self, signed: Signed) -> None:
        if signed.type not in _TYPES or any(name in signed.claims for name in _OF_OTHERS):
            raise NotAccepted("not_an_access_token")
        audience = signed.claims.get("aud")
        if self.audience() not in (audience if isinstance(audience, list) else [audience]):
            raise NotAccepted("for_another_audience")
        if not self._is_now(signed.claims.get("nbf", 0), signed.claims.get("exp")):
            raise NotAccepted("not_now")

    def _is_now(self, begins: object, ends: object) -> bool:
        now = epoch(self.now())
        return _is_time(begins) and _is_time(ends) and begins - LEEWAY <= now < ends + LEEWAY


def _is_time(value: object) -> TypeIs[float]:
    return isinstance(value, int | float)


def _granted(claims: Mapping[str, Any]) -> frozenset[str]:
    """RFC 9068 §2.2.3; some issuers write `scp`, or a list."""
    scope = claims.get("scope", claims.get("scp"))
    listed = scope.split() if isinstance(scope, str) else scope
    return frozenset(map(str, listed)) if isinstance(listed, list) else frozenset()
