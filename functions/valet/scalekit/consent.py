"""Starting a consent from the connect page: one of Scalekit's links, minted on click.

Its links live for a minute and carry our state and our callback, so that the browser that comes
back is held to the one that left, as on `native`. Those that come with an instance's state cannot
carry either, and end on an error of Scalekit's where it asks for verification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.backend import Started
from valet.native.connect_pages import ConnectPages, origin
from valet.native.states import States, callback_url
from valet.scalekit.errors import ScalekitAnswer

if TYPE_CHECKING:
    from valet.models import Connection
    from valet.native.connect_pages import ConnectPage
    from valet.native.endpoint import Endpoint
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class Consent:
    states: States
    pages: ConnectPages
    api: Api
    endpoint: Endpoint
    provider_origin: str  # a stand-in for providers on this machine, or every https site

    def page(self, ticket_text: str) -> ConnectPage:
        """Raises Gone when the link or its config is no more."""
        return self.pages.page(ticket_text, self._form_targets)

    def start(self, ticket_text: str, connection_name: str) -> Started:
        """Begin a consent; the ticket stays good until one has come back.

        Raises:
            Gone: the link has expired.
            NotFound: the link does not offer this connection.
            Conflict: the link was used for this connection.
        """
        ticket, connection = self.pages.choose(ticket_text, connection_name)
        begun = self.states.begin(ticket, connection)
        verify_url = callback_url(self.endpoint, connection.name)
        link = self.api.magic_link(ticket.user, connection.name, begun.state, verify_url)
        if origin(link) != self.api.env_url:  # nobody is sent with our state to elsewhere
            raise ScalekitAnswer("minting a link", "a link of the environment")
        return Started(link, begun.cookie_name, begun.browser, begun.max_age_seconds)

    def _form_targets(self, _: dict[str, Connection]) -> set[str]:
        """A browser holds each redirect of a form to these: to Scalekit, and on to its providers,
        which only Scalekit knows."""
        return {self.api.env_url, self.provider_origin}
