"""Fixtures: the deployed stack, and each client of the README's table walked through it once."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.clients import readme
from tests.clients.programs import Outcome, run
from tests.clients.wiretap import Exchange, tapping
from tests.e2e.conftest import api, deployment, google
from tests.e2e.consent import CALENDAR, connect
from tests.e2e.people import User, sign_up

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment

__all__ = ["api", "deployment", "google"]

READ: Final = "gmail_fetch_mails"
WRITE: Final = "googlecalendar_create_event"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/clients/" in str(item.path):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@dataclass(frozen=True)
class Walk:
    """What a client got, and what it sent."""

    client: str
    summary: str  # of the event that it made
    refused: Outcome
    read: Outcome
    written: Outcome
    sent: list[Exchange]


@pytest.fixture(scope="session")
def connected(deployment: Deployment, api: Api) -> User:
    user = sign_up(deployment, api)
    connect(user)
    connect(user, CALENDAR)
    return user


@pytest.fixture(scope="session")
def newcomer(deployment: Deployment, api: Api) -> User:
    return sign_up(deployment, api)


@pytest.fixture(scope="module", params=readme.programs())
def walk(
    request: pytest.FixtureRequest,
    connected: User,
    newcomer: User,
    api: Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> Walk:
    """Three runs of a client's program, all at once: without an account, to read, to write."""
    name = request.param
    summary = f"made by {name} {uuid.uuid4().hex[:8]}"
    event = {"start_datetime": "2026-12-01T12:00:00+01:00", "event_duration_minutes": 45}
    calls: list[tuple[User, str, dict[str, Any]]] = [
        (newcomer, READ, {}),
        (connected, READ, {"max_results": 2}),
        (connected, WRITE, {"summary": summary, **event}),
    ]
    with tapping(api.url) as tap, ThreadPoolExecutor() as pool:

        def call(user: User, tool: str, arguments: dict[str, Any]) -> Outcome:
            env = {"MCP_URL": tap.through(api.url, user.ensure()["url"])}
            place = tmp_path_factory.mktemp("client")
            return run(name, readme.programs()[name], place, env, tool, json.dumps(arguments))

        outcomes = [pool.submit(call, *each) for each in calls]
        refused, read, written = (each.result() for each in outcomes)
    return Walk(name, summary, refused, read, written, tap.seen)
