"""Fixtures: the deployed stack, and each client of the README's table walked through it."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.clients import readme
from tests.clients.programs import Outcome, run
from tests.clients.wiretap import Exchange, Wiretap, tapping
from tests.e2e.conftest import api, deployment, google, issuer, new_user, user
from tests.e2e.consent import CALENDAR, connect
from tests.e2e.people import User, sign_up

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment

__all__ = ["api", "deployment", "google", "issuer", "new_user", "user"]

READ: Final = "gmail_fetch_mails"
WRITE: Final = "googlecalendar_create_event"
OAUTH: Final = "OAuth"  # an access token is for the API's own URL, so nobody can stand between


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/clients/" in str(item.path):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


@dataclass(frozen=True)
class Walk:
    """What a client got with a credential, and what it sent."""

    client: str
    credential: str
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


def pointed_at(user: User, tap: Wiretap, credential: str = "URL key") -> dict[str, str]:
    """The environment that points a program at a user's server."""
    if credential == "URL key":
        return {"MCP_URL": tap.through(user.ensure()["url"])}
    issued = user.token_for_mcp()
    return {"MCP_URL": tap.through(issued["url"]), "MCP_TOKEN": issued["token"]}


@pytest.fixture(
    scope="module",
    params=[
        (name, way)
        for name, row in readme.table().items()
        for way in row.credentials
        if way != OAUTH
    ],
    ids=" with ".join,
)
def walk(
    request: pytest.FixtureRequest,
    connected: User,
    deployment: Deployment,
    api: Api,
    tmp_path_factory: pytest.TempPathFactory,
) -> Walk:
    """Three runs of a client's program, all at once: without an account, to read, to write."""
    name, credential = request.param
    summary = f"made by {name} {uuid.uuid4().hex[:8]}"
    event = {"start_datetime": "2026-12-01T12:00:00+01:00", "event_duration_minutes": 45}
    newcomer = sign_up(deployment, api)  # of each walk: a user gets so many connect links at a time
    calls: list[tuple[User, str, dict[str, Any]]] = [
        (newcomer, READ, {}),
        (connected, READ, {"max_results": 2}),
        (connected, WRITE, {"summary": summary, **event}),
    ]
    with tapping(api.url) as tap, ThreadPoolExecutor() as pool:

        def call(user: User, tool: str, arguments: dict[str, Any]) -> Outcome:
            env = pointed_at(user, tap, credential)
            place = tmp_path_factory.mktemp("client")
            return run(name, readme.programs()[name], place, env, tool, json.dumps(arguments))

        outcomes = [pool.submit(call, *each) for each in calls]
        refused, read, written = (each.result() for each in outcomes)
    return Walk(name, credential, summary, refused, read, written, tap.seen)
