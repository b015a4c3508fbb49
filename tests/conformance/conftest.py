"""Fixtures: the suite's two targets, known to be alive, and one run of the suite a revision."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conformance import suite
from tests.conformance.deployed import deployed
from tests.e2e.conftest import api, deployment
from tests.e2e.people import sign_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment

__all__ = ["api", "deployment"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/conformance/" in str(item.path):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@pytest.fixture(scope="session")
def product(deployment: Deployment, api: Api) -> str:
    """The URL of a user's own MCP server."""
    url = str(sign_up(deployment, api).ensure()["url"])
    assert tools_at(url) == {"gmail_fetch_mails", "googlecalendar_create_event"}
    return url


@pytest.fixture(scope="session")
def test_server(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the suite's tools behind the same core."""
    assert deployment
    with deployed(tmp_path_factory.mktemp("package")) as url:
        assert "test_simple_text" in tools_at(url)
        yield url


@pytest.fixture(scope="session")
def report(
    test_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], suite.Report]:
    """What a version of the suite says of a revision, with all scenarios that it has for it."""

    @cache
    def run(version: str, revision: str) -> suite.Report:
        place = tmp_path_factory.mktemp("suite")
        options = ["--suite", "all", "--spec-version", revision]
        return suite.run(version, test_server, place, f"{version}-{revision}.yml", *options)

    return run


def tools_at(url: str) -> set[str]:
    """What a living server lists: some scenarios pass on a dead one, or without their tool."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    here = url.replace("localhost", "127.0.0.1")
    answer = httpx.post(here, json=body, timeout=60, trust_env=False)  # a cold start is in it
    listed: dict[str, Any] = answer.raise_for_status().json()["result"]
    return {tool["name"] for tool in listed["tools"]}
