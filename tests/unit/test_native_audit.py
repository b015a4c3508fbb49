"""The record of each call: who, how they came, what, how it went; never what it was about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import FakeProviderHttp
from tests.world import ALICE, CONFIG, GMAIL, World
from valet.models import Access, ConnectionTools
from valet.native.audit import CallRecord
from valet.native.limits import READS
from valet.tools.provider import ProviderResponse, ProviderUnreachable
from valet.tools.results import UnknownTool

FETCH = "gmail_fetch_mails"
SEND = "gmail_send_message"
MAIL = {"to": "bob@example.com", "subject": "canary-subject", "body": "canary-body"}
NONE: dict[str, Any] = {"messages": []}


def connected(*tools: str) -> World:
    world = World().deployed()
    if tools:
        world.exposing(ConnectionTools(GMAIL, tools))
    world.connected()
    return world


def record(world: World, *answers: Any, tool: str = FETCH, **arguments: Any) -> CallRecord:
    """The one record of one call."""
    before = len(world.audited)
    world.toolbox(FakeProviderHttp(*answers)).call_tool(tool, arguments)
    (made,) = world.audited[before:]
    return made


def test_a_record_says_who_how_they_came_what_and_how_it_went() -> None:
    world = connected()
    made = record(world, NONE, query="canary-query")
    assert made == CallRecord(
        user=ALICE,
        instance=world.session().instance,
        via="url",
        access=Access.FULL,
        config=CONFIG,
        revision=world.session().config.revision,
        tool=FETCH,
        connection=GMAIL,
        arguments_sha256=made.arguments_sha256,
        outcome="ok",
        provider_status=200,
        milliseconds=0,
    )


def test_the_same_arguments_have_the_same_hash_and_others_another() -> None:
    world = connected()
    first, same, other = (record(world, NONE, query=q) for q in ("a", "a", "b"))
    assert first == same
    assert replace(other, arguments_sha256=first.arguments_sha256) == first
    assert other.arguments_sha256 != first.arguments_sha256


def test_a_record_says_how_long_the_call_took() -> None:
    world = connected()

    class Slow(FakeProviderHttp):
        def send(self, *request: Any) -> ProviderResponse:
            world.now.advance(seconds=1.5)
            return super().send(*request)

    world.toolbox(Slow(NONE)).call_tool(FETCH, {})
    assert world.audited[0].milliseconds == 1500


LISTED = {"messages": [{"id": f"18c0ffe{n}", "threadId": "t"} for n in range(3)]}
FOUND = {"id": "18c0ffe1", "threadId": "t"}


@pytest.mark.parametrize(
    ("answers", "outcome", "status"),
    [
        ([NONE], "ok", 200),
        ([ProviderResponse(503), NONE], "ok", 200),
        ([ProviderResponse(404)], "not_found", 404),
        ([ProviderResponse(401), ProviderResponse(401)], "token_refused", 401),
        ([ProviderResponse(429)], "rate_limited", 429),
        ([LISTED, FOUND, ProviderResponse(429), FOUND], "rate_limited", 429),
        ([ProviderResponse(200, None)], "provider_error", 200),
        ([ProviderUnreachable("x", maybe_sent=False)] * 2, "provider_unavailable", None),
    ],
)
def test_the_providers_status_is_the_one_that_the_outcome_came_from(
    answers: list[Any], outcome: str, status: int | None
) -> None:
    made = record(connected(), *answers)
    assert (made.outcome, made.provider_status) == (outcome, status)


def test_calls_that_never_reach_a_provider_leave_their_record_too() -> None:
    world = World().deployed()
    not_connected = record(world)
    wrong = record(world, query=7)
    for _ in range(READS.calls - 2):
        world.toolbox(FakeProviderHttp()).call_tool(FETCH, {"query": 7})
    capped = record(world)
    made = [not_connected, wrong, capped]
    assert [m.outcome for m in made] == ["not_connected", "invalid_arguments", "rate_limited"]
    assert {(m.tool, m.connection, m.provider_status) for m in made} == {(FETCH, GMAIL, None)}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (SEND, SEND),  # the connector has it, this instance does not
        ("gmail_send_mail", "gmail_send_mail"),  # an alias of it
        ("canary-name", "(unknown)"),
        ("", "(unknown)"),
        ("x" * 5000, "(unknown)"),
        ("(unknown)", "(unknown)"),
    ],
)
def test_an_unknown_tool_is_recorded_by_no_name_that_a_caller_can_make_up(
    name: str, told: str
) -> None:
    world = connected()
    with pytest.raises(UnknownTool):
        world.toolbox(FakeProviderHttp()).call_tool(name, {})
    (made,) = world.audited
    assert (made.tool, made.connection, made.outcome) == (told, None, "unknown_tool")


def test_a_writing_tool_that_read_only_access_asked_for_is_recorded() -> None:
    world = connected(FETCH, SEND)
    toolbox = world.toolbox(FakeProviderHttp())
    session = replace(toolbox.session, access=Access.READ_ONLY, via="token")
    with pytest.raises(UnknownTool):
        replace(toolbox, session=session).call_tool(SEND, MAIL)
    (made,) = world.audited
    assert (made.access, made.via, made.tool) == ("READ_ONLY", "token", SEND)
    assert made.outcome == "unknown_tool"


def test_a_call_that_fails_unexpectedly_is_recorded_as_such() -> None:
    world = connected()
    with pytest.raises(RuntimeError):
        record(world, RuntimeError("canary"))
    (made,) = world.audited
    assert (made.tool, made.connection, made.outcome) == (FETCH, GMAIL, "internal_error")


def test_no_record_holds_content_of_arguments_or_results() -> None:
    world = connected(FETCH, SEND)
    record(world, {"id": "canary-id", "threadId": "t"}, tool=SEND, **MAIL)
    record(world, NONE, query="canary-query")
    record(world, **{"canary-name": "canary-value"})
    with pytest.raises(UnknownTool):
        record(world, tool="canary-tool")
    assert len(world.audited) == 4
    printed = repr(world.audited)
    for content in ("canary", "bob@example.com", "at-1", "mvk_"):
        assert content not in printed
