"""The provider's answer: parked sealed until the app says whose browser it was.

Nothing is exchanged here; see `verification`. An answer that is no answer uses the state up too.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.connectors.catalog import load_connector
from valet.models import AccountStatus, Connection, UserKey
from valet.native.authorizations import Returned
from valet.native.consent import nonce, pkce_verifier
from valet.native.states import not_ours, one, reason
from valet.native.vault import Owner, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.native.accounts import Accounts
    from valet.native.authorizations import Authorizations
    from valet.native.states import Consenting

_MAX_CODE = 4096


@dataclass(frozen=True, slots=True)
class Callbacks:
    authorizations: Authorizations
    vault: Vault
    accounts: Accounts

    def receive(
        self, connection: str, query: Mapping[str, list[str]], cookies: Mapping[str, str]
    ) -> Returned:
        """Take a provider's answer.

        Raises:
            BadRequest: it is malformed, from another browser, connection or issuer.
            Gone: the consent took too long.
            Conflict: the state was used.
            Busy: others kept changing it; it was not used.
        """
        states = self.authorizations.states
        consent = states.returned(connection, query, cookies)
        provider = load_connector(consent.record["connector"]).provider
        issuer, code, error = (one(query, name) for name in ("iss", "code", "error"))
        if not _issuer_holds(provider, issuer, present="iss" in query):
            states.end(consent, "FAILED")
            raise not_ours()
        if error is not None and code is None:
            states.end(consent, "FAILED")
            return Returned(connection, consent.cookie_name, error=reason(error))
        if code is None or error is not None or not 0 < len(code) <= _MAX_CODE:
            states.end(consent, "FAILED")
            raise not_ours()
        return self._park(consent, code)

    def _park(self, consent: Consenting, code: str) -> Returned:
        authorization_id = secrets.token_urlsafe(32)
        record = consent.record
        user, connection = UserKey(record["user"]), record["connection"]
        parked = json.dumps(
            {
                "code": code,
                "verifier": pkce_verifier(consent.state, consent.browser),
                "nonce": nonce(consent.state, consent.browser),
            }
        )
        owner = Owner(user, connection, record["connector"], "authorization")
        before = self.accounts.get(user, Connection(connection, record["connector"], ""))
        expires_at = self.authorizations.expires_at()
        self.authorizations.park(
            consent,
            authorization_id,
            expires_at,
            self.accounts.expect(user, connection, expires_at),
            scopes=record["scopes"],
            sealed=self.vault.seal(parked.encode(), owner),
        )
        if before.status is not AccountStatus.ACTIVE:
            self.accounts.announce(before, AccountStatus.PENDING_VERIFICATION)
        return Returned(connection, consent.cookie_name, authorization_id=authorization_id)


def _issuer_holds(provider: OAuthProvider, issuer: str | None, *, present: bool) -> bool:
    """RFC 9207 §2.4: exact string comparison, no normalisation."""
    if present:
        return issuer == provider.issuer
    return provider.iss_parameter != "required"
