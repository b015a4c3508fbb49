"""MCP over the wire: the official client, and single messages for what it would not send."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from infra.local.deployment import PARAMETERS
from tests.e2e import answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from tests.e2e.api import Api


def with_client[T](
    url: str,
    use: Callable[[Client], Awaitable[T]],
    mode: str = "auto",
    token: str | None = None,
    auth: httpx2.Auth | None = None,
    **options: Any,
) -> T:
    async def run() -> T:
        async with (
            httpx2.AsyncClient(
                timeout=60,
                trust_env=False,
                event_hooks={"response": [_record]},
                headers={"authorization": f"Bearer {token}"} if token else {},
                auth=auth,
            ) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, **options) as client,
        ):
            return await use(client)

    return asyncio.run(run())


async def _record(answer: httpx2.Response) -> None:
    sent = answer.request
    if not str(sent.url).startswith(PARAMETERS["PublicUrl"]):
        return  # an issuer's, which may well tell a token
    body, headers = await answer.aread(), answer.headers.multi_items()
    answers.record("answer to the MCP client's", sent.method, str(sent.url), headers, body)


def list_tools(
    url: str, mode: str = "auto", token: str | None = None, auth: httpx2.Auth | None = None
) -> list[str]:
    async def use(client: Client) -> list[str]:
        return [tool.name for tool in (await client.list_tools()).tools]

    return with_client(url, use, mode, token, auth)


def call(
    url: str,
    tool: str,
    arguments: dict[str, Any] | None = None,
    mode: str = "auto",
    token: str | None = None,
) -> Any:
    async def use(client: Client) -> Any:
        return await client.call_tool(tool, arguments or {})

    return with_client(url, use, mode, token)


def text(result: Any) -> str:
    return str(result.content[0].text)


def post(
    api: Api,
    url: str,
    method: str,
    params: dict[str, Any] | None = None,
    token: str | None = None,
) -> httpx.Response:
    """One message of a client that keeps no session."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return api.send("POST", url.removeprefix(api.url), body, token=token)


def post_modern(api: Api, url: str, method: str, params: dict[str, Any]) -> httpx.Response:
    """One message of 2026-07-28, from a client that opens URLs for its user."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    return api.send("POST", url.removeprefix(api.url), body, headers=headers)


def post_call(
    api: Api, url: str, tool: str, arguments: dict[str, Any], token: str | None = None
) -> dict[str, Any]:
    answer = post(api, url, "tools/call", {"name": tool, "arguments": arguments}, token)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def at_once[T](times: int, act: Callable[[], T], lanes: int = 20) -> list[T]:
    """The same thing in parallel; each lane costs the emulator a cold start."""
    with ThreadPoolExecutor(min(times, lanes)) as pool:
        return [future.result() for future in [pool.submit(act) for _ in range(times)]]
