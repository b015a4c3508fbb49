"""The public origin: what may be one, and that links are made of it alone."""

from __future__ import annotations

import pytest

from tests.world import URL, World
from valet.errors import BadRequest, Misconfigured
from valet.native.endpoint import Endpoint


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.com",
        "https://mcp.example.com:8443",
        "http://127.0.0.1:8400",
        "http://localhost:8400",
        "http://abc.execute-api.localhost:4566",
    ],
)
def test_an_https_origin_or_a_loopback_one_is_taken_without_its_trailing_slash(url: str) -> None:
    world = World()
    world.endpoint.set(f"{url}/")
    assert world.endpoint.url() == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mcp.example.com",
        "http://mcp.example.com",
        "http://evillocalhost",
        "http://evil.127.0.0.1",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "https://",
        "https://user@example.com",
        "https://example.com/path",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://example.com\\evil",
        "https://exa mple.com",
        "https://example.com\n",
        "https://example.com\r\nSet-Cookie: a=b",
        "https://[::1]",
        "https://example.com:",
        "ftp://example.com",
        "javascript:alert(1)",
        "//example.com",
        "HTTPS://example.com",
    ],
)
def test_anything_but_an_origin_is_refused_and_changes_nothing(url: str) -> None:
    world = World().deployed()
    with pytest.raises(BadRequest) as refusal:
        world.endpoint.set(url)
    assert refusal.value.code == "bad_public_url"
    assert Endpoint(world.table).url() == URL


def test_before_the_first_deploy_links_say_what_is_missing() -> None:
    with pytest.raises(Misconfigured, match="Custom::McpEndpoint"):
        World().ticket()


def test_a_warm_function_reads_the_origin_once() -> None:
    world = World().deployed()
    endpoint = Endpoint(world.table)
    world.table.requests.clear()
    assert endpoint.url() == endpoint.url() == URL
    assert world.table.requests == ["get"]
