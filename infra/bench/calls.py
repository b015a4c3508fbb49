"""The requests that every stack gets, as API Gateway sends them (payload format 2.0)."""

from __future__ import annotations

import json
from typing import Any

type Event = dict[str, Any]

READ = ("gmail_list_threads", {"query": "is:unread newer_than:7d", "max_results": 5})
WRITE = ("gmail_send_message", {"to": "ann@example.com", "subject": "No. @n", "body": "See you."})

LEGACY, MODERN = "2025-11-25", "2026-07-28"
_META = "io.modelcontextprotocol/"


def events(key: str) -> dict[str, Event]:
    """By what is asked. In a writing call `@n` stands for the number of the call."""
    read = {"name": READ[0], "arguments": READ[1]}
    write = {"name": WRITE[0], "arguments": WRITE[1]}
    return {
        f"{era} {what}": made(key, method, params)
        for era, made in (("legacy", _legacy), ("modern", _modern))
        for what, method, params in (
            ("list", "tools/list", {}),
            ("read", "tools/call", read),
            ("write", "tools/call", write),
        )
    }


def _legacy(key: str, method: str, params: Event) -> Event:
    return _event(key, method, params, {"mcp-protocol-version": LEGACY})


def _modern(key: str, method: str, params: Event) -> Event:
    about = {
        f"{_META}protocolVersion": MODERN,
        f"{_META}clientInfo": {"name": "bench", "version": "1"},
        f"{_META}clientCapabilities": {},
    }
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    return _event(key, method, {**params, "_meta": about}, headers)


def _event(key: str, method: str, params: Event, headers: dict[str, str]) -> Event:
    path = f"/mcp/{key}"
    return {
        "version": "2.0",
        "routeKey": "ANY /mcp/{key}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "host": "mcp.example.com",
            "user-agent": "bench",
            "x-forwarded-for": "203.0.113.9",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **headers,
        },
        "pathParameters": {"key": key},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": "mcp.example.com",
            "domainPrefix": "mcp",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.9",
                "userAgent": "bench",
            },
            "requestId": "request-1",
            "routeKey": "ANY /mcp/{key}",
            "stage": "$default",
            "time": "24/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1795478400000,
        },
        "body": json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
        "isBase64Encoded": False,
    }
