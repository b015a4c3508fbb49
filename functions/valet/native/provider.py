"""The ports to an OAuth provider: its token endpoint, and our client's credentials there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from valet.errors import ProviderFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.models import Secret


@dataclass(frozen=True, slots=True)
class OAuthClient:
    client_id: str
    client_secret: Secret


class OAuthClients(Protocol):
    def get(self, name: str, *, fresh: bool = False) -> OAuthClient:
        """A client by its name in the secret; `fresh` reads past the cache.

        Raises:
            Misconfigured: there is none of that name yet, or it is malformed.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """A successful answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: Secret
    refresh_token: Secret | None
    expires_in: int  # seconds
    scopes: frozenset[str] | None  # None: as asked for (RFC 6749 §3.3)
    claims: Mapping[str, Any] | None = None  # of the id_token, signature not checked


class InvalidGrant(ProviderFailure):
    """The code or refresh token is no longer honoured: only a new consent helps."""

    code = "invalid_grant"


class InvalidClient(ProviderFailure):
    """The provider does not accept our OAuth client: an operator has to act, not the user."""

    code = "invalid_client"


class ProviderUnavailable(ProviderFailure):
    """No verdict: a timeout, a 429 or a 5xx; the grant may be as good as before."""

    code = "provider_unavailable"


class TokenEndpoint(Protocol):
    """Each call may raise InvalidGrant, InvalidClient, ProviderUnavailable or ProviderFailure.

    No call is repeated by the adapter: a repeated redemption looks like theft to providers that
    rotate refresh tokens.
    """

    def exchange(
        self,
        provider: OAuthProvider,
        client: OAuthClient,
        *,
        code: Secret,
        verifier: Secret,
        redirect_uri: str,
    ) -> TokenGrant: ...

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant: ...

    def revoke(self, provider: OAuthProvider, client: OAuthClient, *, token: Secret) -> None: ...

    def userinfo(self, provider: OAuthProvider, *, token: Secret) -> Mapping[str, Any]:
        """What the provider says of the token's user; empty where it says nothing."""
        ...
