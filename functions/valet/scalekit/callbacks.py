"""The browser's return from Scalekit: kept until the app says whose browser it was.

What verifies is Scalekit's id of the request. It is not stored: its hash is, and it goes to the app
as the authorization's id, which comes back with the user's own credential.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.native.authorizations import Returned
from valet.native.states import not_ours, one, reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.native.authorizations import Authorizations

_MAX_REQUEST_ID = 1000


@dataclass(frozen=True, slots=True)
class Callbacks:
    authorizations: Authorizations

    def receive(
        self, connection: str, query: Mapping[str, list[str]], cookies: Mapping[str, str]
    ) -> Returned:
        """Take an answer.

        Raises:
            BadRequest: it is malformed, or from another browser or connection.
            Gone: the consent took too long.
            Conflict: the state was used.
            Busy: others kept changing it; it was not used.
        """
        states = self.authorizations.states
        consent = states.returned(connection, query, cookies)
        request_id, error = (one(query, name) for name in ("auth_request_id", "error"))
        if error is not None and request_id is None:
            states.end(consent, "FAILED")
            return Returned(connection, consent.cookie_name, error=reason(error))
        if request_id is None or error is not None or len(request_id) > _MAX_REQUEST_ID:
            states.end(consent, "FAILED")
            raise not_ours()
        # Opaque, so that it may have anything in it; ours has its place in a path.
        authorization_id = urlsafe_b64encode(request_id.encode()).decode().rstrip("=")
        self.authorizations.park(consent, authorization_id, self.authorizations.expires_at())
        return Returned(connection, consent.cookie_name, authorization_id=authorization_id)
