"""What the deployed API answered in this session, to be searched for leaks at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

CALLBACK: Final = "/oauth/callback"

# Kinds of canaries.SEEN that no answer may carry; tickets, URL keys and authorizations' ids may be.
FORBIDDEN: Final = frozenset(
    {
        *("access_tokens", "refresh_tokens", "refresh_token", "token", "bearer", "codes", "code"),
        *("code_verifier", "client_secret", "OAuth client", "URL keys", "JWT"),
        *("OAuth access token", "OAuth refresh token"),
        *("Scalekit client", "Scalekit access token"),
    }
)

SEEN: dict[tuple[str, str], None] = {}  # (place, text), each once: most answers are much alike


def record(
    caller: str, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes
) -> None:
    path = urlsplit(url).path
    # No more of the path, which may hold a secret that a finding would print.
    route = CALLBACK if path.startswith(CALLBACK) else "/" + path.lstrip("/").partition("/")[0]
    place = f"{caller} {method} {route}"
    SEEN[place, body.decode(errors="replace")] = None
    SEEN.update({(place, f"{name}: {value}"): None for name, value in headers})
