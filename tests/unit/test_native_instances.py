"""Instances: one a user and config, with a URL that stays until it is rotated or deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from tests.fakes import key_ring
from tests.world import ALICE, BOB, CONFIG, GMAIL, URL, World
from valet.errors import BadRequest, Busy, Conflict, Misconfigured, NotFound, UnknownName
from valet.models import ConnectionTools, InstanceId
from valet.native import keys
from valet.native.url_keys import UrlKey

NOW = timedelta(0)


def test_ensuring_again_gives_the_same_instance_and_url_without_a_write() -> None:
    world = World().deployed()
    first = world.instances.ensure(CONFIG, ALICE)
    writes = world.table.writes
    world.now.advance(days=30)
    again = world.instances.ensure(CONFIG, ALICE)
    assert again == first
    assert world.instances.url(again) == world.instances.url(first)
    assert world.table.writes == writes


def test_the_url_is_the_public_origin_and_a_key() -> None:
    world = World().deployed()
    assert world.instances.url(world.instances.ensure(CONFIG, ALICE)).startswith(f"{URL}/mcp/mvk_")


def test_users_and_configs_have_instances_of_their_own() -> None:
    world = World().deployed()
    tools = [ConnectionTools(GMAIL)]
    world.configs.put("second", "", tools, owner="o", replaces=False)
    ids = {
        world.instances.ensure(config, user).id
        for config in (CONFIG, "second")
        for user in (ALICE, BOB)
    }
    assert len(ids) == 4
    assert [i.config for i in world.instances.of(ALICE)] == [CONFIG, "second"]


def test_fifty_first_calls_at_once_make_one_instance() -> None:
    world = World().deployed()
    start = Barrier(50)

    def ensure(_: int) -> str:
        start.wait()
        return world.instances.ensure(CONFIG, ALICE).id

    with ThreadPoolExecutor(50) as threads:
        ids = set(threads.map(ensure, range(50)))
    assert len(ids) == 1
    stored = [key for key in world.table.items if key.pk.startswith("INSTANCE#")]
    assert [key.pk for key in stored] == [f"INSTANCE#{ids.pop()}"]


def test_an_ensure_that_loses_the_race_gives_the_winners_instance() -> None:
    world = World().deployed()
    won: list[str] = []
    world.table.before_next_write(lambda: won.append(world.instances.ensure(CONFIG, ALICE).id))
    assert [world.instances.ensure(CONFIG, ALICE).id] == won


def test_an_ensure_that_keeps_losing_is_told_to_try_again() -> None:
    world = World().deployed()
    pointer = keys.owned_instance(ALICE, CONFIG)
    # Whoever deletes is always between our two reads.
    world.table.items[pointer] = {"pk": pointer.pk, "sk": pointer.sk, "id": "ins_gone"}
    with pytest.raises(Busy):
        world.instances.ensure(CONFIG, ALICE)


def test_deleting_kills_the_url_for_good_and_ensuring_makes_another() -> None:
    world = World().deployed()
    first = world.instances.ensure(CONFIG, ALICE)
    key = world.url_key()
    world.instances.delete(first.id, ALICE)
    second = world.instances.ensure(CONFIG, ALICE)
    assert second.id != first.id
    assert world.sessions.open(key) is None
    assert world.sessions.open(world.url_key())


def test_deleting_twice_says_not_found_and_leaves_a_later_instance() -> None:
    world = World().deployed()
    first = world.instances.ensure(CONFIG, ALICE)
    world.instances.delete(first.id, ALICE)
    second = world.instances.ensure(CONFIG, ALICE)
    with pytest.raises(NotFound):
        world.instances.delete(first.id, ALICE)
    assert world.instances.get(second.id, ALICE) == second


def test_of_two_deletes_at_once_one_says_not_found() -> None:
    world = World().deployed()
    first = world.instances.ensure(CONFIG, ALICE)
    world.table.before_next_write(lambda: world.instances.delete(first.id, ALICE))
    with pytest.raises(NotFound):
        world.instances.delete(first.id, ALICE)
    assert world.instances.of(ALICE) == []


def test_deleting_an_instance_leaves_the_users_grants() -> None:
    world = World().deployed()
    world.connected()
    world.instances.delete(world.instances.ensure(CONFIG, ALICE).id, ALICE)
    assert world.account().status == "ACTIVE"


def test_rotating_without_grace_kills_the_old_url_at_once() -> None:
    world = World().deployed()
    old = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    rotated = world.instances.rotate(instance.id, ALICE, NOW)
    assert (rotated.id, rotated.generation) == (instance.id, 2)
    assert world.instances.ensure(CONFIG, ALICE) == rotated
    assert world.sessions.open(old) is None
    assert world.sessions.open(world.url_key())


def test_rotating_with_grace_keeps_the_old_url_exactly_that_long() -> None:
    world = World().deployed()
    old = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.instances.rotate(instance.id, ALICE, timedelta(hours=1))
    world.now.advance(seconds=3599)
    assert world.sessions.open(old)
    world.now.advance(seconds=1)
    assert world.sessions.open(old) is None
    assert world.sessions.open(world.url_key())


def test_a_second_rotation_ends_the_first_ones_grace() -> None:
    world = World().deployed()
    first = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.instances.rotate(instance.id, ALICE, timedelta(hours=1))
    second = world.url_key()
    world.instances.rotate(instance.id, ALICE, timedelta(hours=1))
    assert world.sessions.open(first) is None
    assert world.sessions.open(second)


def test_of_two_rotations_at_once_one_wins_and_the_other_is_told() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.table.before_next_write(lambda: world.instances.rotate(instance.id, ALICE, NOW))
    with pytest.raises(Conflict) as refusal:
        world.instances.rotate(instance.id, ALICE, NOW)
    assert refusal.value.code == "rotated_concurrently"
    assert world.instances.get(instance.id, ALICE).generation == 2


def test_a_rotation_does_not_bring_a_deleted_instance_back() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.table.before_next_write(lambda: world.instances.delete(instance.id, ALICE))
    with pytest.raises(Conflict):
        world.instances.rotate(instance.id, ALICE, NOW)
    assert keys.instance(instance.id) not in world.table.items


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(hours=24, seconds=1)])
def test_a_grace_outside_a_day_is_refused(grace: timedelta) -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    with pytest.raises(BadRequest):
        world.instances.rotate(instance.id, ALICE, grace)


def test_somebody_elses_instance_is_not_found_like_one_that_does_not_exist() -> None:
    world = World().deployed()
    alices = world.instances.ensure(CONFIG, ALICE)
    answers = set()
    for instance_id in (alices.id, InstanceId("ins_" + "0" * 32)):
        for attempt in (
            lambda i: world.instances.get(i, BOB),
            lambda i: world.instances.delete(i, BOB),
            lambda i: world.instances.rotate(i, BOB, NOW),
        ):
            with pytest.raises(NotFound) as refusal:
                attempt(instance_id)
            answers.add((refusal.value.code, str(refusal.value)))
    assert len(answers) == 1
    assert world.instances.get(alices.id, ALICE) == alices
    assert world.instances.of(BOB) == []


@pytest.mark.parametrize("instance_id", ["", "ins_", "x" * 5000, "ins_a#b", "é", "CONFIG"])
def test_an_instance_id_of_any_shape_is_just_not_found(instance_id: str) -> None:
    with pytest.raises(NotFound):
        World().deployed().instances.get(instance_id, ALICE)


def test_an_unknown_config_is_answered_with_the_nearest() -> None:
    world = World().deployed()
    with pytest.raises(UnknownName, match=f"did you mean '{CONFIG}'") as refusal:
        world.instances.ensure("email-calender-assistant", ALICE)
    assert refusal.value.code == "unknown_config"
    with pytest.raises(UnknownName):
        world.instances.ensure("x" * 5000, ALICE)


def test_rolling_the_key_ring_keeps_urls_and_signs_new_ones_with_the_new_key() -> None:
    world = World().deployed()
    before = world.url_key()
    world.ring = key_ring("k2", "k1")
    assert world.url_key() == before
    assert world.sessions.open(before)
    assert world.instances.ensure(CONFIG, BOB).key_id == "k2"
    instance = world.instances.ensure(CONFIG, ALICE)
    assert world.instances.rotate(instance.id, ALICE, timedelta(hours=1)).key_id == "k2"
    assert world.sessions.open(before), "within its grace, signed by the old key"
    assert world.sessions.open(world.url_key())


def test_a_key_of_the_ring_that_did_not_sign_an_instances_url_opens_nothing() -> None:
    world = World(ring=key_ring("k1", "k0")).deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    # What somebody can make who got hold of the ring's old key.
    forged = world.url_keys.derive(UrlKey(instance.id, instance.generation, "k0"))
    assert world.url_keys.parse(forged)
    assert world.sessions.open(forged) is None


def test_a_ring_that_lost_an_instances_key_says_so_and_a_rotation_heals_it() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.ring = key_ring("k2")
    with pytest.raises(Misconfigured, match="'k1'"):
        world.instances.url(instance)
    rotated = world.instances.rotate(instance.id, ALICE, NOW)
    assert world.sessions.open(world.instances.url(rotated).rsplit("/", 1)[1])


def test_nothing_in_the_table_holds_a_url_key() -> None:
    world = World().deployed()
    key = world.url_key()
    assert key[4:-6] not in repr(world.table.items)
