"""Session tokens on the deployed stack: what they open, for how long, and what ends them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.e2e import wire
from tests.e2e.consent import CALENDAR, connect
from tests.e2e.people import CONFIG

if TYPE_CHECKING:
    from mcp import Client

    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("Scalekit signs its own, which it neither lists nor revokes")

_MODES = ["auto", "legacy"]
_LUNCH = {
    "summary": "Lunch by token",
    "start_datetime": "2026-12-02T12:00:00+01:00",
    "event_duration_minutes": 45,
}


def _status(api: Api, made: dict[str, Any]) -> int:
    return wire.post(api, made["url"], "tools/list", token=made["token"]).status_code


@pytest.mark.parametrize("mode", _MODES)
def test_the_official_client_lists_and_calls_with_a_token_alone(mode: str, user: User) -> None:
    connect(user)
    made = user.token_for_mcp()

    async def use(client: Client) -> None:
        mails = await client.call_tool("gmail_fetch_mails", {"max_results": 2})
        assert mails.is_error is False
        assert len(mails.structured_content["messages"]) == 2

    wire.with_client(made["url"], use, mode, made["token"])


@pytest.mark.parametrize("mode", _MODES)
def test_read_only_access_neither_sees_nor_calls_what_writes(mode: str, user: User) -> None:
    connect(user, CALENDAR)
    made = user.token_for_mcp(access="READ_ONLY")

    async def use(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["gmail_fetch_mails"]
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("googlecalendar_create_event", _LUNCH)

    wire.with_client(made["url"], use, mode, made["token"])
    full = user.token_for_mcp()
    made_event = wire.post_call(
        user.api, full["url"], "googlecalendar_create_event", _LUNCH, full["token"]
    )
    assert made_event["isError"] is False


def test_a_token_that_a_service_asked_for_is_the_users(user: User, api: Api) -> None:
    connect(user)
    ensured = api.as_service("POST", f"/users/{user.id}/instances", {"config": CONFIG}).json()
    path = f"/users/{user.id}/instances/{ensured['id']}/tokens"
    made = api.as_service("POST", path, {"expires_in_seconds": 60}).json()
    arguments = {"max_results": 1}
    result = wire.post_call(api, made["url"], "gmail_fetch_mails", arguments, made["token"])
    assert result["isError"] is False


def test_a_revoked_token_is_refused_at_once_by_the_same_warm_function(user: User, api: Api) -> None:
    first, second = user.token_for_mcp(), user.token_for_mcp()
    for _ in range(3):
        assert [_status(api, made) for made in (first, second)] == [200, 200]
    path = f"/instances/{user.ensure()['id']}/tokens/{first['id']}"
    assert user.call("DELETE", path).status_code == 204
    for _ in range(3):
        assert [_status(api, made) for made in (first, second)] == [401, 200]


def test_a_token_ends_with_its_time_though_the_table_has_not_deleted_it(
    user: User, api: Api, deployment: Deployment
) -> None:
    made = user.token_for_mcp()
    assert _status(api, made) == 200
    instance = user.ensure()["id"]
    over = int(time.time())
    deployment.change(f"INSTANCE#{instance}", f"TOKEN#{made['id']}", expires_at=over)
    assert _status(api, made) == 401
    assert user.call("GET", f"/instances/{instance}/tokens").json() == {"tokens": []}


@pytest.mark.parametrize("ended", ["instance", "user"])
def test_a_token_ends_with_its_instance_and_with_its_user(ended: str, user: User, api: Api) -> None:
    made = user.token_for_mcp()
    assert _status(api, made) == 200
    if ended == "instance":
        user.call("DELETE", f"/instances/{user.ensure()['id']}")
    else:
        erased = api.as_service("DELETE", f"/users/{user.id}").json()["erased"]
        assert erased["session_tokens"] == 1
    assert _status(api, made) == 401
    user.ensure()
    assert _status(api, made) == 401


def test_a_token_reaches_its_own_users_account_and_nobody_elses(
    user: User, other: User, api: Api
) -> None:
    connect(user)
    own, theirs = user.token_for_mcp(), other.token_for_mcp()
    for _ in range(3):  # in the same warm function
        for made, fails in ((own, False), (theirs, True)):
            arguments = {"max_results": 1}
            result = wire.post_call(api, made["url"], "gmail_fetch_mails", arguments, made["token"])
            assert result["isError"] is fails


def test_nobody_revokes_or_lists_anothers_tokens(user: User, other: User, api: Api) -> None:
    made = user.token_for_mcp()
    path = f"/instances/{user.ensure()['id']}/tokens"
    assert other.call("GET", path).status_code == 404
    assert other.call("DELETE", f"{path}/{made['id']}").status_code == 404
    own = f"/instances/{other.ensure()['id']}/tokens/{made['id']}"
    assert other.call("DELETE", own).status_code == 404
    assert api.as_service("DELETE", f"/users/{other.id}{path}/{made['id']}").status_code == 404
    assert _status(api, made) == 200


def test_all_bad_bearers_are_answered_alike(user: User, api: Api) -> None:
    made = user.token_for_mcp()
    revoked = user.token_for_mcp()
    user.call("DELETE", f"/instances/{user.ensure()['id']}/tokens/{revoked['id']}")
    good = made["token"]
    bad = [
        *(revoked["token"], good[:-1], good + "A", "x", "mvt_" + "A" * 98, user.token),
        user.ensure()["url"].rsplit("/", 1)[1],
    ]
    got = [wire.post(api, made["url"], "tools/list", token=token) for token in bad]
    assert {(answer.status_code, answer.text) for answer in got} == {(401, got[0].text)}
    challenges = {answer.headers["www-authenticate"] for answer in got}
    assert len(challenges) == 1
    assert 'error="invalid_token"' in challenges.pop()
    nothing = wire.post(api, made["url"], "tools/list")
    assert nothing.status_code == 401
    assert "error" not in nothing.headers["www-authenticate"]


def test_a_token_in_the_query_or_beside_the_urls_key_is_refused(user: User, api: Api) -> None:
    made, url = user.token_for_mcp(), user.ensure()["url"]
    query = f"?access_token={made['token']}"
    assert wire.post(api, made["url"] + query, "tools/list").status_code == 400
    assert wire.post(api, made["url"] + query, "tools/list", token=made["token"]).status_code == 400
    assert wire.post(api, url, "tools/list", token=made["token"]).status_code == 400
    assert wire.post(api, url, "tools/list").status_code == 200
