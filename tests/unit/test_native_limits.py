"""Limits on calls: a loop is stopped and told until when, and nobody else notices."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import FakeProviderHttp
from tests.world import ALICE, BOB, CALENDAR, GMAIL, World
from valet.connectors.catalog import load_connector
from valet.errors import TooMany
from valet.models import ConnectionTools, UserKey
from valet.native import keys
from valet.native.limits import ALL_TOOLS, READS, WRITES, CallLimits, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.tools.results import ToolResult

FETCH = "gmail_fetch_mails"
LABEL = "gmail_modify_message_labels"
WHICH = {"message_id": "18c0ffee", "add_label_ids": ["STARRED"]}
NONE: dict[str, Any] = {"messages": []}


def connected() -> World:
    world = World().deployed()
    world.exposing(ConnectionTools(GMAIL), ConnectionTools(CALENDAR))
    world.connected()
    return world


def one_by_one(world: World, times: int, user: UserKey = ALICE) -> list[ToolResult]:
    def once() -> ToolResult:
        return world.toolbox(FakeProviderHttp(NONE), user).call_tool(FETCH, {})

    return [once() for _ in range(times)]


def test_a_tool_may_be_called_so_often_in_a_minute_and_then_says_how_long_to_wait() -> None:
    world = connected()
    world.now.advance(seconds=37)
    *allowed, refused = one_by_one(world, READS.calls + 1)
    assert {result.code for result in allowed} == {"ok"}
    assert (refused.is_error, refused.code, refused.retry_after) == (True, "rate_limited", 23)
    assert refused.text == (
        "This tool was called 60 times within a minute, which is as often as allowed, and nothing "
        "was done: wait 23 seconds, then call it again."
    )


def test_the_next_minute_begins_at_zero() -> None:
    world = connected()
    world.now.advance(seconds=59)
    assert one_by_one(world, READS.calls + 1)[-1].retry_after == 1
    world.now.advance(seconds=1)
    assert {result.code for result in one_by_one(world, READS.calls)} == {"ok"}


def test_a_refused_call_reaches_no_provider_and_costs_no_write() -> None:
    world = connected()
    one_by_one(world, READS.calls)
    http = FakeProviderHttp()
    toolbox = world.toolbox(http)
    world.table.requests.clear()
    assert toolbox.call_tool(FETCH, {}).code == "rate_limited"
    assert (http.sent, world.table.requests) == ([], [])


def test_a_user_who_is_stopped_stops_nobody_else() -> None:
    world = connected()
    world.connected(BOB)
    assert one_by_one(world, READS.calls + 1)[-1].code == "rate_limited"
    assert one_by_one(world, 1, BOB)[0].code == "ok"


def test_a_tool_that_is_used_up_leaves_the_users_other_tools_working() -> None:
    world = connected()
    one_by_one(world, READS.calls + 1)
    result = world.toolbox(FakeProviderHttp({"labels": []})).call_tool("gmail_list_labels", {})
    assert result.code == "ok"


def test_a_tool_that_writes_may_be_called_less_often() -> None:
    world = connected()
    outcomes = [
        world.toolbox(FakeProviderHttp({"id": "18c0ffee"})).call_tool(LABEL, WHICH).code
        for _ in range(WRITES.calls + 1)
    ]
    assert outcomes == ["ok"] * WRITES.calls + ["rate_limited"]
    assert WRITES.calls < READS.calls < ALL_TOOLS


def test_all_tools_of_a_user_together_have_a_limit_too() -> None:
    world = connected()
    reading = [tool.name for tool in load_connector("gmail").tools.values() if tool.read_only]
    turns = itertools.cycle(reading[:6])
    outcomes = [
        world.toolbox(FakeProviderHttp()).call_tool(next(turns), {"wrong": 1})
        for _ in range(ALL_TOOLS + 1)
    ]
    assert {result.code for result in outcomes[:-1]} == {"invalid_arguments"}
    assert outcomes[-1].code == "rate_limited"
    assert "this user's tools were called 120 times" in outcomes[-1].text.lower()


def test_the_calls_of_one_request_are_counted_as_they_are_made() -> None:
    """A batch reads the count once, and is a loop as much as requests are."""
    world = connected()
    toolbox = world.toolbox(FakeProviderHttp(*[NONE] * READS.calls))
    outcomes = [toolbox.call_tool(FETCH, {}).code for _ in range(READS.calls + 1)]
    assert outcomes == ["ok"] * READS.calls + ["rate_limited"]


def test_a_call_costs_a_write_only_now_and_then() -> None:
    world = connected()
    toolboxes = [world.toolbox(FakeProviderHttp(NONE)) for _ in range(READS.sample * 5)]
    world.table.requests.clear()
    for toolbox in toolboxes:
        toolbox.call_tool(FETCH, {})
    assert world.table.requests == ["write"] * 5


def processes(world: World, starts: list[int]) -> list[CallLimits]:
    """Functions that run at the same time, each with a count of its own."""

    def begins_at(start: int) -> Callable[[int], int]:
        return lambda _: start

    return [CallLimits(world.table, world.now, begins_at(start)) for start in starts]


def written(world: World) -> int:
    minute = int(world.now().timestamp()) // 60
    item = world.table.items.get(keys.call_count(ALICE, minute), {})
    return Tally.of(minute, item).calls.get(FETCH, 0)


def count(world: World, process: CallLimits) -> None:
    tool = load_connector("gmail").tool(FETCH)
    minute = int(world.now().timestamp()) // 60
    item = world.table.get(keys.call_count(ALICE, minute))
    process.count(ALICE, Tally.of(minute, item), tool)


@pytest.mark.parametrize("made", [1, 3, 8, 13, 40])
def test_over_all_starts_what_is_written_is_what_was_called(made: int) -> None:
    """So whatever the pattern of the calls, the expected count is the true one."""
    total = 0
    for start in range(READS.sample):
        world = connected()
        (process,) = processes(world, [start])
        for _ in range(made):
            count(world, process)
        total += written(world)
    assert total == READS.sample * made


def test_a_burst_that_is_spread_over_many_functions_adds_up() -> None:
    world = connected()
    for process in processes(world, list(range(READS.sample)) * 6):
        count(world, process)
    assert written(world) == 6 * READS.sample


def test_calls_that_other_functions_wrote_count_here() -> None:
    world = connected()
    first, second = processes(world, [0, 0])
    for _ in range(READS.sample * 4):
        count(world, first)
    for _ in range(READS.calls - READS.sample * 4):
        count(world, second)
    with pytest.raises(TooMany, match="wait"):
        count(world, second)


def test_the_table_forgets_a_count() -> None:
    world = connected()
    one_by_one(world, READS.sample)
    minute = int(world.now().timestamp()) // 60
    item = world.table.items[keys.call_count(ALICE, minute)]
    assert set(item) == {"pk", "sk", "ttl", f"tool:{FETCH}"}
    assert item["ttl"] == (minute + 1) * 60 + 3600


def test_a_function_forgets_the_oldest_users_rather_than_growing() -> None:
    world = connected()
    limits = CallLimits(world.table, world.now)
    tool = load_connector("gmail").tool(FETCH)
    for number in range(1100):
        limits.count(UserKey(f"user-{number}"), Tally(1, {}), tool)
    assert len(limits._own) == 1000
