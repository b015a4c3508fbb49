"""Users are asked for what their tools need and nothing beyond."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.unit.tools_support import all_tools, tool
from valet.tools.scopes import least_scopes, missing

PREFIX = "https://www.googleapis.com/auth/"


def asked(*names: str) -> set[str]:
    return {scope.removeprefix(PREFIX) for scope in least_scopes([tool(name) for name in names])}


@pytest.mark.parametrize(
    ("names", "scopes"),
    [
        (["gmail_fetch_mails"], {"gmail.readonly"}),
        (["gmail_send_message"], {"gmail.send"}),
        (["gmail_send_message", "gmail_create_draft"], {"gmail.compose"}),
        (["gmail_fetch_mails", "gmail_send_message"], {"gmail.readonly", "gmail.send"}),
        (["gmail_fetch_mails", "gmail_create_draft"], {"gmail.readonly", "gmail.compose"}),
        (
            ["gmail_fetch_mails", "gmail_create_draft", "gmail_trash_message", "gmail_send_mail"],
            {"gmail.modify"},
        ),
        (["googlecalendar_list_events"], {"calendar.events.readonly"}),
        (["googlecalendar_list_events", "googlecalendar_create_event"], {"calendar.events"}),
        (
            ["googlecalendar_list_calendars", "googlecalendar_create_event"],
            {"calendar.calendarlist.readonly", "calendar.events"},
        ),
        ([], set()),
    ],
)
def test_the_least_scopes_are_asked_for(names: list[str], scopes: set[str]) -> None:
    assert asked(*names) == scopes


def test_the_order_of_the_tools_does_not_matter() -> None:
    tools = all_tools()
    assert least_scopes(tools) == least_scopes(tools[::-1])


def test_what_is_asked_for_is_enough_for_every_tool_and_none_of_it_is_spare() -> None:
    for pair in combinations(all_tools(), 2):
        scopes = least_scopes(pair)
        assert not any(missing(found, scopes) for found in pair)
        for scope in scopes:
            assert any(missing(found, set(scopes) - {scope}) for found in pair)


def test_a_grant_is_enough_when_it_holds_any_of_the_scopes() -> None:
    fetch = tool("gmail_fetch_mails")
    assert not missing(fetch, [PREFIX + "gmail.modify"])
    assert not missing(fetch, ["https://mail.google.com/", "openid"])
    assert missing(fetch, [PREFIX + "gmail.send"])
    assert missing(fetch, [])
    assert missing(fetch, ["gmail.readonly"])
