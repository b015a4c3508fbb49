"""What exists before anybody calls the API, as if made by hand in Scalekit's dashboard.

Imports nothing of Scalekit's, so that the stack and the tests can read it in their environment.
"""

from __future__ import annotations

CLIENT_ID = "skc_85630864460904897"
CLIENT_SECRET = "test_fake-scalekit-secret"  # noqa: S105  # opens nothing but this fake
# The name of a connection: its id and its provider's key.
CONNECTIONS = {
    "MY_GMAIL": ("conn_85630864460904898", "GMAIL"),
    "MY_CALENDAR": ("conn_85630864460904899", "GOOGLECALENDAR"),
}


def redirect_uri(base: str, connection_id: str) -> str:
    """What has to be registered at the provider for a connection."""
    return f"{base}/sso/v1/oauth/{connection_id}/callback"


def redirect_uris(base: str) -> list[str]:
    return [redirect_uri(base, identity) for identity, _ in CONNECTIONS.values()]
