"""The official client talks to the core, in one process and without a network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from tests.unit.mcp_support import CONNECT_URL, MODERN, World
from valet.mcp.transport import HttpRequest, not_found

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# The event loop wakes itself through a socket pair.
pytestmark = pytest.mark.enable_socket

MODES = ["auto", "legacy", MODERN]


def with_client(
    world: World, mode: str, use: Callable[[Client], Awaitable[None]], **client_options: Any
) -> list[str]:
    """Run `use` with a client of `world`; the methods and paths that it asked for."""
    seen: list[str] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(f"{request.method} {request.url.path}")
        if request.url.path != "/mcp/key":
            answer = not_found()
        else:
            headers = {name.lower(): value for name, value in request.headers.items()}
            sent = HttpRequest(request.method, headers, request.content)
            answer = world.answer(sent)
        return httpx2.Response(answer.status, headers=dict(answer.headers), text=answer.body)

    async def run() -> None:
        transport = httpx2.MockTransport(respond)
        async with httpx2.AsyncClient(transport=transport) as http:
            streams = streamable_http_client("https://valet.example/mcp/key", http_client=http)
            async with Client(streams, mode=mode, **client_options) as client:
                await use(client)

    asyncio.run(run())
    return seen


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_lists_and_calls(mode: str) -> None:
    async def use(client: Client) -> None:
        listed = await client.list_tools()
        assert [(tool.name, tool.title) for tool in listed.tools] == [
            ("echo", "Echo"),
            ("send", "Send"),
        ]
        called = await client.call_tool("echo", {"text": "zażółć"})
        assert called.is_error is False
        assert called.structured_content == {"text": "zażółć"}

    seen = with_client(World(), mode, use)
    assert set(seen) == {"POST /mcp/key"}


@pytest.mark.parametrize(("mode", "version"), [("auto", MODERN), ("legacy", "2025-11-25")])
def test_the_official_client_agrees_on_the_newest_revision(mode: str, version: str) -> None:
    async def use(client: Client) -> None:
        assert client.protocol_version == version
        assert client.server_info is not None
        assert client.server_info.name == "valet"
        assert client.instructions == "Tools of your accounts."

    with_client(World(), mode, use)


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_shows_the_connect_link(mode: str) -> None:
    async def use(client: Client) -> None:
        called = await client.call_tool("send", {})
        assert called.is_error is True
        assert CONNECT_URL in str(called.content[0])

    with_client(World(), mode, use)


@pytest.mark.parametrize("mode", MODES)
def test_the_official_client_gets_the_message_of_an_error_and_goes_on(mode: str) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(MCPError, match="Unknown tool: drop"):
            await client.call_tool("drop", {})
        assert (await client.call_tool("echo", {"text": "still here"})).is_error is False

    with_client(World(), mode, use)


def answering(action: Literal["accept", "decline", "cancel"], asked: list[str]) -> Any:
    async def answer(_: object, params: Any) -> ElicitResult:
        asked.append(params.url)
        return ElicitResult(action=action)

    return answer


@pytest.mark.parametrize(
    ("action", "says"),
    [("accept", CONNECT_URL), ("decline", "declined"), ("cancel", "without an answer")],
)
def test_the_official_client_asks_its_user_once_and_goes_on(
    action: Literal["accept", "decline", "cancel"], says: str
) -> None:
    asked: list[str] = []

    async def use(client: Client) -> None:
        called = await client.call_tool("send", {})
        assert called.is_error is True
        assert says in str(called.content[0])

    with_client(World(), "auto", use, elicitation_callback=answering(action, asked))
    assert asked == [CONNECT_URL]


def test_the_official_client_follows_the_pages_of_a_list() -> None:
    async def use(client: Client) -> None:
        first = await client.list_tools()
        second = await client.list_tools(cursor=first.next_cursor)
        assert [tool.name for tool in (*first.tools, *second.tools)] == ["echo", "send"]
        assert second.next_cursor is None

    for mode in MODES:
        with_client(World(page_size=1), mode, use)
