"""ScalekitMode=server: one URL a config, which opens nothing without one of Scalekit's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from infra.local.deployment import SCALEKIT
from tests.e2e import canaries
from tests.e2e.api import problem
from tests.e2e.consent import CALENDAR, GMAIL, connect
from tests.e2e.google import BOB
from tests.e2e.scalekit import later, state
from tests.e2e.wire import call, list_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.deployed import Deployment
    from tests.e2e.people import User

pytestmark = pytest.mark.scalekit_only

FETCH, CREATE = "gmail_fetch_mails", "googlecalendar_create_event"
LUNCH = {"summary": "Lunch", "start_datetime": "2026-12-01T12:00:00+01:00"}


@pytest.fixture(scope="module", autouse=True)
def _server_mode(deployment: Deployment) -> Iterator[None]:
    """As a deployment with that parameter is; the functions are afterwards as they were."""
    functions = ("EnsureInstanceFunction", "OAuthCallbackFunction")
    before = {name: deployment.renew(name, SCALEKIT_MODE="server") for name in functions}
    yield
    for name, variables in before.items():
        deployment.renew(name, **variables)


@pytest.fixture
def connected(new_user: Callable[[], User]) -> Callable[[str], User]:
    def make(account: str) -> User:
        user = new_user()
        for connection in (GMAIL, CALENDAR):
            connect(user, connection, account)
        return user

    return make


def token_for(user: User, **wanted: Any) -> dict[str, Any]:
    issued = user.token_for_mcp(**wanted)
    canaries.remember("session token", issued["token"])
    return issued


def refused(url: str, token: str | None = None) -> int:
    """The status of a request that gets no MCP."""
    headers = {"accept": "application/json, text/event-stream"}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return httpx.post(url, json=message, headers=headers, trust_env=False).status_code


def test_a_token_comes_once_every_connection_is_active_and_opens_the_configs_url(
    user: User, other: User
) -> None:
    made = user.ensure()
    url, path = made["url"], f"/instances/{made['id']}/tokens"
    assert url.startswith(f"{SCALEKIT}/mcp/")
    assert other.ensure()["url"] == url
    assert refused(url) == 401
    for connection in (GMAIL, CALENDAR):
        assert problem(user.call("POST", path, {})) == (409, "not_connected")
        assert connect(user, connection)["status"] == "ACTIVE"
    issued = token_for(user)
    assert (issued["url"], issued["access"]) == (url, "FULL")
    assert sorted(list_tools(url, token=issued["token"])) == [FETCH, CREATE]
    assert not call(url, FETCH, {"max_results": 3}, token=issued["token"]).is_error
    assert not call(url, CREATE, LUNCH, token=issued["token"]).is_error
    assert user.key not in {each["identifier"] for each in state()["instances"].values()}


def test_a_token_that_only_reads_neither_shows_nor_calls_what_writes(
    connected: Callable[[str], User],
) -> None:
    issued = token_for(connected("alice@example.com"), access="READ_ONLY")
    assert list_tools(issued["url"], token=issued["token"]) == [FETCH]
    assert not call(issued["url"], FETCH, {"max_results": 3}, token=issued["token"]).is_error
    assert call(issued["url"], CREATE, LUNCH, token=issued["token"]).is_error


def test_each_token_acts_for_its_own_user(connected: Callable[[str], User]) -> None:
    tokens = [token_for(connected(account)) for account in ("alice@example.com", BOB)]
    assert tokens[0]["url"] == tokens[1]["url"]
    alices, bobs = (
        call(t["url"], FETCH, {"max_results": 9}, token=t["token"]).structured_content
        for t in tokens
    )
    assert alices["messages"]
    assert alices != bobs


def test_a_token_ends_by_itself_and_was_never_good_elsewhere(
    connected: Callable[[str], User], new_config: Callable[..., str]
) -> None:
    user = connected("alice@example.com")
    issued = token_for(user, expires_in_seconds=60)
    elsewhere = user.ensure(new_config(gmail=[FETCH]))["url"]
    assert refused(elsewhere, issued["token"]) == 401
    with later(61):
        assert refused(issued["url"], issued["token"]) == 401
    assert list_tools(issued["url"], token=issued["token"])


def test_there_is_nothing_to_rotate_list_or_revoke(user: User) -> None:
    path = f"/instances/{user.ensure()['id']}"
    for method, tail in (("POST", "/rotate"), ("GET", "/tokens"), ("DELETE", "/tokens/tok_x")):
        assert problem(user.call(method, path + tail)) == (400, "unsupported_by_backend")
