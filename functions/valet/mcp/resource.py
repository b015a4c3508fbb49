"""`/mcp` as a protected resource: how a client learns what to bring (RFC 6750, RFC 9728)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

METADATA_PATH = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """`/mcp` below a public origin, and the OAuth issuer whose tokens it takes, if there is one."""

    origin: Callable[[], str]
    issuer: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The canonical URI: what a token's audience names (RFC 8707)."""
        return f"{self.origin()}/mcp"

    def metadata(self) -> dict[str, Any]:
        return {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(self.scopes),
            "bearer_methods_supported": ["header"],
        }

    def challenge(self, error: Literal["invalid_token", "insufficient_scope"] | None = None) -> str:
        """`WWW-Authenticate` for who brought nothing, or what was wrong with what they brought."""
        parts = ['realm="mcp"']
        if error:
            parts.append(f'error="{error}"')
        if self.issuer:
            parts.append(f'resource_metadata="{self.origin()}{METADATA_PATH}/mcp"')
            parts.append(f'scope="{" ".join(self.scopes)}"')
        return f"Bearer {', '.join(parts)}"
