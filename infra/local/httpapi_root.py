"""Serves one deployed HTTP API at the root of a port of its own, as a custom domain would.

MiniStack serves APIs below /_aws/execute-api/ID/ or under host names that only browsers and curl
resolve, and mixes its own routes with them. Here everything on the port belongs to the API, the
path reaches it as it was sent, and API Gateway's size limits hold.
"""

import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from infra.local.httpapi_fidelity import Response, message
from infra.local.pins import pinned

type Scope = dict[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
HEADER_LIMIT = 10_240  # the request line and all header values
BODY_LIMIT = 10 * 1024 * 1024


class Disconnected(Exception):
    """The client left before its request was complete."""


def header_size(scope: Scope) -> int:
    """Count what API Gateway counts against its header quota."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) for name, value in scope["headers"])


def joined_headers(scope: Scope) -> dict[str, str]:
    """Join repeated headers as API Gateway does, cookies as RFC 9113 8.2.3 wants."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


async def read_body(receive: Receive, headers: Mapping[str, str]) -> bytes | None:
    """Read the body; None when it is larger than API Gateway takes."""
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > BODY_LIMIT:
        return None
    body, more = bytearray(), True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Disconnected
        body += event.get("body", b"")
        if len(body) > BODY_LIMIT:
            return None
        more = event.get("more_body", False)
    return bytes(body)


class RootListener:
    """The ASGI application of the API's own port."""

    def __init__(self, api_id: str, region: str) -> None:
        self._api_id = api_id
        self._region = region
        self._app = pinned(
            "ministack.app", "_enforce_execute_api", "_request_account_scope", "_send_response"
        )
        self._gateway = pinned(
            "ministack.services.apigateway",
            "decode_http_api_path",
            "handle_execute",
            "route_authorization_type",
        )
        self._iam = pinned(
            "ministack.core.iam_evaluator",
            "pin_request_origin",
            "pin_signed_body",
            "pin_signed_request",
        )
        self._request = pinned(
            "ministack.core.responses",
            "set_request_account_id",
            "set_request_client_ip",
            "set_request_region",
        )
        self._router = pinned("ministack.core.router", "extract_access_key_id")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = joined_headers(scope)
        if header_size(scope) > HEADER_LIMIT:
            return await self._send(scope, send, message(431, "Request Header Fields Too Large"))
        try:
            body = await read_body(receive, headers)
        except Disconnected:
            return None
        if body is None:
            return await self._send(scope, send, message(413, "Request Entity Too Large"))
        return await self._send(scope, send, await self._answer(scope, headers, body))

    async def _answer(self, scope: Scope, headers: dict[str, str], body: bytes) -> Response:
        path = self._gateway.decode_http_api_path(scope["raw_path"].decode("latin-1"))
        query_string = scope["query_string"].decode("latin-1")
        query = parse_qs(query_string, keep_blank_values=True)
        self._identify(scope, headers, query, path, body)
        if self._app._enforce_execute_api(
            self._api_id, "$default", scope["method"], path, headers, query
        ):
            return message(403, "Forbidden")  # an HTTP API never says why
        answer: Response = await self._gateway.handle_execute(
            self._api_id, "$default", path, scope["method"], headers, body, query, query_string
        )
        answer[1].setdefault("apigw-requestid", base64.b64encode(os.urandom(11)).decode())
        return answer

    def _identify(
        self,
        scope: Scope,
        headers: dict[str, str],
        query: dict[str, list[str]],
        path: str,
        body: bytes,
    ) -> None:
        """Tell MiniStack who asks: it keeps that in context variables."""
        client = (scope.get("client") or ("127.0.0.1",))[0]
        self._request.set_request_client_ip(client)
        self._request.set_request_region(self._region)
        self._iam.pin_request_origin(client, False)
        guard = self._gateway.route_authorization_type(
            self._api_id, "$default", scope["method"], path
        )
        if guard != "AWS_IAM":
            return  # credentials in a header mean nothing to the other routes
        access_key = self._router.extract_access_key_id(headers, query)
        if access_key:
            self._request.set_request_account_id(self._app._request_account_scope(access_key))
        self._iam.pin_signed_request(
            scope["method"], scope["raw_path"].decode("latin-1"), query, scope["headers"]
        )
        self._iam.pin_signed_body(body)

    async def _send(self, scope: Scope, send: Send, response: Response) -> None:
        status, headers, body = response
        await self._app._send_response(send, status, headers, body, head=scope["method"] == "HEAD")
