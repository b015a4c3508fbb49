"""Lambda events as AWS sends them, built from the little that a test cares about."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aws_lambda_powertools.utilities.typing import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Mapping

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/valet/0a1b"


class Context(LambdaContext):
    """What Lambda hands to a handler beside the event."""

    def __init__(self, name: str = "valet") -> None:
        self._function_name = name
        self._function_version = "$LATEST"
        self._invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        self._memory_limit_in_mb = 1024
        self._aws_request_id = "11111111-2222-3333-4444-555555555555"
        self._log_group_name = f"/aws/lambda/{name}"
        self._log_stream_name = "2026/11/23/[$LATEST]0123456789abcdef"


def jwt(user: str = "alice", **claims: Any) -> dict[str, Any]:
    """An HTTP API's JWT authorizer; it turns all claims into strings."""
    verified = {
        "iss": "https://idp.example",
        "sub": user,
        "client_id": "frontend",
        "token_use": "access",
    }
    return {"jwt": {"claims": verified | claims, "scopes": None}}


def iam() -> dict[str, Any]:
    return {
        "iam": {
            "accessKey": "ASIAEXAMPLE",
            "accountId": "123456789012",
            "callerId": "AROAEXAMPLE:service",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": "arn:aws:sts::123456789012:assumed-role/backend/service",
            "userId": "AROAEXAMPLE:service",
        }
    }


def http(
    route: str,
    *,
    path: Mapping[str, str] | None = None,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    caller: Mapping[str, Any] | None = None,
    body: Any = None,
    text: str | None = None,
    raw: bytes | None = None,
    method: str | None = None,
) -> dict[str, Any]:
    """API Gateway's payload format 2.0. One body: `body` as JSON, `text` as is, `raw` in base64."""
    verb, template = route.split(" ", 1)
    filled = template
    for name, value in (path or {}).items():
        filled = filled.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": filled,
        "rawQueryString": query,
        "headers": {"host": "valet.example", "accept": "application/json", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": method or ("GET" if verb == "ANY" else verb),
                "path": filled,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "gw-request-1",
            "routeKey": route,
            "stage": "$default",
            "timeEpoch": 1795424400000,
        },
        "isBase64Encoded": False,
    }
    if path:
        event["pathParameters"] = dict(path)
    if cookies:
        event["cookies"] = [f"{name}={value}" for name, value in cookies.items()]
    if caller is not None:
        event["requestContext"]["authorizer"] = dict(caller)
    if body is not None:
        event["body"] = json.dumps(body)
    if text is not None:
        event["body"] = text
    if raw is not None:
        event |= {"body": b64encode(raw).decode(), "isBase64Encoded": True}
    return event


def custom_resource(
    request: str,
    kind: str,
    properties: Mapping[str, Any],
    *,
    url: str,
    physical_id: str | None = None,
    logical_id: str = "Thing",
    stack: str = STACK,
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "RequestType": request,
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:create-config",
        "ResponseURL": url,
        "StackId": stack,
        "RequestId": "5f9c1a6e",
        "ResourceType": f"Custom::{kind}",
        "LogicalResourceId": logical_id,
        "ResourceProperties": {
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:create-config",
            "ServiceTimeout": "120",
            **properties,
        },
    }
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    return event
