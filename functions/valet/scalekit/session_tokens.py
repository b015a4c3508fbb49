"""Session tokens that Scalekit signs: a bearer for the URL of a config, for one user's accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import BadRequest, Conflict
from valet.models import SessionToken
from valet.native import keys
from valet.native.clock import Clock, utc_now
from valet.scalekit.errors import ScalekitRefused
from valet.scalekit.instances import served_config

if TYPE_CHECKING:
    from datetime import timedelta

    from valet.models import Access, McpInstance, Secret, UserKey
    from valet.scalekit.api import Api
    from valet.scalekit.instances import Instances


@dataclass(frozen=True, slots=True)
class SessionTokens:
    api: Api
    instances: Instances
    now: Clock = utc_now

    def issue(
        self, instance_id: str, user: UserKey, lifetime: timedelta, access: Access
    ) -> tuple[SessionToken, Secret]:
        """A new token, and its text, which cannot be had again.

        Raises:
            NotFound: no such instance of this user.
            Conflict: a connection of the config is not active; Scalekit wants all of them.
            BadRequest: this deployment serves URLs that need no token.
        """
        instance = self._instance(instance_id, user)
        remote, _ = served_config(self.api, instance.config)
        created_at = self.now().replace(microsecond=0)
        seconds = int(lifetime.total_seconds())
        try:
            issued = self.api.session_token(remote.id, user, seconds, access.value)
        except ScalekitRefused as refused:
            if refused.http_status != 400:
                raise
            raise Conflict(
                "Scalekit issues a session token once every connection of the config is ACTIVE: "
                "send the user to the instance's connect_url first",
                code="not_connected",
            ) from None
        # Scalekit names no token, so that this one is named by what it is.
        name = f"tok_{keys.digest(issued.value.reveal())[:16]}"
        return SessionToken(name, instance.id, access, created_at, issued.expires_at), issued.value

    def url(self, instance_id: str, user: UserKey, /) -> str:
        return self.instances.url(self._instance(instance_id, user))

    def of(self, instance_id: str, user: UserKey) -> list[SessionToken]:
        """Raises BadRequest, always: Scalekit keeps no list."""
        self._instance(instance_id, user)
        raise _not_kept()

    def revoke(self, instance_id: str, user: UserKey, _token_id: str, /) -> None:
        """Raises BadRequest, always: Scalekit takes none back."""
        self._instance(instance_id, user)
        raise _not_kept()

    def _instance(self, instance_id: str, user: UserKey) -> McpInstance:
        instance = self.instances.get(instance_id, user)
        if self.instances.url_per_user:
            raise BadRequest(
                "this deployment's URLs need no session token: deploy with ScalekitMode=server to "
                "have tokens",
                code="unsupported_by_backend",
            )
        return instance


def _not_kept() -> BadRequest:
    return BadRequest(
        "Scalekit neither lists session tokens nor takes one back: let them be short, they end by "
        "themselves",
        code="unsupported_by_backend",
    )
