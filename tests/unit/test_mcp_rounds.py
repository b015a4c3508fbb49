"""Tools that ask the client for something: only for what it declares, and on the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.mcp_support import ECHO, MODERN, World, envelope
from valet.mcp.toolbox import Call, InputRequired
from valet.tools.results import ToolResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.mcp_support import Answer
    from valet.tools.results import ToolView

FORM = {"method": "elicitation/create", "params": {"message": "Name?", "requestedSchema": {}}}
PAGE = {"method": "elicitation/create", "params": {"mode": "url", "message": "m", "url": "u"}}
SAMPLE = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 9}}
ROOTS = {"method": "roots/list", "params": {}}


@dataclass
class AskingToolbox:
    """One tool that asks for what it is told to, until there are responses."""

    asks: dict[str, Any]
    state: str | None = None
    revision: str = "config/1"
    calls: list[Call] = field(default_factory=list)

    def list_tools(self) -> Sequence[ToolView]:
        return (ECHO,)

    def call(self, call: Call) -> ToolResult | InputRequired:
        self.calls.append(call)
        return ToolResult("done") if call.responses else InputRequired(self.asks, self.state)


def ask(capabilities: Any, *asked: dict[str, Any], state: str | None = None) -> Answer:
    toolbox = AskingToolbox({str(n): each for n, each in enumerate(asked)}, state)
    meta = envelope(MODERN, capabilities)
    return World(asking=toolbox).modern("tools/call", {"name": "echo"}, meta=meta)


@pytest.mark.parametrize(
    ("asked", "capabilities"),
    [
        (FORM, {"elicitation": {}}),
        (FORM, {"elicitation": {"form": {}}}),
        (PAGE, {"elicitation": {"url": {}}}),
        (PAGE, {"elicitation": {"form": {}, "url": {}}}),
        (SAMPLE, {"sampling": {}}),
        (ROOTS, {"roots": {"listChanged": True}}),
    ],
)
def test_a_client_is_asked_for_what_it_declares(asked: dict[str, Any], capabilities: Any) -> None:
    result = ask(capabilities, asked).result
    assert result["resultType"] == "input_required"
    assert result["inputRequests"] == {"0": asked}
    assert "requestState" not in result


@pytest.mark.parametrize(
    ("asked", "capabilities", "required"),
    [
        (FORM, {}, {"elicitation": {"form": {}}}),
        (FORM, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        (PAGE, {"elicitation": {}}, {"elicitation": {"url": {}}}),
        (PAGE, {"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}),
        (SAMPLE, {"elicitation": {}}, {"sampling": {}}),
        (SAMPLE, {"sampling": True}, {"sampling": {}}),
        (ROOTS, {"Roots": {}}, {"roots": {}}),
    ],
)
def test_what_a_client_does_not_declare_is_named_and_not_asked(
    asked: dict[str, Any], capabilities: Any, required: Any
) -> None:
    answer = ask(capabilities, asked)
    assert answer.fault == (400, -32021)
    assert answer.error["data"] == {"requiredCapabilities": required}


def test_all_that_is_lacking_is_named_at_once() -> None:
    answer = ask({"roots": {}}, FORM, PAGE, SAMPLE, ROOTS)
    assert answer.error["data"] == {
        "requiredCapabilities": {"elicitation": {"form": {}, "url": {}}, "sampling": {}}
    }


def test_the_revisions_before_cannot_be_asked() -> None:
    world = World(asking=AskingToolbox({"0": FORM}))
    params = {"name": "echo", "_meta": {"elicitation": {}}}
    assert world.legacy("tools/call", params).fault == (200, -32021)


def test_responses_and_state_reach_the_tool_that_asked() -> None:
    toolbox = AskingToolbox({"0": FORM}, "round 1")
    world = World(asking=toolbox)
    meta = envelope(MODERN, {"elicitation": {}})
    asked = world.modern("tools/call", {"name": "echo"}, meta=meta).result
    responses = {"0": {"action": "accept", "content": {"name": "Alice"}}}
    again = {"inputResponses": responses, "requestState": asked["requestState"]}
    assert world.modern("tools/call", {"name": "echo", **again}, meta=meta).result
    assert toolbox.calls == [
        Call("echo", {}, {"elicitation": {}}),
        Call("echo", {}, {"elicitation": {}}, responses, "round 1"),
    ]


def test_a_method_that_runs_no_tool_ignores_responses() -> None:
    odd = {"inputResponses": 1, "requestState": 2}
    assert World().modern("tools/list", odd).result["resultType"] == "complete"
    assert World().modern("server/discover", odd).result["resultType"] == "complete"
