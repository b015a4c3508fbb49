"""What apps are told: each change of a status, each refused link, each changed URL; no more."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta

import pytest

from tests.world import ALICE, BOB, CONFIG, GMAIL, World
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.events import Event, EventType, LazyEvents
from valet.native.provider import InvalidGrant
from valet.native.vault import SealBroken
from valet.tools.results import NotConnected


def changes(world: World) -> list[tuple[str | None, str | None]]:
    return [
        (event.previous_status, event.status)
        for event in world.events.told
        if event.type is EventType.ACCOUNT_STATUS_CHANGED
    ]


def test_the_life_of_a_grant_is_told_step_by_step() -> None:
    world = World().deployed()
    world.connected()
    world.now.advance(hours=2)
    world.provider.answers.append(InvalidGrant("no"))
    with pytest.raises(NotConnected):
        world.usable()
    world.disconnect.disconnect(ALICE, GMAIL)
    assert changes(world) == [
        ("PENDING_AUTH", "PENDING_VERIFICATION"),
        ("PENDING_VERIFICATION", "ACTIVE"),
        ("ACTIVE", "EXPIRED"),
        ("EXPIRED", "DISCONNECTED"),
    ]


def test_a_reconnect_of_the_same_account_changes_no_status() -> None:
    world = World().deployed()
    world.connected()
    world.events.told.clear()
    world.reconnected()
    assert world.events.told == []


def test_a_refresh_is_nobodys_business() -> None:
    world = World().deployed()
    world.connected()
    world.events.told.clear()
    world.now.advance(hours=2)
    world.usable()
    assert world.events.told == []


def test_a_link_that_somebody_else_used_is_told() -> None:
    world = World().deployed()
    authorization_id = world.started(world.ticket(ALICE)).authorization()
    world.events.told.clear()
    for _ in range(2):
        with pytest.raises(WrongUser):
            world.verification.verify(authorization_id, BOB)
    assert [(e.type, e.user, e.reason) for e in world.events.told] == [
        (EventType.AUTHORIZATION_REJECTED, ALICE, "wrong_user")
    ]


def test_rotated_and_revoked_urls_are_told() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.instances.rotate(instance.id, ALICE, timedelta(0))
    world.instances.delete(instance.id, ALICE)
    assert [(e.type, e.instance, e.config) for e in world.events.told] == [
        (EventType.URL_ROTATED, instance.id, CONFIG),
        (EventType.URL_REVOKED, instance.id, CONFIG),
    ]


def test_no_event_carries_what_opens_or_names_anything() -> None:
    world = World().deployed()
    world.connected()
    told = json.dumps([asdict(event) for event in world.events.told])
    for secret in ("at-1", "rt-1", "alice@example.com", "google-alice", "code-1"):
        assert secret not in told


def test_the_means_of_telling_are_made_when_there_is_something_to_tell() -> None:
    world = World()
    made: list[int] = []

    def means() -> object:
        made.append(1)
        return world.events

    events = LazyEvents(means)  # type: ignore[arg-type]  # a fake
    assert made == []
    events.publish(Event(EventType.USER_ERASED, ALICE))
    assert (len(made), len(world.events.told)) == (1, 1)


def test_a_broken_seal_is_told_and_not_served() -> None:
    world = World().deployed()
    account = world.connected()
    world.events.told.clear()
    row = world.table.items[keys.account(ALICE, GMAIL)]
    row["sealed"] = row["sealed"][:-2] + b"xx"
    with pytest.raises(SealBroken):
        world.usable(world.account())
    assert [(e.type, e.connection) for e in world.events.told] == [(EventType.SEAL_BROKEN, GMAIL)]
    assert world.account().status is account.status
