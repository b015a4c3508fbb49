"""Who the user is, by a path's word or a token's claim: checked before it enters a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.errors import BadRequest, Forbidden
from valet.models import UserId

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_USER = 256


def claimed_user(claims: Mapping[str, Any], name: str) -> UserId:
    """The user that an access token's claim names.

    Raises:
        Forbidden: it is no access token, or the claim is an address that nobody has verified.
        BadRequest: the claim names nobody.
    """
    # An ID token is for the frontend's eyes, not for APIs, and API Gateway cannot tell: Cognito
    # says it in token_use, Keycloak in typ; at_hash is no access token's (OIDC Core §3.1.3.6).
    not_for_apis = claims.get("typ") in ("ID", "Refresh") or "at_hash" in claims
    if not_for_apis or claims.get("token_use", "access") != "access":
        raise Forbidden("send the access token, not the ID token")
    if name.startswith("email") and str(claims.get("email_verified")).lower() != "true":
        raise Forbidden("this token's e-mail address is not verified")
    return checked_user(claims.get(name))


def checked_user(user: object) -> UserId:
    """A user's id: opaque, taken to the byte.

    Raises:
        BadRequest: not 1 to 256 characters, or with control characters.
    """
    printable = isinstance(user, str) and all(ch >= " " and ch != "\x7f" for ch in user)
    if not isinstance(user, str) or not printable or not 1 <= len(user) <= MAX_USER:
        raise BadRequest(
            f"a user is named by 1 to {MAX_USER} characters without control characters",
            code="bad_user",
        )
    try:
        user.encode()
    except UnicodeEncodeError:
        raise BadRequest("a user's name must be valid Unicode", code="bad_user") from None
    return UserId(user)
