"""What serves MCP on `native`, joined: it opens sessions, and makes calls with users' grants."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from valet.settings import settings
from valet.wiring.native import (
    accounts,
    configs,
    grants,
    instances,
    oauth_clients,
    signers,
    token_endpoint,
    url_keys,
)
from valet.wiring.shared import aws_client, endpoint, http, table, tls

if TYPE_CHECKING:
    from valet.adapters.aws_clock import AwsClock
    from valet.adapters.provider_http import HttpxProvider
    from valet.mcp.resource import ProtectedResource
    from valet.native.access_tokens import Scopes
    from valet.native.handles import Handles
    from valet.native.ledger import Ledger
    from valet.native.limits import CallLimits
    from valet.native.oauth_sessions import OAuthSessions
    from valet.native.sessions import Sessions
    from valet.native.tokens import Tokens
    from valet.native.tool_sessions import ToolSessions


@cache
def sessions() -> Sessions:
    from valet.native.session_tokens import TokenReader
    from valet.native.sessions import Sessions

    return Sessions(table(), configs(), accounts(), url_keys(), TokenReader(signers()))


@cache
def tool_sessions() -> ToolSessions:
    from valet.native.instance_choice import InstanceChoice
    from valet.native.instance_records import InstanceRecords
    from valet.native.tool_sessions import ToolSessions

    choice = InstanceChoice(InstanceRecords(table(), configs()), sessions().config)
    return ToolSessions(choice, sessions())


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


@cache
def protected_resource() -> ProtectedResource:
    from valet.mcp.resource import ProtectedResource

    issuer = settings().mcp_oauth_issuer
    if not issuer:
        return ProtectedResource(endpoint().url)
    return ProtectedResource(endpoint().url, issuer, (_scopes().full, _scopes().read_only))


def _scopes() -> Scopes:
    from valet.native.access_tokens import Scopes

    return Scopes(
        settings().require("mcp_oauth_full_scope"), settings().require("mcp_oauth_read_scope")
    )


@cache
def handles() -> Handles:
    from valet.native.handles import Handles

    return Handles(signers())


@cache
def tokens() -> Tokens:
    from valet.native.tokens import Tokens

    return Tokens(table(), accounts(), grants(), oauth_clients(), token_endpoint(), aws_clock())


@cache
def aws_clock() -> AwsClock:
    from valet.adapters.aws_clock import AwsClock

    return AwsClock(aws_client("dynamodb"))


@cache
def ledger() -> Ledger:
    from valet.native.ledger import Ledger

    return Ledger(table())


@cache
def limits() -> CallLimits:
    from valet.native.limits import CallLimits

    return CallLimits(table())


@cache
def provider_http() -> HttpxProvider:
    from valet.adapters.provider_http import HttpxProvider, client
    from valet.connectors.catalog import connector_names, load_connector

    hosts = {host for name in connector_names() for host in load_connector(name).hosts}
    return HttpxProvider(frozenset(hosts), client(tls()), settings().provider_override or None)
