"""What both backends are joined from: the table and what is kept there, AWS, HTTP, the log."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from valet.settings import settings

if TYPE_CHECKING:
    import ssl

    import httpx
    from botocore.session import Session

    from valet.adapters.call_log import CallLog
    from valet.adapters.dynamodb import DynamoTable
    from valet.adapters.eventbridge import EventBridge
    from valet.adapters.secrets_manager import JsonSecret
    from valet.native.authorizations import Authorizations
    from valet.native.endpoint import Endpoint
    from valet.native.events import LazyEvents
    from valet.native.forget import Forget
    from valet.native.tickets import Tickets

# httpx logs each URL at INFO, which Lambda's JSON logging lets through: searches, ids, recipients.
logging.getLogger("httpx").setLevel(logging.WARNING)


@cache
def table() -> DynamoTable:
    from valet.adapters.dynamodb import DynamoTable

    return DynamoTable(aws_client("dynamodb"), settings().require("table_name"))


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

    return EventBridge(aws_client("events"))


@cache
def tickets() -> Tickets:
    from valet.native.tickets import Tickets

    return Tickets(table(), endpoint())


@cache
def authorizations() -> Authorizations:
    from valet.native.authorizations import Authorizations

    return Authorizations(table(), tickets(), events())


@cache
def forget() -> Forget:
    from valet.native.forget import Forget

    return Forget(table())


@cache
def audit() -> CallLog:
    from valet.adapters.call_log import CallLog

    return CallLog()


@cache
def http() -> httpx.Client:
    import httpx

    # Without the environment: no proxy from there sees a token.
    return httpx.Client(verify=tls(), trust_env=False)


@cache
def tls() -> ssl.SSLContext:
    """Shared, since reading the roots that are trusted is most of what a client costs."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


@cache
def json_secret(setting: str) -> JsonSecret:
    from valet.adapters.secrets_manager import JsonSecret

    return JsonSecret(aws_client("secretsmanager"), settings().require(setting))


@cache
def aws_client(service: Any) -> Any:
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
