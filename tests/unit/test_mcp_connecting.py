"""A missing grant: asked for where the client can be asked (2026-07-28), told in text elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.mcp_support import CONNECT_URL, MODERN, PREFIX, MemoryToolbox, World, envelope
from valet.tools.results import ToolResult

if TYPE_CHECKING:
    from tests.unit.mcp_support import Answer

URL: dict[str, Any] = {"elicitation": {"url": {}}}
SEND = {"name": "send", "arguments": {"to": "bob"}}


def call(world: World, capabilities: Any = URL, **params: Any) -> Answer:
    return world.modern("tools/call", SEND | params, meta=envelope(MODERN, capabilities))


def retry(world: World, action: Any, **params: Any) -> Answer:
    """The same call again, with the user's answer to what it asked."""
    asked = call(world).result
    given = {"inputResponses": {"connect": {"action": action}}, **params}
    return call(world, **({"requestState": asked["requestState"]} | given))


def text(answer: Answer) -> str:
    assert answer.result["resultType"] == "complete"
    assert answer.result["isError"] is True
    return str(answer.result["content"][0]["text"])


def test_a_client_that_opens_urls_is_asked_to_open_the_link() -> None:
    result = call(World()).result
    assert isinstance(result.pop("requestState"), str)
    assert result == {
        "resultType": "input_required",
        "inputRequests": {
            "connect": {
                "method": "elicitation/create",
                "params": {
                    "mode": "url",
                    "message": (
                        "send needs your Gmail account. Open the link and connect it there."
                    ),
                    "url": CONNECT_URL,
                },
            }
        },
        "_meta": {
            f"{PREFIX}serverInfo": {"name": "valet", "title": "Valet", "version": "1.2.3"},
        },
    }


@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        {"elicitation": {}},
        {"elicitation": {"form": {}}},
        {"elicitation": {"url": True}},
        {"elicitation": "url"},
        {"elicitation": ["url"]},
        {"url": {}},
        {"sampling": {}, "roots": {}},
    ],
)
def test_a_client_that_does_not_say_so_is_told_in_text(capabilities: Any) -> None:
    assert CONNECT_URL in text(call(World(), capabilities))


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
def test_the_revisions_before_are_told_in_text(version: str) -> None:
    answer = World().legacy("tools/call", SEND | {"_meta": URL}, version=version)
    assert CONNECT_URL in answer.result["content"][0]["text"]
    assert "inputRequests" not in answer.result


def test_who_accepted_and_connected_gets_the_tools_answer() -> None:
    world = World()
    state = call(world).result["requestState"]
    world.toolbox.connected = True
    responses = {"connect": {"action": "accept", "content": {}}}
    result = call(world, inputResponses=responses, requestState=state).result
    assert (result["isError"], result["content"][0]["text"]) == (False, "sent")
    assert world.toolbox.calls[-1] == ("send", {"to": "bob"})


def test_who_accepted_without_connecting_is_told_in_text_and_not_asked_again() -> None:
    assert CONNECT_URL in text(retry(World(), "accept"))


@pytest.mark.parametrize(
    ("action", "says"), [("decline", "declined to connect Gmail"), ("cancel", "without an answer")]
)
def test_who_did_not_accept_runs_nothing_and_the_answer_says_how_to_go_on(
    action: str, says: str
) -> None:
    world = World()
    said = text(retry(world, action))
    assert says in said
    assert "send was not run" in said
    assert "call it again" in said
    assert CONNECT_URL not in said
    assert len(world.toolbox.calls) == 1  # the one that led to the question
    assert world.toolbox.left == [("send", f"connect_{action}")]


def test_a_call_after_a_refusal_is_asked_anew() -> None:
    world = World()
    retry(world, "decline")
    assert call(world).result["resultType"] == "input_required"


def test_a_grant_that_is_enough_asks_nothing() -> None:
    assert call(World(MemoryToolbox(connected=True))).result["isError"] is False


def test_a_failure_of_another_kind_asks_nothing() -> None:
    failed = ToolResult("Gmail did not answer.", is_error=True, code="provider_failure")
    assert text(call(World(MemoryToolbox(gives=failed)))) == "Gmail did not answer."


def test_the_state_alone_asks_again() -> None:
    world = World()
    state = call(world).result["requestState"]
    assert call(world, requestState=state).result["resultType"] == "input_required"


def test_responses_to_what_was_not_asked_are_ignored_and_the_question_stands() -> None:
    world = World()
    other = {"other": {"action": "accept"}}
    assert retry(world, "", inputResponses=other).result["resultType"] == "input_required"
    both = {**other, "connect": {"action": "decline"}}
    assert "declined" in text(retry(world, "", inputResponses=both))


@pytest.mark.parametrize("action", [None, "", "ACCEPT", "allow", 1, True, ["accept"], {}])
def test_an_answer_that_is_none_of_the_three_is_invalid(action: Any) -> None:
    world = World()
    assert retry(world, action).fault == (400, -32602)
    assert len(world.toolbox.calls) == 1


@pytest.mark.parametrize("responses", [None, [], "x", 1, {"connect": 12345}, {"connect": None}])
def test_responses_of_the_wrong_type_are_invalid(responses: Any) -> None:
    assert retry(World(), "accept", inputResponses=responses).fault == (400, -32602)


def test_responses_without_their_state_are_invalid() -> None:
    world = World()
    for action in ("accept", "decline", "cancel"):
        answer = call(world, inputResponses={"connect": {"action": action}})
        assert answer.fault == (400, -32602)
        assert "requestState" in answer.error["message"]
    assert not world.toolbox.calls


@pytest.mark.parametrize("state", [None, "", "x", 0, 1, True, [], {}, "A" * 100_000])
def test_a_state_that_was_never_handed_out_is_invalid(state: Any) -> None:
    world = World()
    for params in ({}, {"inputResponses": {"connect": {"action": "accept"}}}):
        assert call(world, requestState=state, **params).fault == (400, -32602)
    assert not world.toolbox.calls


def test_an_edited_state_is_invalid() -> None:
    world = World()
    state = call(world).result["requestState"]
    ran = len(world.toolbox.calls)
    edits = [
        *(state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :] for at in range(60)),
        *(state[:-1], state[1:], state[: len(state) // 2]),
        *(state + added for added in ("=", "==", "A", "-TAMPERED", "=-TAMPERED", "\n", " ")),
    ]
    for edited in edits:
        responses = {"connect": {"action": "accept"}}
        answer = call(world, requestState=edited, inputResponses=responses)
        assert answer.fault == (400, -32602)
    assert len(world.toolbox.calls) == ran


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "echo"},
        {"arguments": {"to": "eve"}},
        {"arguments": {"to": "bob", "cc": "eve"}},
        {"arguments": {}},
        {"arguments": None},
    ],
)
def test_a_state_is_of_one_tool_and_its_arguments(changed: dict[str, Any]) -> None:
    assert retry(World(), "accept", **changed).fault == (400, -32602)


def test_the_order_of_arguments_makes_no_other_call() -> None:
    world = World()
    state = call(world, arguments={"a": 1, "b": 2}).result["requestState"]
    responses = {"connect": {"action": "decline"}}
    again = call(world, arguments={"b": 2, "a": 1}, requestState=state, inputResponses=responses)
    assert "declined" in text(again)


@pytest.mark.parametrize("caller", ["ins_2/FULL", "ins_1/READ_ONLY"])
def test_a_state_of_another_caller_is_invalid(caller: str) -> None:
    state = call(World()).result["requestState"]
    theirs = World(caller=caller)
    responses = {"connect": {"action": "accept"}}
    answer = call(theirs, requestState=state, inputResponses=responses)
    assert answer.fault == (400, -32602)
    assert not theirs.toolbox.calls


def test_a_state_runs_out_after_ten_minutes() -> None:
    world = World()
    state = call(world).result["requestState"]
    responses = {"connect": {"action": "decline"}}
    world.now.advance(seconds=599)
    assert "declined" in text(call(world, requestState=state, inputResponses=responses))
    world.now.advance(seconds=1)
    answer = call(world, requestState=state, inputResponses=responses)
    assert answer.fault == (400, -32602)
    assert "call again" in answer.error["message"]


def test_the_revisions_before_know_no_state_and_no_responses() -> None:
    world = World()
    odd = SEND | {"requestState": "x", "inputResponses": 1}
    assert CONNECT_URL in world.legacy("tools/call", odd).result["content"][0]["text"]
