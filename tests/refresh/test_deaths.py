"""The holder of the lease dies: what the next caller finds, and what it costs.

A provider that rotates refresh tokens has forgotten the old one when it answers. Whoever dies
between that answer and the save takes the only copy of the new one along: one consent, at such
providers, and nothing at others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.refresh.conftest import came_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.refresh.conftest import Scene

SHORT: dict[str, Any] = {"lease": 1, "redemption": 0}


@pytest.fixture(params=[True, False], ids=["rotating", "not rotating"])
def rotates(request: pytest.FixtureRequest, scene: Scene) -> bool:
    scene.provider.tell("set", rotate=request.param)
    return bool(request.param)


def before_the_request(scene: Scene) -> None:
    holder = scene.fresh().call(scene.user, stop="before the request", **SHORT)
    holder.reported("stopped")
    holder.kill()


def before_the_answer(scene: Scene) -> None:
    scene.provider.faults({"hold": "answer"})
    holder = scene.fresh().call(scene.user, **SHORT)
    scene.provider.holds_one()
    holder.kill()
    scene.provider.tell("release")


def before_the_save(scene: Scene) -> None:
    holder = scene.fresh().call(scene.user, stop="before the save", **SHORT)
    holder.reported("stopped")
    holder.kill()


def test_a_holder_that_dies_before_its_request_costs_nothing(scene: Scene, rotates: bool) -> None:
    before_the_request(scene)
    answer = scene.pool[0].call(scene.user, **SHORT).answer()
    assert answer["version"] == 2
    counts = scene.tally(f"killed before the request, {kind(rotates)}", 2)
    assert came_to(counts) == (1, 0, 0)


@pytest.mark.parametrize("die", [before_the_answer, before_the_save], ids=lambda die: die.__name__)
def test_a_holder_that_dies_with_the_answer_costs_one_consent_where_tokens_rotate(
    scene: Scene, rotates: bool, die: Callable[[Scene], None]
) -> None:
    die(scene)
    answer = scene.pool[0].call(scene.user, **SHORT).answer()
    assert ("token" in answer) is not rotates
    scenario = f"killed {die.__name__.replace('_', ' ')}, {kind(rotates)}"
    counts = scene.tally(scenario, 2, int(not rotates))
    assert came_to(counts) == ((1, 1, 1) if rotates else (2, 0, 0))


def test_while_a_dead_holders_lease_lasts_nobody_redeems(scene: Scene) -> None:
    holder = scene.fresh().call(scene.user, stop="before the request")
    holder.reported("stopped")
    holder.kill()
    answers = scene.pool[0].call(scene.user, 5).answers()
    assert {answer.get("error") for answer in answers} == {"Busy"}
    counts = scene.tally("killed before the request, lease of 20 s lasts", 6, 0)
    assert (counts["token_requests"], counts["re_consents"]) == (0, 0)


def kind(rotates: bool) -> str:
    return "rotating" if rotates else "not rotating"
