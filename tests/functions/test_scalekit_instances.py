"""Instances with Scalekit behind: a URL a user, or a URL a config with session tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests import events
from tests.functions.hosted import MAIL_TOOL, Hosted
from tests.world import ALICE, CALENDAR, GMAIL

if TYPE_CHECKING:
    from tests.infra.scalekit_support import Scalekit

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit) -> Hosted:
    return Hosted(monkeypatch, scalekit).deployed()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit) -> Hosted:
    return Hosted(monkeypatch, scalekit, "server").deployed()


def listed(url: str, token: str | None = None) -> int:
    headers = ACCEPT | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx.post(url, json=LIST, headers=headers, trust_env=False).status_code


def test_a_user_gets_the_same_url_every_time_and_it_is_scalekits(hosted: Hosted) -> None:
    first, second = hosted.ensure(), hosted.ensure()
    assert first["url"] == second["url"]
    assert first["url"].startswith(f"{hosted.scalekit.base}/mcp/")
    assert first["id"] == second["id"]
    assert listed(first["url"]) == 200
    assert hosted.ensure("bob")["url"] != first["url"]
    assert len(hosted.state()["instances"]) == 2


def test_scalekit_knows_a_user_by_hash_alone(hosted: Hosted) -> None:
    hosted.ensure("alice@example.com")
    known = {i["identifier"] for i in hosted.state()["instances"].values()}
    assert not any("alice" in identifier for identifier in known)


def test_the_url_is_nowhere_at_rest(hosted: Hosted) -> None:
    url = hosted.ensure()["url"]
    assert url.rsplit("/", 1)[1] not in repr(hosted.table.items)


def test_the_answer_says_how_each_connection_and_tool_stands(hosted: Hosted) -> None:
    hosted.connected()
    answer = hosted.ensure()
    assert [(c["connection"], c["connector"], c["status"]) for c in answer["connections"]] == [
        (GMAIL, "gmail", "ACTIVE"),
        (CALENDAR, "googlecalendar", "PENDING_AUTH"),
    ]
    ready = {tool["name"]: tool.get("reason") for tool in answer["tools"]}
    assert ready == {MAIL_TOOL: None, "googlecalendar_create_event": "not_connected"}
    hosted.scalekit.control("account", connection=GMAIL, identifier=ALICE, status="EXPIRED")
    assert hosted.ensure()["tools"][0]["reason"] == "expired"


def test_instances_are_listed_looked_at_and_only_by_their_user(hosted: Hosted) -> None:
    mine = hosted.ensure()
    found = hosted.call("ensure_instance", "GET /instances", caller=events.jwt("alice"))
    assert [i["id"] for i in found.json["instances"]] == [mine["id"]]
    path = {"id": mine["id"]}
    route = "GET /instances/{id}"
    looked = hosted.call("ensure_instance", route, path=path, caller=events.jwt("alice"))
    assert looked.json["url"] == mine["url"]
    others = hosted.call("ensure_instance", route, path=path, caller=events.jwt("bob"))
    assert others.code == "not_found"


def test_rotating_ends_the_old_url_at_once_and_keeps_the_instance(hosted: Hosted) -> None:
    before = hosted.ensure()
    rotated = hosted.on_instance("POST", tail="/rotate", body={})
    assert rotated.status == 200, rotated.body
    assert rotated.json["id"] == before["id"]
    assert rotated.json["url"] != before["url"]
    assert listed(before["url"]) == 404
    assert listed(rotated.json["url"]) == 200
    assert [e.type.value for e in hosted.events.told] == ["UrlRotated"]


def test_a_grace_is_refused_in_words_and_the_url_lives(hosted: Hosted) -> None:
    before = hosted.ensure()
    refused = hosted.on_instance("POST", tail="/rotate", body={"grace_seconds": 60})
    assert refused.code == "unsupported_by_backend"
    assert "grace_seconds 0" in refused.json["detail"]
    assert listed(before["url"]) == 200


def test_deleting_ends_the_url_and_ensuring_again_makes_another(hosted: Hosted) -> None:
    before = hosted.ensure()
    assert hosted.on_instance("DELETE").status == 204
    assert listed(before["url"]) == 404
    again = hosted.ensure()
    assert again["id"] != before["id"]
    assert again["url"] != before["url"]


def test_a_deletion_between_leaves_no_url_behind(hosted: Hosted) -> None:
    """Ours is deleted while Scalekit makes its own: that would be a URL that nobody could end."""
    instance = hosted.parts.instances().ensure("email-calendar-assistant", ALICE)
    hosted.parts.instances().records.delete(instance)
    with pytest.raises(Exception, match="no such MCP instance"):
        hosted.parts.instances().url(instance)
    assert hosted.state()["instances"] == {}


def test_a_per_user_url_takes_no_session_token(hosted: Hosted) -> None:
    refused = hosted.on_instance("POST", tail="/tokens", body={})
    assert refused.code == "unsupported_by_backend"
    assert "ScalekitMode=server" in refused.json["detail"]


def test_a_configs_url_opens_with_a_session_token_alone(servers: Hosted) -> None:
    servers.connected()
    servers.connected(connection=CALENDAR)
    url = servers.ensure()["url"]
    assert url == servers.ensure("bob")["url"]
    assert listed(url) == 401
    issued = servers.on_instance("POST", tail="/tokens", body={"expires_in_seconds": 120})
    assert issued.status == 200, issued.body
    assert issued.json["url"] == url
    assert listed(url, issued.json["token"]) == 200
    assert issued.json["access"] == "FULL"
    assert servers.state()["instances"] == {}


def test_a_session_token_can_be_limited_to_reading(servers: Hosted) -> None:
    servers.connected()
    servers.connected(connection=CALENDAR)
    issued = servers.on_instance("POST", tail="/tokens", body={"access": "READ_ONLY"}).json
    headers = ACCEPT | {"authorization": f"Bearer {issued['token']}"}
    answer = httpx.post(issued["url"], json=LIST, headers=headers, trust_env=False)
    assert MAIL_TOOL in answer.text
    assert "googlecalendar_create_event" not in answer.text


def test_scalekit_gives_no_token_before_all_is_connected(servers: Hosted) -> None:
    servers.connected()
    refused = servers.on_instance("POST", tail="/tokens", body={})
    assert (refused.status, refused.code) == (409, "not_connected")
    assert "connect_url" in refused.json["detail"]


@pytest.mark.parametrize(
    ("verb", "tail"),
    [("GET", "/tokens"), ("DELETE", "/tokens/{token_id}"), ("POST", "/rotate")],
)
def test_what_scalekit_cannot_do_is_said(servers: Hosted, verb: str, tail: str) -> None:
    refused = servers.on_instance(verb, tail=tail)
    assert (refused.status, refused.code) == (400, "unsupported_by_backend")


def test_an_environment_without_urls_of_configs_is_for_an_operator(servers: Hosted) -> None:
    servers.scalekit.control("config", server_urls=False)
    answer = servers.call(
        "ensure_instance",
        "POST /instances",
        caller=events.jwt("alice"),
        body={"config": "email-calendar-assistant"},
    )
    assert (answer.status, answer.code) == (503, "misconfigured")
    assert "ScalekitMode=instance" in answer.json["detail"]


def test_forgetting_a_user_takes_accounts_and_urls_from_scalekit(hosted: Hosted) -> None:
    url = hosted.ensure()["url"]
    hosted.connected()
    hosted.connected("bob")
    erased = hosted.call(
        "oauth_callback", "DELETE /users/{user}", path={"user": "alice"}, caller=events.iam()
    )
    assert erased.status == 200, erased.body
    counts = erased.json["erased"]
    assert (counts["accounts"], counts["instances"]) == (1, 2 - 1)
    assert listed(url) == 404
    state = hosted.state()
    assert len(state["accounts"]) == len(state["instances"]) == 1
    assert ALICE not in repr(hosted.table.items)
