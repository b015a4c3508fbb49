"""MCP behind the fake Scalekit's URLs, with the official client; session tokens; running a tool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.infra.scalekit_support import ALICE, CALENDAR, MAIL, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.infra.scalekit_support import Json, Scalekit

EXPOSED = [*MAIL["tools"], *CALENDAR["tools"]]
INVALID = (400, "INVALID_ARGUMENT")
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def use[T](url: str, act: Callable[[Client], Coroutine[Any, Any, T]], bearer: str = "") -> T:
    async def go() -> T:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await act(client)

    return asyncio.run(go())


def names(url: str, bearer: str = "") -> list[str]:
    async def act(client: Client) -> list[str]:
        return [tool.name for tool in (await client.list_tools()).tools]

    return sorted(use(url, act, bearer))


def call(url: str, tool: str, arguments: Json, bearer: str = "") -> Any:
    async def act(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    return use(url, act, bearer)


def post(scalekit: Scalekit, url: str, authorization: str = "") -> int:
    """The HTTP status of a bare request."""
    headers = {"authorization": authorization, "accept": "application/json, text/event-stream"}
    return scalekit.browser.post(url, json=LIST, headers=headers).status_code


def test_an_instance_lists_the_configs_tools_whether_or_not_they_are_connected(
    scalekit: Scalekit,
) -> None:
    config = scalekit.config()
    url = scalekit.instance()["url"]
    assert names(url) == sorted(EXPOSED)
    body = {"connection_tool_mappings": [MAIL]}
    scalekit.ok("PUT", f"/mcp/configs/{config['id']}", body)
    assert names(url) == sorted(MAIL["tools"]), "an update reaches instances that there are"


def test_no_tools_in_a_mapping_are_all_of_them(scalekit: Scalekit) -> None:
    scalekit.config("assistant", {"connection_name": "MY_GMAIL"})
    assert len(names(scalekit.instance()["url"])) > 30


def test_a_call_runs_with_its_own_users_account(scalekit: Scalekit) -> None:
    scalekit.config()
    url = scalekit.instance()["url"]
    before = call(url, "gmail_fetch_mails", {"max_results": 2})
    assert before.is_error
    assert "not connected" in before.content[0].text
    scalekit.connect()
    after = call(url, "gmail_fetch_mails", {"max_results": 2})
    assert len(after.structured_content["messages"]) == 2
    others = call(scalekit.instance(user="u2")["url"], "gmail_fetch_mails", {"max_results": 2})
    assert others.is_error


def test_a_tool_that_is_not_exposed_is_refused(scalekit: Scalekit) -> None:
    scalekit.config()
    scalekit.connect()
    refusal = call(scalekit.instance()["url"], "gmail_list_threads", {})
    assert refusal.is_error


def test_urls_die_with_their_instance_and_its_config(scalekit: Scalekit) -> None:
    config = scalekit.config()
    one, two = scalekit.instance(), scalekit.instance(user="u2")
    assert post(scalekit, one["url"]) == 200
    assert post(scalekit, one["url"][:-1]) == 404
    scalekit.ok("DELETE", f"/mcp/instances/{one['id']}")
    assert post(scalekit, one["url"]) == 404
    scalekit.ok("DELETE", f"/mcp/configs/{config['id']}")
    assert post(scalekit, two["url"]) == 404


@pytest.fixture
def connected(scalekit: Scalekit) -> Json:
    """A config whose two connections are connected for u1."""
    config = scalekit.config()
    for connection in ("MY_GMAIL", "MY_CALENDAR"):
        scalekit.connect(connection)
    return config


def test_a_session_token_opens_its_own_server_and_no_other(
    scalekit: Scalekit, connected: Json
) -> None:
    url, token = connected["mcp_server_url"], scalekit.token(connected)
    assert names(url, token) == sorted(EXPOSED)
    other = scalekit.config("other")["mcp_server_url"]
    access = scalekit.http.headers["authorization"]
    for place, authorization in ((url, ""), (url, access), (other, f"Bearer {token}")):
        assert post(scalekit, place, authorization) == 401
    assert (
        scalekit.http.get(
            "/api/v1/mcp/configs", headers={"authorization": f"Bearer {token}"}
        ).status_code
        == 401
    )


def test_a_session_token_ends(scalekit: Scalekit, connected: Json) -> None:
    bearer = f"Bearer {scalekit.token(connected, expiry='60s')}"
    assert post(scalekit, connected["mcp_server_url"], bearer) == 200
    scalekit.control("config", clock_skew=61)
    assert post(scalekit, connected["mcp_server_url"], bearer) == 401


def test_read_only_hides_and_refuses_what_writes(scalekit: Scalekit, connected: Json) -> None:
    url, token = connected["mcp_server_url"], scalekit.token(connected, access_level="READ_ONLY")
    assert names(url, token) == ["gmail_fetch_mails", "googlecalendar_list_events"]
    mail = {"to": "bob@example.com", "subject": "Hi", "body": "Hi"}
    assert call(url, "gmail_send_message", mail, token).is_error


@pytest.mark.parametrize(
    "change",
    [{"expiry": "59s"}, {"expiry": "86401s"}, {"expiry": "90.5s"}, {"access_level": "read_only"}],
)
def test_a_session_token_has_limits(
    scalekit: Scalekit, connected: Json, change: dict[str, str]
) -> None:
    body = {"identifier": "u1", **change}
    assert refused(scalekit.call("POST", f"/mcp/configs/{connected['id']}/tokens", body)) == INVALID


def test_a_session_token_needs_every_connection_of_its_config(scalekit: Scalekit) -> None:
    config = scalekit.config()
    path = f"/mcp/configs/{config['id']}/tokens"
    scalekit.connect()
    assert refused(scalekit.call("POST", path, {"identifier": "u1"})) == INVALID
    scalekit.connect("MY_CALENDAR")
    scalekit.ok("POST", path, {"identifier": "u1"})
    scalekit.control("account", connection="MY_GMAIL", identifier="u1", status="EXPIRED")
    assert refused(scalekit.call("POST", path, {"identifier": "u1"})) == INVALID


def test_a_connection_has_a_server_of_its_own(scalekit: Scalekit) -> None:
    scalekit.connect()
    issued = scalekit.ok("POST", "/mcp/connections/MY_GMAIL/tokens", {"identifier": "u1"})
    assert len(names(f"{scalekit.base}/mcp/v3/connections/MY_GMAIL", issued["token"])) > 30


def test_a_grant_that_ended_at_the_provider_expires_the_account(scalekit: Scalekit) -> None:
    scalekit.config()
    scalekit.connect()
    url = scalekit.instance()["url"]
    down = {"path": "oauth2.googleapis.com/token", "status": 503}
    scalekit.google_control("config", fail=[down])
    scalekit.google_control("expire")
    assert call(url, "gmail_fetch_mails", {}).is_error
    assert scalekit.status() == "ACTIVE", "an outage ends no grant"
    assert not call(url, "gmail_fetch_mails", {}).is_error
    scalekit.google_control("revoke_user", email=ALICE)
    assert call(url, "gmail_fetch_mails", {}).is_error
    assert scalekit.status() == "EXPIRED"


def test_a_tool_runs_over_rest(scalekit: Scalekit) -> None:
    scalekit.connect()
    body = {
        "tool_name": "gmail_fetch_mails",
        "connector": "MY_GMAIL",
        "identifier": "u1",
        "params": {"max_results": 2},
    }
    answer = scalekit.ok("POST", "/execute_tool", body)
    assert len(answer["data"]["messages"]) == 2
    assert answer["execution_id"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tool_name": "gmail_send_mail"}, (404, "RESOURCE_NOT_FOUND")),
        ({"identifier": "u2"}, (404, "RESOURCE_NOT_FOUND")),
        ({"tool_name": "googlecalendar_list_events"}, INVALID),
        ({"params": {"max_results": "two"}}, INVALID),
        ({"tool_input": {}}, INVALID),
    ],
)
def test_a_wrong_run_is_refused(
    scalekit: Scalekit, change: Json, expected: tuple[int, str]
) -> None:
    scalekit.connect()
    body = {"tool_name": "gmail_fetch_mails", "connector": "MY_GMAIL", "identifier": "u1"}
    assert refused(scalekit.call("POST", "/execute_tool", body | change)) == expected


def test_what_the_provider_refuses_is_a_tool_error(scalekit: Scalekit) -> None:
    scalekit.connect()
    body = {
        "tool_name": "gmail_get_message_by_id",
        "connector": "MY_GMAIL",
        "identifier": "u1",
        "params": {"message_id": "19a4c0ffffffffff"},
    }
    answer = scalekit.call("POST", "/execute_tool", body)
    assert refused(answer) == (500, "TOOL_ERROR")
    info = answer.json()["details"][0]["tool_error_info"]
    assert info["tool_error_code"] == "NOT_FOUND"
    scalekit.control("account", connection="MY_GMAIL", identifier="u1", status="DISCONNECTED")
    assert refused(scalekit.call("POST", "/execute_tool", body)) == (400, "FAILED_PRECONDITION")
