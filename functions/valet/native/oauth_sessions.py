"""The door for who did OAuth: an access token opens the user's instance of one config.

The instance is made on the fly: all that such a client starts with is `/mcp`, and no app has asked
for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from valet.errors import Busy, Misconfigured, UnknownName

if TYPE_CHECKING:
    from valet.models import McpInstance, UserKey
    from valet.native.access_tokens import AccessTokens
    from valet.native.instances import Instances
    from valet.native.sessions import Session, Sessions

_REMEMBERED = 1000


@dataclass(slots=True)
class OAuthSessions:
    access_tokens: AccessTokens
    instances: Instances
    sessions: Sessions
    config: str
    _known: OrderedDict[UserKey, McpInstance] = field(default_factory=OrderedDict, init=False)

    def open(self, token: str) -> Session:
        """The session of a good access token.

        Raises:
            NotAccepted: it is no good.
            InsufficientScope: the token permits nothing here.
            IssuerUnavailable: whether it is good cannot be told.
            Misconfigured: the config that OAuth clients get does not exist.
        """
        permit = self.access_tokens.read(token)
        known = self._known.get(permit.user)
        session = self.sessions.for_instance(known, permit.access, "oauth") if known else None
        if session is None:  # not seen yet, or deleted since
            instance = self._ensured(permit.user)
            session = self.sessions.for_instance(instance, permit.access, "oauth")
        if session is None:
            raise Busy("this instance is being changed by others: try again")
        return session

    def _ensured(self, user: UserKey) -> McpInstance:
        try:
            instance = self.instances.ensure(self.config, user)
        except UnknownName:
            raise Misconfigured(
                f"OAuth clients get the MCP config {self.config[:100]!r}, which does not exist: "
                "an operator has to declare it, or name another as McpOAuthConfig"
            ) from None
        self._known[user] = instance
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return instance
