"""The rooms of our own broker, joined: `valet.backend.Backend`, and what its parts share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from valet.settings import settings
from valet.wiring.shared import (
    authorizations,
    aws_client,
    endpoint,
    events,
    forget,
    http,
    json_secret,
    table,
    tickets,
)

if TYPE_CHECKING:
    from valet.adapters.kms_vault import KmsVault
    from valet.adapters.secrets_manager import SecretOAuthClients
    from valet.adapters.token_endpoint import HttpxTokenEndpoint
    from valet.native.accounts import Accounts
    from valet.native.callbacks import Callbacks
    from valet.native.catalogue import Catalogue
    from valet.native.configs import Configs
    from valet.native.consent import Consent
    from valet.native.disconnect import Disconnect
    from valet.native.erase import Erase
    from valet.native.grants import Grants
    from valet.native.instances import Instances
    from valet.native.key_ring import Signers
    from valet.native.session_tokens import SessionTokens
    from valet.native.url_keys import UrlKeys
    from valet.native.verification import Verification


@cache
def catalogue() -> Catalogue:
    from valet.native.catalogue import Catalogue

    return Catalogue()


@cache
def configs() -> Configs:
    from valet.native.configs import Configs

    return Configs(table(), catalogue())


@cache
def accounts() -> Accounts:
    from valet.native.accounts import Accounts

    return Accounts(table(), events())


@cache
def grants() -> Grants:
    from valet.native.grants import Grants

    return Grants(accounts(), vault())


@cache
def instances() -> Instances:
    from valet.native.instances import Instances

    return Instances(table(), configs(), url_keys(), endpoint(), events())


@cache
def session_tokens() -> SessionTokens:
    from valet.native.session_tokens import SessionTokens

    return SessionTokens(table(), instances(), signers(), endpoint())


def tool_runs() -> None:
    """mcp_server runs them, in the session that `tool_sessions` finds."""


@cache
def consent() -> Consent:
    from valet.native.connect_pages import ConnectPages
    from valet.native.consent import Consent
    from valet.native.states import States

    return Consent(
        States(table()),
        ConnectPages(tickets(), configs(), accounts()),
        configs(),
        oauth_clients(),
        endpoint(),
        settings().provider_url,
    )


@cache
def callbacks() -> Callbacks:
    from valet.native.callbacks import Callbacks

    return Callbacks(authorizations(), vault(), accounts())


@cache
def verification() -> Verification:
    from valet.native.exchange import Exchange
    from valet.native.verification import Verification

    exchange = Exchange(vault(), oauth_clients(), token_endpoint(), endpoint())
    return Verification(authorizations(), accounts(), grants(), configs(), exchange)


@cache
def disconnect() -> Disconnect:
    from valet.native.disconnect import Disconnect

    return Disconnect(accounts(), grants(), configs(), oauth_clients(), token_endpoint())


@cache
def erase() -> Erase:
    from valet.native.erase import Erase

    return Erase(
        forget(), accounts(), grants(), configs(), oauth_clients(), token_endpoint(), events()
    )


@cache
def url_keys() -> UrlKeys:
    from valet.native.url_keys import UrlKeys

    return UrlKeys(signers())


@cache
def signers() -> Signers:
    from valet.adapters.secrets_manager import SecretKeyRing
    from valet.native.key_ring import Signers

    ring = SecretKeyRing(json_secret("url_keys_secret"))
    return Signers(ring, ring.latest)


@cache
def vault() -> KmsVault:
    from valet.adapters.kms_vault import KmsVault

    return KmsVault(aws_client("kms"), settings().require("vault_key_arn"))


@cache
def oauth_clients() -> SecretOAuthClients:
    from valet.adapters.secrets_manager import SecretOAuthClients

    return SecretOAuthClients(json_secret("oauth_clients_secret"))


@cache
def token_endpoint() -> HttpxTokenEndpoint:
    from valet.adapters.token_endpoint import HttpxTokenEndpoint

    return HttpxTokenEndpoint(http(), settings().provider_url)
