"""An instance's MCP server, as the official client and as odd ones meet it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.e2e import wire
from tests.e2e.consent import CALENDAR, GMAIL, connect, start
from tests.e2e.google import ALICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp import Client

    from tests.e2e.api import Api
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("Scalekit serves MCP")

_TOOLS = ["gmail_fetch_mails", "googlecalendar_create_event"]
_MODES = ["auto", "legacy"]
_LUNCH = {
    "summary": "Lunch",
    "start_datetime": "2026-12-01T12:00:00+01:00",
    "event_duration_minutes": 45,
}


@pytest.mark.parametrize("mode", _MODES)
def test_the_official_client_lists_and_calls(mode: str, user: User) -> None:
    connect(user)
    connect(user, CALENDAR)

    async def use(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == _TOOLS
        mails = await client.call_tool("gmail_fetch_mails", {"max_results": 2})
        assert mails.is_error is False
        assert len(mails.structured_content["messages"]) == 2
        event = await client.call_tool("googlecalendar_create_event", _LUNCH | {"location": mode})
        assert event.is_error is False
        assert event.structured_content["event"]["summary"] == "Lunch"

    wire.with_client(user.ensure()["url"], use, mode)


def test_one_users_server_never_reaches_another_users_account(
    user: User, other: User, api: Api
) -> None:
    connect(user, account=ALICE)
    url, theirs = user.ensure()["url"], other.ensure()["url"]
    call = {"query": "from:bob", "max_results": 1}
    for _ in range(3):  # in the same warm function
        assert wire.post_call(api, url, "gmail_fetch_mails", call)["isError"] is False
        assert wire.post_call(api, theirs, "gmail_fetch_mails", call)["isError"] is True


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
def test_methods_but_post_are_answered_405(method: str, user: User, api: Api) -> None:
    answer = api.send(method, user.ensure()["url"].removeprefix(api.url))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_all_bad_urls_are_answered_alike(user: User, other: User, api: Api) -> None:
    living, deleted, rotated = user.ensure()["url"], other.ensure(), user.ensure()["url"]
    other.call("DELETE", f"/instances/{deleted['id']}")
    user.call("POST", f"/instances/{user.ensure()['id']}/rotate")
    flipped = living[:-1] + ("A" if living[-1] != "A" else "B")
    keys = [
        *(url.rsplit("/", 1)[1] for url in (deleted["url"], rotated, flipped)),
        *("x", "mvk_", "mvk_" + "A" * 92, "a" * 3000, "%00", "%F0%9F%98%80", "..%5C"),
    ]
    answers = [wire.post(api, f"{api.url}/mcp/{key}", "tools/list") for key in keys]
    # What belongs to one request: API Gateway's id of it, and the clock.
    varying = {"date", "apigw-requestid"}
    seen = {
        (
            answer.status_code,
            answer.content,
            tuple(sorted((k, v) for k, v in answer.headers.items() if k not in varying)),
        )
        for answer in answers
    }
    assert len(seen) == 1
    assert answers[0].status_code == 404
    assert "www-authenticate" not in answers[0].headers


def test_a_rotated_url_dies_at_once(user: User, api: Api) -> None:
    old = user.ensure()
    new = user.call("POST", f"/instances/{old['id']}/rotate").json()["url"]
    assert wire.post(api, old["url"], "tools/list").status_code == 404
    assert wire.list_tools(new) == _TOOLS


def test_a_rotated_url_lives_on_for_its_grace_and_no_longer(user: User, api: Api) -> None:
    old = user.ensure()
    rotate = f"/instances/{old['id']}/rotate"
    new = user.call("POST", rotate, {"grace_seconds": 3600}).json()["url"]
    assert wire.post(api, old["url"], "tools/list").status_code == 200
    assert wire.post(api, new, "tools/list").status_code == 200
    newest = user.call("POST", rotate).json()["url"]
    assert wire.post(api, old["url"], "tools/list").status_code == 404
    assert wire.post(api, new, "tools/list").status_code == 404
    assert wire.post(api, newest, "tools/list").status_code == 200


def test_deleting_an_instance_kills_its_url_for_good(user: User, api: Api) -> None:
    made = user.ensure()
    assert wire.post(api, made["url"], "tools/list").status_code == 200
    user.call("DELETE", f"/instances/{made['id']}")
    assert wire.post(api, made["url"], "tools/list").status_code == 404
    user.ensure()
    assert wire.post(api, made["url"], "tools/list").status_code == 404


@pytest.mark.parametrize("mode", _MODES)
def test_a_tool_without_an_account_gives_a_link_that_works(mode: str, user: User, api: Api) -> None:
    url = user.ensure()["url"]
    refused = wire.call(url, "gmail_fetch_mails", mode=mode)
    assert refused.is_error is True
    said = wire.text(refused)
    assert "Gmail is not ready for this" in said
    link = next(word for word in said.split() if word.startswith(f"{api.url}/connect/"))
    assert user.verify(start(api, link).allow().authorization()).status_code == 200
    assert wire.call(url, "gmail_fetch_mails", mode=mode).is_error is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"max_results": "many"}, "max_results"),
        ({"max_results": -1}, "max_results"),
        ({"user_id": "bob@example.com"}, "user_id"),
        ({"query": ["a"]}, "query"),
    ],
)
def test_wrong_arguments_are_explained_and_nothing_is_sent(
    arguments: dict[str, Any], says: str, user: User, api: Api
) -> None:
    result = wire.post_call(api, user.ensure()["url"], "gmail_fetch_mails", arguments)
    assert result["isError"] is True
    # Nobody is connected: the arguments are looked at first.
    assert says in result["content"][0]["text"]
    assert "/connect/" not in result["content"][0]["text"]


@pytest.mark.parametrize("tool", ["gmail_send_message", "nope", "a" * 5000, "gmail\0", ""])
def test_a_tool_that_is_not_exposed_is_unknown_whatever_the_catalogue_has(
    tool: str, user: User
) -> None:
    async def use(client: Client) -> None:
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool(tool, {})
        assert [tool.name for tool in (await client.list_tools()).tools] == _TOOLS

    for mode in _MODES:
        wire.with_client(user.ensure()["url"], use, mode)


def test_a_second_credential_beside_the_url_is_refused(user: User, api: Api) -> None:
    path = user.ensure()["url"].removeprefix(api.url)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert api.send("POST", path, body).status_code == 200
    for token in ("garbage", user.token):
        assert api.send("POST", path, body, token=token).status_code == 400


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://127.0.0.1:8500", "http://127.0.0.1:8400.evil"],
)
def test_a_page_of_any_origin_is_refused(origin: str, user: User, api: Api) -> None:
    path = user.ensure()["url"].removeprefix(api.url)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = api.send("POST", path, body, headers={"origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "method": "x"}', 400),
        (b"[" * 100_000, 400),
        (b'"' + b"a" * 2_000_000 + b'"', 413),
    ],
)
def test_hostile_bodies_are_refused_in_json_rpc(
    content: bytes, status: int, user: User, api: Api
) -> None:
    answer = api.send("POST", user.ensure()["url"].removeprefix(api.url), content=content)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] in (-32700, -32600)


def test_nothing_of_a_callers_headers_is_passed_on(user: User, api: Api, google: Any) -> None:
    connect(user)
    marks = {"cookie": "mark=e2e-mark", "x-api-key": "e2e-mark", "x-custom": "e2e-mark"}
    marks |= {"x-forwarded-for": "e2e-mark", "traceparent": "e2e-mark", "user-agent": "e2e-mark"}
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails", "arguments": {"query": "e2e-marked-search"}},
    }
    path = user.ensure()["url"].removeprefix(api.url)
    assert api.send("POST", path, body, headers=marks).json()["result"]["isError"] is False
    rows = [row for row in google.log() if "e2e-marked-search" in row["query"]]
    assert rows
    assert "e2e-mark" not in json.dumps([row["headers"] for row in rows])


def test_a_config_decides_what_its_server_lists(user: User, new_config: Callable[..., str]) -> None:
    config = new_config(gmail=["gmail_list_labels"], calendar=["googlecalendar_list_events"])
    url = user.ensure(config)["url"]
    for mode in _MODES:
        assert wire.list_tools(url, mode) == ["gmail_list_labels", "googlecalendar_list_events"]
    assert user.ensure()["url"] != url
    assert user.connections()[GMAIL]["status"] == "PENDING_AUTH"
