"""Starting a consent from the connect page.

It makes a state (see `states`), for a callback URL of this connection's own. The PKCE verifier and
the nonce are derived from the cookie's value and the state, so they are stored nowhere: they come
back with the browser.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from valet.backend import Started
from valet.connectors.catalog import load_connector
from valet.native.connect_pages import ConnectPage, ConnectPages, origin
from valet.native.readiness import tools_on
from valet.native.states import States, callback_url
from valet.tools.scopes import least_scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valet.connectors.models import OAuthProvider
    from valet.models import Connection
    from valet.native.configs import Configs
    from valet.native.endpoint import Endpoint
    from valet.native.provider import OAuthClients


@dataclass(frozen=True, slots=True)
class Consent:
    states: States
    pages: ConnectPages
    configs: Configs
    clients: OAuthClients
    endpoint: Endpoint
    provider_url: Callable[[str], str]

    def page(self, ticket_text: str) -> ConnectPage:
        """Raises Gone when the link or its config is no more."""
        return self.pages.page(ticket_text, self._authorize_origins)

    def start(self, ticket_text: str, connection_name: str) -> Started:
        """Begin a consent; the ticket stays good until one has come back.

        Raises:
            Gone: the link has expired.
            NotFound: the link does not offer this connection.
            Conflict: the link was used for this connection.
            Misconfigured: no OAuth client is set up for it.
        """
        ticket, connection = self.pages.choose(ticket_text, connection_name)
        client = self.clients.get(connection.oauth_client)
        provider = load_connector(connection.connector).provider
        scopes = self._scopes(connection, provider)
        begun = self.states.begin(ticket, connection, scopes)
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": callback_url(self.endpoint, connection.name),
            "scope": " ".join(scopes),
            "state": begun.state,
            "code_challenge": _challenge(pkce_verifier(begun.state, begun.browser)),
            "code_challenge_method": "S256",
            **provider.authorize_params,
        }
        if provider.id_token:
            query["nonce"] = nonce(begun.state, begun.browser)
        return Started(
            authorize_url=f"{self.provider_url(provider.authorize_url)}?{urlencode(query)}",
            cookie_name=begun.cookie_name,
            cookie_value=begun.browser,
            max_age_seconds=begun.max_age_seconds,
        )

    def _authorize_origins(self, connections: dict[str, Connection]) -> set[str]:
        return {
            origin(self.provider_url(load_connector(c.connector).provider.authorize_url))
            for c in connections.values()
        }

    def _scopes(self, connection: Connection, provider: OAuthProvider) -> Sequence[str]:
        """What all configs' exposed tools need on this connection, and no more.

        All configs, because a user has one grant per connection whichever config uses it.
        """
        tools = tools_on(self.configs.all(), connection.name, connection.connector)
        return (*provider.base_scopes, *least_scopes(tools))


def pkce_verifier(state: str, browser: str) -> str:
    """RFC 7636 §4.1: 43 characters, 256 bits."""
    return _derived("pkce", state, browser)


def nonce(state: str, browser: str) -> str:
    return _derived("nonce", state, browser)


def _derived(label: str, state: str, browser: str) -> str:
    mac = hmac.digest(browser.encode(), f"{label}:{state}".encode(), hashlib.sha256)
    return urlsafe_b64encode(mac).decode().rstrip("=")


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
