"""Pages of `tools/list`: cursors are one caller's, one list's, and not to be edited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.mcp_support import ECHO, MODERN, MemoryToolbox, World

ERAS = ["2025-03-26", "2025-11-25", MODERN]
NAMES = [f"tool_{number}" for number in range(7)]


def world(size: int = 3, **changes: Any) -> World:
    tools = MemoryToolbox(listed=[replace(ECHO, name=name) for name in NAMES])
    return World(tools, page_size=size, **changes)


def page(world: World, cursor: Any = None, era: str = MODERN) -> dict[str, Any]:
    params = {} if cursor is None else {"cursor": cursor}
    if era == MODERN:
        return world.modern("tools/list", params).result
    return world.legacy("tools/list", params, version=era).result


def names(listed: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in listed["tools"]]


def refusal(world: World, cursor: Any, era: str = MODERN) -> tuple[int, int]:
    return world.either(era, "tools/list", {"cursor": cursor}).fault


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_the_pages_together_are_the_whole_list_in_its_order(size: int, era: str) -> None:
    paged = world(size)
    listed = page(paged, era=era)
    found = names(listed)
    while "nextCursor" in listed:
        listed = page(paged, listed["nextCursor"], era)
        assert listed["tools"]
        found += names(listed)
    assert found == NAMES


def test_an_ordinary_list_comes_on_one_page() -> None:
    tools = [replace(ECHO, name=f"tool_{number}") for number in range(100)]
    assert "nextCursor" not in page(World(MemoryToolbox(listed=tools)))
    assert "nextCursor" in page(World(MemoryToolbox(listed=[*tools, ECHO])))


def test_a_null_cursor_is_none() -> None:
    answer = world().modern("tools/list", {"cursor": None})
    assert names(answer.result) == NAMES[:3]


def test_every_page_says_how_long_and_for_whom_it_holds() -> None:
    listed = page(world())
    last = page(world(), listed["nextCursor"])
    for each in (listed, last):
        assert (each["ttlMs"], each["cacheScope"]) == (30_000, "private")


@pytest.mark.parametrize("cursor", ["", "2", "x" * 1000, "Mw", 0, 3, True, {}, ["x"]])
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_cursor_that_was_never_handed_out_is_invalid(cursor: Any, era: str) -> None:
    answer = world().either(era, "tools/list", {"cursor": cursor})
    assert answer.fault == (400 if era == MODERN else 200, -32602)
    assert answer.error["message"].startswith("Invalid cursor")


def test_an_edited_cursor_is_invalid() -> None:
    cursor = page(world())["nextCursor"]
    edits = [
        *(cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(20)),
        *(cursor[:-1], cursor[1:], cursor + "=", cursor + "A", cursor + "-TAMPERED", cursor * 2),
    ]
    assert {refusal(world(), edited) for edited in edits} == {(400, -32602)}


@pytest.mark.parametrize("caller", ["ins_2/FULL", "ins_1/READ_ONLY"])
def test_a_cursor_of_another_caller_is_invalid(caller: str) -> None:
    cursor = page(world())["nextCursor"]
    assert refusal(world(caller=caller), cursor) == (400, -32602)
    assert names(page(world(), cursor)) == NAMES[3:6]


def test_a_cursor_into_an_earlier_list_is_invalid() -> None:
    paged = world()
    cursor = page(paged)["nextCursor"]
    paged.toolbox.revision = "config/2"
    assert refusal(paged, cursor) == (400, -32602)


def test_a_cursor_runs_out() -> None:
    paged = world()
    cursor = page(paged)["nextCursor"]
    paged.now.advance(seconds=3600)
    assert refusal(paged, cursor) == (400, -32602)


def test_the_state_of_a_call_is_no_cursor() -> None:
    asked = World().modern(
        "tools/call",
        {"name": "send"},
        meta={
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
        },
    )
    assert refusal(world(), asked.result["requestState"]) == (400, -32602)
