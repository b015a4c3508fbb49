"""Whose provider account a grant is for: by its id_token, or by the provider's userinfo.

The id_token comes straight from the token endpoint over TLS, so its signature need not be checked
(OpenID Connect Core §3.1.3.7 point 6); its claims are. The e-mail address is shown to its user and
never used as a key: addresses change hands.

A provider that offers neither pins nobody: there a reconnect with another account replaces the
grant without a question, since nothing tells the two apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.errors import ProviderFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider, Userinfo
    from valet.native.provider import TokenGrant


def identify(
    provider: OAuthProvider, client_id: str, grant: TokenGrant, nonce: str, now: int
) -> tuple[str | None, str | None]:
    """The subject and e-mail address of the account that a grant is for; None where unknown.

    Raises:
        ProviderFailure: the id_token is not the one that this consent asked for.
    """
    if not provider.id_token:
        return None, None
    claims: Mapping[str, Any] = grant.claims or {}
    audience = claims.get("aud")
    expires_at = claims.get("exp")
    holds = (
        claims.get("iss") == provider.issuer
        and (audience == client_id or audience == [client_id])
        and isinstance(expires_at, int | float)
        and expires_at > now - 120  # the provider's clock and ours
        and claims.get("nonce") == nonce
        and isinstance(claims.get("sub"), str)
    )
    if not holds:
        raise ProviderFailure(
            "the provider's answer does not belong to this consent: connect again from your app",
            code="identity_mismatch",
        )
    email = claims.get("email")
    return claims["sub"], email if isinstance(email, str) else None


def named_by(userinfo: Userinfo, answer: Mapping[str, Any]) -> tuple[str, str | None]:
    """The subject and e-mail address in a userinfo answer.

    Raises:
        ProviderFailure: it names nobody; a grant of nobody's could not be told from another's.
    """
    subject = answer.get(userinfo.subject)
    if type(subject) is int:  # GitHub's ids are numbers
        subject = str(subject)
    if not isinstance(subject, str) or not subject:
        raise ProviderFailure(
            "the provider does not say whose account this is: connect again from your app",
            code="identity_unknown",
        )
    email = answer.get(userinfo.email) if userinfo.email else None
    return subject, email if isinstance(email, str) else None
