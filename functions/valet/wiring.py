"""The only place that joins the rooms, lazily: a function pays at cold start for what it uses."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from valet.settings import settings

if TYPE_CHECKING:
    import ssl

    import httpx
    from botocore.session import Session

    from valet.adapters.aws_clock import AwsClock
    from valet.adapters.call_log import CallLog
    from valet.adapters.dynamodb import DynamoTable
    from valet.adapters.eventbridge import EventBridge
    from valet.adapters.kms_vault import KmsVault
    from valet.adapters.provider_http import HttpxProvider
    from valet.adapters.secrets_manager import JsonSecret, SecretOAuthClients
    from valet.adapters.token_endpoint import HttpxTokenEndpoint
    from valet.backend import Backend
    from valet.mcp.resource import ProtectedResource
    from valet.native.access_tokens import Scopes
    from valet.native.accounts import Accounts
    from valet.native.authorizations import Authorizations
    from valet.native.callbacks import Callbacks
    from valet.native.catalogue import Catalogue
    from valet.native.configs import Configs
    from valet.native.consent import Consent
    from valet.native.disconnect import Disconnect
    from valet.native.endpoint import Endpoint
    from valet.native.erase import Erase
    from valet.native.events import LazyEvents
    from valet.native.forget import Forget
    from valet.native.grants import Grants
    from valet.native.handles import Handles
    from valet.native.instances import Instances
    from valet.native.key_ring import Signers
    from valet.native.ledger import Ledger
    from valet.native.limits import CallLimits
    from valet.native.oauth_sessions import OAuthSessions
    from valet.native.session_tokens import SessionTokens
    from valet.native.sessions import Sessions
    from valet.native.tickets import Tickets
    from valet.native.tokens import Tokens
    from valet.native.tool_sessions import ToolSessions
    from valet.native.url_keys import UrlKeys
    from valet.native.verification import Verification

# httpx logs each URL at INFO, which Lambda's JSON logging lets through: searches, ids, recipients.
logging.getLogger("httpx").setLevel(logging.WARNING)


def backend() -> Backend:
    """Who does the work: this module's rooms, or the hosted ones."""
    if settings().backend == "native":
        from valet import wiring

        return wiring
    from valet import scalekit_wiring

    return scalekit_wiring


@cache
def table() -> DynamoTable:
    from valet.adapters.dynamodb import DynamoTable

    return DynamoTable(_aws("dynamodb"), settings().require("table_name"))


@cache
def endpoint() -> Endpoint:
    from valet.native.endpoint import Endpoint

    return Endpoint(table())


@cache
def events() -> LazyEvents:
    from valet.native.events import LazyEvents

    return LazyEvents(_event_bridge)


@cache
def _event_bridge() -> EventBridge:
    from valet.adapters.eventbridge import EventBridge

    return EventBridge(_aws("events"))


@cache
def configs() -> Configs:
    from valet.native.configs import Configs

    return Configs(table(), catalogue())


@cache
def catalogue() -> Catalogue:
    from valet.native.catalogue import Catalogue

    return Catalogue()


@cache
def accounts() -> Accounts:
    from valet.native.accounts import Accounts

    return Accounts(table(), events())


@cache
def tickets() -> Tickets:
    from valet.native.tickets import Tickets

    return Tickets(table(), endpoint())


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
def handles() -> Handles:
    from valet.native.handles import Handles

    return Handles(signers())


@cache
def instances() -> Instances:
    from valet.native.instances import Instances

    return Instances(table(), configs(), url_keys(), endpoint(), events())


@cache
def sessions() -> Sessions:
    from valet.native.session_tokens import TokenReader
    from valet.native.sessions import Sessions

    return Sessions(table(), configs(), accounts(), url_keys(), TokenReader(signers()))


@cache
def protected_resource() -> ProtectedResource:
    from valet.mcp.resource import ProtectedResource

    issuer = settings().mcp_oauth_issuer
    if not issuer:
        return ProtectedResource(endpoint().url)
    return ProtectedResource(endpoint().url, issuer, (_scopes().full, _scopes().read_only))


@cache
def oauth_sessions() -> OAuthSessions:
    from valet.adapters.issuer import Issuer
    from valet.native.access_tokens import AccessTokens
    from valet.native.oauth_sessions import OAuthSessions

    issuer = settings().require("mcp_oauth_issuer")
    agreed, resource = settings().mcp_oauth_audience, protected_resource()
    access_tokens = AccessTokens(
        Issuer(issuer, http()),
        lambda: agreed or resource.url,
        _scopes(),
        settings().user_claim,
    )
    return OAuthSessions(access_tokens, instances(), sessions(), settings().mcp_oauth_config)


def _scopes() -> Scopes:
    from valet.native.access_tokens import Scopes

    return Scopes(
        settings().require("mcp_oauth_full_scope"), settings().require("mcp_oauth_read_scope")
    )


@cache
def session_tokens() -> SessionTokens:
    from valet.native.session_tokens import SessionTokens

    return SessionTokens(table(), instances(), signers(), endpoint())


def tool_runs() -> None:
    """mcp_server runs them, in the session that `tool_sessions` finds."""


@cache
def tool_sessions() -> ToolSessions:
    from valet.native.instance_choice import InstanceChoice
    from valet.native.instance_records import InstanceRecords
    from valet.native.tool_sessions import ToolSessions

    choice = InstanceChoice(InstanceRecords(table(), configs()), sessions().config)
    return ToolSessions(choice, sessions())


@cache
def ledger() -> Ledger:
    from valet.native.ledger import Ledger

    return Ledger(table())


@cache
def limits() -> CallLimits:
    from valet.native.limits import CallLimits

    return CallLimits(table())


@cache
def audit() -> CallLog:
    from valet.adapters.call_log import CallLog

    return CallLog()


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
def authorizations() -> Authorizations:
    from valet.native.authorizations import Authorizations

    return Authorizations(table(), tickets(), events())


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
def forget() -> Forget:
    from valet.native.forget import Forget

    return Forget(table())


@cache
def grants() -> Grants:
    from valet.native.grants import Grants

    return Grants(accounts(), vault())


@cache
def tokens() -> Tokens:
    from valet.native.tokens import Tokens

    return Tokens(table(), accounts(), grants(), oauth_clients(), token_endpoint(), aws_clock())


@cache
def aws_clock() -> AwsClock:
    from valet.adapters.aws_clock import AwsClock

    return AwsClock(_aws("dynamodb"))


@cache
def vault() -> KmsVault:
    from valet.adapters.kms_vault import KmsVault

    return KmsVault(_aws("kms"), settings().require("vault_key_arn"))


@cache
def oauth_clients() -> SecretOAuthClients:
    from valet.adapters.secrets_manager import SecretOAuthClients

    return SecretOAuthClients(json_secret("oauth_clients_secret"))


@cache
def token_endpoint() -> HttpxTokenEndpoint:
    from valet.adapters.token_endpoint import HttpxTokenEndpoint

    return HttpxTokenEndpoint(http(), settings().provider_url)


@cache
def provider_http() -> HttpxProvider:
    from valet.adapters.provider_http import HttpxProvider, client
    from valet.connectors.catalog import connector_names, load_connector

    hosts = {host for name in connector_names() for host in load_connector(name).hosts}
    return HttpxProvider(frozenset(hosts), client(_tls()), settings().provider_override or None)


@cache
def http() -> httpx.Client:
    import httpx

    # Without the environment: no proxy from there sees a token.
    return httpx.Client(verify=_tls(), trust_env=False)


@cache
def _tls() -> ssl.SSLContext:
    """Shared, since reading the roots that are trusted is most of what a client costs."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


@cache
def json_secret(setting: str) -> JsonSecret:
    from valet.adapters.secrets_manager import JsonSecret

    return JsonSecret(_aws("secretsmanager"), settings().require(setting))


@cache
def _aws(service: Any) -> Any:
    from botocore.config import Config

    # Shorter than a function's own time, so that a failure is an answer and not a timeout.
    config = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "max_attempts": 3},
        tcp_keepalive=True,
        # Ours are typed and AWS checks them anyway.
        parameter_validation=False,
        # The one that botocore puts together for each request takes a quarter of its time.
        user_agent="mcp-valet",
    )
    return _session().create_client(service, config=config)


@cache
def _session() -> Session:
    # boto3 is this and a layer for S3 and resources, whose import takes as long again.
    from botocore.session import get_session

    return get_session()
