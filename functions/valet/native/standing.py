"""Where an account stands, in words for whoever wants to call a tool with it."""

from __future__ import annotations

from valet.models import AccountStatus


def why_not(status: AccountStatus) -> str:
    """Why an account that is not active cannot be used."""
    return {
        AccountStatus.PENDING_AUTH: "it has not been authorized yet",
        AccountStatus.PENDING_VERIFICATION: "its authorization has not been finished in the app",
        AccountStatus.EXPIRED: "the provider no longer honours this grant",
        AccountStatus.DISCONNECTED: "it has been disconnected",
    }[status]
