"""Connect links: as many as anyone needs, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import FakeProviderHttp
from tests.world import ALICE, BOB, CONFIG, GMAIL, World
from valet.errors import TooMany
from valet.native.tickets import MOST, MOST_IN_CALLS

if TYPE_CHECKING:
    from valet.tools.results import ToolResult


def test_a_user_gets_so_many_links_in_ten_minutes_and_then_a_sentence() -> None:
    world = World().deployed()
    for _ in range(MOST):
        world.ticket()
    with pytest.raises(TooMany, match="ask again in ten minutes") as refused:
        world.ticket()
    assert (refused.value.status, refused.value.code) == (429, "too_many_links")
    assert world.ticket(BOB)


def test_ten_minutes_later_there_are_links_again() -> None:
    world = World().deployed()
    for _ in range(MOST):
        world.ticket()
    world.now.advance(minutes=10, seconds=1)
    assert world.consent.page(world.ticket())


def test_a_refused_link_leaves_nothing_in_the_table() -> None:
    world = World().deployed()
    for _ in range(MOST):
        world.ticket()
    before = dict(world.table.items)
    with pytest.raises(TooMany):
        world.ticket()
    assert world.table.items == before


def test_an_agent_that_keeps_calling_an_unconnected_tool_is_told_to_wait() -> None:
    world = World().deployed()
    answers: list[ToolResult] = []
    for _ in range(MOST + 1):
        world.now.advance(seconds=2)  # slower than the tool's own limit
        answers.append(world.toolbox(FakeProviderHttp()).call_tool("gmail_fetch_mails", {}))
    assert all(answer.is_error for answer in answers)
    assert answers[0].connect_url
    assert (answers[-1].code, answers[-1].connect_url) == ("too_many_links", None)


def test_an_agent_in_a_loop_does_not_keep_its_user_from_the_apps_own_links() -> None:
    world = World().deployed()
    for _ in range(MOST_IN_CALLS + 1):
        world.now.advance(seconds=2)
        last = world.toolbox(FakeProviderHttp()).call_tool("gmail_fetch_mails", {})
    assert last.code == "too_many_links"
    for _ in range(MOST - MOST_IN_CALLS):
        assert world.started(world.ticket(), GMAIL)
    with pytest.raises(TooMany):
        world.ticket()


def test_the_links_that_were_made_go_on_working() -> None:
    world = World().deployed()
    first = world.ticket()
    for _ in range(MOST - 1):
        world.ticket()
    with pytest.raises(TooMany):
        world.ticket()
    assert world.started(first, GMAIL).returns().authorization_id


def test_ensuring_finds_the_instance_all_the_same() -> None:
    world = World().deployed()
    for _ in range(MOST):
        world.ticket(ALICE)
    assert world.instances.ensure(CONFIG, ALICE)
