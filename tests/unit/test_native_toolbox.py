"""The tools of an instance: what is listed, and what a call says when it lacks something."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import FakeProviderHttp
from tests.world import ALICE, BOB, CALENDAR, GMAIL, URL, World
from valet.connectors.catalog import load_connector
from valet.models import Access, ConnectionTools, Secret, TokenSet
from valet.native import keys
from valet.native.provider import InvalidGrant, ProviderUnavailable, TokenGrant
from valet.tools.provider import ProviderResponse
from valet.tools.results import UnknownTool

if TYPE_CHECKING:
    from valet.native.toolbox import InstanceToolbox
    from valet.tools.results import ToolResult

SEND = "gmail_send_message"
MAIL = {"to": "bob@example.com", "subject": "canary-subject", "body": "canary-body"}
REFUSED = ProviderResponse(401)
LISTED = ["gmail_fetch_mails", "googlecalendar_create_event"]


def connected() -> World:
    world = World().deployed()
    world.connected()
    return world


def call(
    world: World, http: FakeProviderHttp, name: str = "gmail_fetch_mails", **arguments: Any
) -> ToolResult:
    """One call, as one request of a client makes it."""
    return world.toolbox(http).call_tool(name, arguments)


def names(world: World) -> list[str]:
    return [tool.name for tool in world.toolbox(FakeProviderHttp()).list_tools()]


def test_tools_are_listed_in_the_configs_order_whatever_the_accounts_are() -> None:
    world = World().deployed()
    listed = [names(world)]
    world.started().returns()
    listed.append(names(world))
    world.connected()
    listed.append(names(world))
    world.provider.answers = [InvalidGrant("x")]
    call(world, FakeProviderHttp(REFUSED))
    assert world.account().status == "EXPIRED"
    listed.append(names(world))
    world.disconnect.disconnect(ALICE, GMAIL)
    listed.append(names(world))
    assert listed == [LISTED] * 5


def test_the_revision_changes_with_the_list_and_not_with_the_accounts() -> None:
    world = World().deployed()
    before = world.toolbox(FakeProviderHttp()).revision
    world.connected()
    assert world.toolbox(FakeProviderHttp()).revision == before
    world.exposing(ConnectionTools(GMAIL))
    world.now.advance(minutes=1)
    assert world.toolbox(FakeProviderHttp()).revision != before


def test_listing_asks_neither_the_table_nor_the_provider() -> None:
    world = World().deployed()
    http = FakeProviderHttp()
    toolbox = world.toolbox(http)
    world.table.requests.clear()
    assert toolbox.list_tools() == toolbox.list_tools()
    assert (world.table.requests, http.sent, world.provider.calls) == ([], [], [])


def test_without_a_tool_list_all_tools_of_the_connector_are_listed_in_its_order() -> None:
    world = World().deployed().exposing(ConnectionTools(CALENDAR), ConnectionTools(GMAIL))
    assert names(world) == [
        *load_connector("googlecalendar").tools,
        *load_connector("gmail").tools,
    ]


@pytest.mark.parametrize("name", [SEND, "googlecalendar_list_events", "nope", "", "x" * 5000])
def test_a_tool_that_is_not_listed_is_unknown_though_the_catalogue_has_it(name: str) -> None:
    world = connected()
    http = FakeProviderHttp()
    with pytest.raises(UnknownTool) as refusal:
        call(world, http, name)
    assert len(str(refusal.value)) < 100
    assert http.sent == []


@pytest.mark.parametrize("declared_again_as", [None, "gmail"])
def test_a_removed_connection_takes_its_tools_calls_away_and_nothing_from_the_list(
    declared_again_as: str | None,
) -> None:
    world = connected()
    world.connected(connection=CALENDAR)
    world.configs.delete_connection(CALENDAR, owner="s/Cal")
    if declared_again_as:
        world.configs.put_connection(CALENDAR, declared_again_as, None, owner="o", replaces=False)
    assert names(world) == LISTED
    event = {"summary": "s", "start_datetime": "2026-12-01T09:00:00Z"}
    http = FakeProviderHttp({"messages": []})
    result = call(world, http, "googlecalendar_create_event", **event)
    assert (result.is_error, result.code) == (True, "connection_removed")
    assert "do not retry" in result.text
    assert result.connect_url is None, "there is nothing that a user could connect"
    assert http.sent == []
    assert (world.audited[0].connection, world.audited[0].outcome) == (
        CALENDAR,
        "connection_removed",
    )
    assert not call(world, http).is_error


def test_all_tools_of_a_removed_connection_stay_listed_though_the_config_names_none() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL))
    before = names(world)
    world.configs.delete_connection(GMAIL, owner="s/Gmail")
    assert names(world) == before == list(load_connector("gmail").tools)


def read_only(world: World, http: FakeProviderHttp) -> InstanceToolbox:
    toolbox = world.toolbox(http)
    return replace(toolbox, session=replace(toolbox.session, access=Access.READ_ONLY))


def test_read_only_access_lists_just_the_tools_that_are_annotated_so() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL), ConnectionTools(CALENDAR))
    listed = read_only(world, FakeProviderHttp()).list_tools()
    everything = world.toolbox(FakeProviderHttp()).list_tools()
    assert listed == [tool for tool in everything if tool.annotations["readOnlyHint"]]
    assert 0 < len(listed) < len(everything)


def test_to_read_only_access_a_writing_tool_is_unknown_and_a_reading_one_works() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL))
    world.connected()
    http = FakeProviderHttp({"messages": []})
    toolbox = read_only(world, http)
    for tool in load_connector("gmail").tools.values():
        if not tool.read_only:
            with pytest.raises(UnknownTool):
                toolbox.call_tool(tool.name, MAIL)
    with pytest.raises(UnknownTool):
        toolbox.call_tool("gmail_send_mail", MAIL)  # an alias
    assert http.sent == []
    assert not toolbox.call_tool("gmail_fetch_mails", {}).is_error


def test_an_alias_is_listed_and_called_under_its_own_name_only() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL, ("gmail_send_mail",)))
    world.connected()
    assert names(world) == ["gmail_send_mail"]
    http = FakeProviderHttp({"id": "m1"})
    assert not call(world, http, "gmail_send_mail", **MAIL).is_error
    assert http.sent[0].path == "/gmail/v1/users/me/messages/send"
    assert world.audited[0].tool == "gmail_send_mail"
    with pytest.raises(UnknownTool):
        call(world, http, SEND, **MAIL)


def test_a_call_is_made_with_the_users_own_token() -> None:
    world = connected()
    world.connected(BOB)
    theirs = world.account(BOB)
    tokens = TokenSet(Secret("at-bob"), Secret("rt-bob"), world.now() + timedelta(hours=1))
    world.grants.refreshed(theirs, tokens, theirs.scopes)
    http = FakeProviderHttp({"messages": []}, {"messages": []}, {"messages": []})
    for user in (ALICE, BOB, ALICE):
        assert not world.toolbox(http, user).call_tool("gmail_fetch_mails", {}).is_error
    assert http.tokens == ["at-1", "at-bob", "at-1"]


@pytest.mark.parametrize(
    "arguments", [{"to": 7}, {}, {**MAIL, "extra": 1}, {**MAIL, "subject": "\ud800"}]
)
def test_a_wrong_argument_costs_no_request_no_refresh_and_no_record(
    arguments: dict[str, Any],
) -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL, (SEND,)))
    world.connected()
    world.now.advance(hours=2)
    http = FakeProviderHttp()
    toolbox = world.toolbox(http)
    world.table.requests.clear()
    result = toolbox.call_tool(SEND, arguments)
    assert (result.is_error, result.code) == (True, "invalid_arguments")
    assert (world.table.requests, http.sent, world.provider.calls) == ([], [], [])


@pytest.mark.parametrize("state", ["never", "unverified", "expired", "disconnected"])
def test_a_tool_that_is_not_connected_answers_with_a_link_that_works(state: str) -> None:
    world = World().deployed()
    if state == "unverified":
        world.started().returns()
    if state in ("expired", "disconnected"):
        world.connected()
    if state == "expired":
        world.provider.answers = [InvalidGrant("x")]
        call(world, FakeProviderHttp(REFUSED))
    if state == "disconnected":
        world.disconnect.disconnect(ALICE, GMAIL)
    world.provider.calls.clear()
    http = FakeProviderHttp()
    result = call(world, http)
    assert (result.is_error, result.code) == (True, "not_connected")
    assert result.connect_url
    assert result.connect_url in result.text
    assert http.sent == []
    assert world.provider.calls == []
    ticket = result.connect_url.removeprefix(f"{URL}/connect/")
    assert [choice.connection for choice in world.consent.page(ticket).choices] == [GMAIL, CALENDAR]
    assert world.started(ticket).authorization()


def test_a_connect_link_does_not_hold_the_mcp_url() -> None:
    world = World().deployed()
    link = call(world, FakeProviderHttp()).connect_url
    assert link
    assert world.url_key() not in link
    assert "mvk_" not in link


def test_one_missing_connection_leaves_the_tools_of_the_others_working() -> None:
    world = connected()
    assert not call(world, FakeProviderHttp({"messages": []})).is_error
    event = {"summary": "s", "start_datetime": "2026-12-01T09:00:00Z"}
    result = call(world, FakeProviderHttp(), "googlecalendar_create_event", **event)
    assert result.code == "not_connected"


def test_a_grant_that_lacks_a_permission_degrades_just_the_tools_that_need_it() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails", SEND)))
    world.reconnected(scopes=frozenset({"https://www.googleapis.com/auth/gmail.readonly"}))
    http = FakeProviderHttp({"messages": []})
    assert not call(world, http).is_error
    result = call(world, http, SEND, **MAIL)
    assert (result.is_error, result.code) == (True, "missing_permission")
    assert result.connect_url
    assert result.connect_url in result.text
    assert len(http.sent) == 1
    assert not [key for key in world.table.items if key.pk.startswith("CALL#")]


def test_a_permission_that_only_the_provider_misses_is_answered_with_the_link_too() -> None:
    world = connected()
    missing = {"error": {"errors": [{"reason": "insufficientPermissions"}]}}
    result = call(world, FakeProviderHttp(ProviderResponse(403, missing)))
    assert result.code == "missing_permission"
    assert result.connect_url


def test_a_refused_token_is_refreshed_once_and_the_call_made_again_with_the_new_one() -> None:
    world = connected()
    world.provider.default = TokenGrant(Secret("at-2"), None, 3600, None)
    http = FakeProviderHttp(REFUSED, {"messages": []})
    assert not call(world, http).is_error
    assert http.tokens == ["at-1", "at-2"]
    assert len(world.provider.calls) == 1


def test_a_token_refused_twice_is_an_error_after_two_calls_and_one_refresh() -> None:
    world = connected()
    world.provider.default = TokenGrant(Secret("at-2"), None, 3600, None)
    http = FakeProviderHttp(REFUSED, REFUSED)
    result = call(world, http)
    assert (result.is_error, result.code) == (True, "token_refused")
    assert result.connect_url
    assert len(http.sent) == 2
    assert len(world.provider.calls) == 1


def test_a_refused_token_of_an_ended_grant_asks_to_connect_again() -> None:
    world = connected()
    world.provider.default = InvalidGrant("x")
    result = call(world, FakeProviderHttp(REFUSED))
    assert result.code == "not_connected"
    assert result.connect_url


def test_a_provider_that_cannot_renew_the_grant_is_an_error_without_a_link() -> None:
    world = connected()
    world.now.advance(hours=1)
    world.provider.default = ProviderUnavailable("the provider is down: try again")
    result = call(world, FakeProviderHttp())
    assert (result.is_error, result.code) == (True, "provider_unavailable")
    assert result.connect_url is None
    assert result.text == "The provider is down: try again."


def test_tokens_that_were_tampered_with_are_not_used() -> None:
    world = connected()
    world.table.items[keys.account(ALICE, GMAIL)]["sealed"] = b"tampered"
    http = FakeProviderHttp()
    result = call(world, http)
    assert (result.is_error, result.code) == (True, "seal_broken")
    assert http.sent == []
