"""A server's list of tools: it changes with the config's revision, and with nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.world import ALICE, CALENDAR, CONFIG, GMAIL
from valet.models import ConnectionTools
from valet.native import keys
from valet.native.provider import InvalidGrant
from valet.native.sessions import CONFIG_AGE
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.support import Bundle
    from valet.models import Secret
    from valet.tools.provider import ProviderRequest

MODERN = "2026-07-28"
OLDEST = "2025-03-26"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ENVELOPED = LIST | {
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    }
}
FETCH = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "gmail_fetch_mails", "arguments": {}},
}


@pytest.fixture
def key(bundle: Bundle) -> str:
    return str(bundle.ensure()["url"]).rsplit("/", 1)[1]


def lists(bundle: Bundle, key: str) -> tuple[str, str]:
    """What a client of each era is answered, to the byte."""
    modern = {"mcp_protocol_version": MODERN, "mcp_method": "tools/list"}
    answers = bundle.mcp(key, LIST), bundle.mcp(key, ENVELOPED, **modern)
    assert [answer.status for answer in answers] == [200, 200]
    return answers[0].body, answers[1].body


def names(bundle: Bundle, key: str) -> list[str]:
    return [tool["name"] for tool in bundle.mcp(key, LIST).json["result"]["tools"]]


def expose(bundle: Bundle, *tools: str) -> None:
    bundle.world.configs.put(CONFIG, "", [ConnectionTools(GMAIL, tools)], owner="", replaces=True)


def both_connected(bundle: Bundle) -> None:
    bundle.connected()
    bundle.connected(connection=CALENDAR)


def expired(bundle: Bundle) -> None:
    bundle.connected()
    bundle.world.now.advance(hours=2)
    bundle.world.provider.default = InvalidGrant("x")


def removed(bundle: Bundle) -> None:
    for name in (GMAIL, CALENDAR):
        bundle.world.configs.delete_connection(name, owner="")


def another_connectors(bundle: Bundle) -> None:
    removed(bundle)
    bundle.world.configs.put_connection(GMAIL, "googlecalendar", None, owner="", replaces=True)


def tampered_with(bundle: Bundle) -> None:
    bundle.connected()
    bundle.world.table.items[keys.account(ALICE, GMAIL)]["sealed"] = b"x"


STATES: dict[str, Callable[[Bundle], Any]] = {
    "unverified": lambda bundle: bundle.consent().authorization(),
    "connected": lambda bundle: bundle.connected(),
    "connected, both": both_connected,
    "expired": expired,
    "tampered with": tampered_with,
    "connections removed": removed,
    "another connector's by now": another_connectors,
    "no OAuth client": lambda bundle: bundle.world.clients.clients.clear(),
}


@pytest.mark.parametrize("name", STATES)
def test_no_state_of_a_grant_or_a_connection_changes_a_byte_of_the_list(
    bundle: Bundle, key: str, name: str
) -> None:
    before = lists(bundle, key)
    STATES[name](bundle)
    bundle.mcp(key, FETCH)  # what a call finds out does not change it either
    bundle.world.now.advance(seconds=CONFIG_AGE.total_seconds())
    bundle.mcp(key, FETCH)
    assert lists(bundle, key) == before


def test_an_update_reaches_a_warm_server_after_thirty_seconds_and_not_by_halves(
    bundle: Bundle, key: str
) -> None:
    old = names(bundle, key)
    expose(bundle, "gmail_list_drafts", "gmail_list_labels")
    bundle.world.now.advance(seconds=29)
    assert names(bundle, key) == old
    refused = bundle.mcp(key, FETCH | {"params": {"name": "gmail_list_drafts"}})
    assert refused.json["error"]["code"] == -32602, "a call sees the revision that the list does"
    bundle.world.now.advance(seconds=1)
    assert names(bundle, key) == ["gmail_list_drafts", "gmail_list_labels"]
    gone = bundle.mcp(key, FETCH)
    assert gone.json["error"]["code"] == -32602


def test_a_client_that_caches_as_long_as_it_may_sees_an_update_within_a_minute(
    bundle: Bundle, key: str
) -> None:
    _, modern = lists(bundle, key)
    cached = json.loads(modern)["result"]["ttlMs"] / 1000
    assert cached + CONFIG_AGE.total_seconds() <= 60


def test_one_request_sees_one_revision_however_long_it_takes(
    bundle: Bundle, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch, in the middle of which the config is changed and all that is remembered gets old."""
    bundle.connected()
    old = names(bundle, key)

    def meanwhile(_: ProviderRequest, __: Secret) -> ProviderResponse:
        running, bundle.role.function = bundle.role.function, None  # an operator does this
        expose(bundle, "gmail_list_drafts")
        bundle.role.function = running
        bundle.world.now.advance(minutes=2)
        return ProviderResponse(200, {"messages": []})

    monkeypatch.setattr(bundle.provider, "send", meanwhile)
    batch = [LIST, FETCH, LIST | {"id": 3}, FETCH | {"id": 4}]
    answer = bundle.mcp(key, batch, mcp_protocol_version=OLDEST)
    first, call, second, again = (each["result"] for each in answer.json)
    assert [tool["name"] for tool in first["tools"]] == old
    assert [tool["name"] for tool in second["tools"]] == old
    assert (call["isError"], again["isError"]) == (False, False)
    assert names(bundle, key) == ["gmail_list_drafts"]
