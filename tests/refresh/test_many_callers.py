"""Refresh exactly once, however many ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.refresh.conftest import PROCESSES, came_to

if TYPE_CHECKING:
    from tests.refresh.conftest import Scene

THREADS = 25
CALLERS = PROCESSES * THREADS


def test_two_hundred_callers_in_eight_processes_redeem_once_and_all_are_served(
    scene: Scene,
) -> None:
    scene.provider.faults({"hold": "answer"})
    for process in scene.pool:
        process.call(scene.user, THREADS)
    scene.provider.holds_one()
    for process in scene.pool:
        process.reported("waiting")
    scene.provider.tell("release")
    answers = [answer for process in scene.pool for answer in process.answers()]
    served = {answer.get("token") for answer in answers}
    assert len(answers) == CALLERS
    assert len(served) == 1, answers
    assert {answer["version"] for answer in answers} == {2}
    counts = scene.tally("200 callers, 8 processes", CALLERS, len(answers))
    assert came_to(counts) == (1, 0, 0)


@pytest.mark.parametrize("skew", [-120, 120])
def test_clocks_two_minutes_off_the_providers_redeem_once(scene: Scene, skew: int) -> None:
    for process in scene.pool:
        process.call(scene.user, 5, skew=skew)
    answers = [answer for process in scene.pool for answer in process.answers()]
    assert {answer.get("version") for answer in answers} == {2}
    counts = scene.tally(f"all clocks {skew:+d} s, 8 processes", 40, 40)
    assert came_to(counts) == (1, 0, 0)


@pytest.mark.parametrize("holder", [-120, 120])
def test_clocks_that_disagree_by_four_minutes_redeem_once(scene: Scene, holder: int) -> None:
    scene.provider.faults({"hold": "answer"})
    first, *others = scene.pool
    first.call(scene.user, skew=holder)
    scene.provider.holds_one()
    for process in others:
        process.call(scene.user, 5, skew=-holder)
    for process in others:
        process.reported("waiting")
    scene.provider.tell("release")
    answers = [answer for process in scene.pool for answer in process.answers()]
    assert {answer.get("version") for answer in answers} == {2}
    counts = scene.tally(f"holder's clock {holder:+d} s, others' {-holder:+d} s", 36, 36)
    assert came_to(counts) == (1, 0, 0)
