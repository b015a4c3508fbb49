"""Forgetting a user: nothing of them is left, nobody else loses anything, the answer says so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, World
from valet.connectors.catalog import load_connector
from valet.errors import Gone
from valet.models import Access, AccountStatus
from valet.native import keys
from valet.native.events import EventType
from valet.native.limits import READS, Tally, minute_of
from valet.native.provider import ProviderUnavailable
from valet.native.table import TableUnavailable

if TYPE_CHECKING:
    from valet.models import UserKey

FETCH = load_connector("gmail").tool("gmail_fetch_mails")


def lived_in() -> World:
    """Alice and Bob, with an instance, two grants, a link, a consent under way, and calls made."""
    world = World().deployed()
    for user in (ALICE, BOB):
        instance = world.instances.ensure(CONFIG, user)
        world.session_tokens.issue(instance.id, user, timedelta(hours=1), Access.FULL)
        world.connected(user)
        world.connected(user, CALENDAR)
        world.started(world.ticket(user))
        world.started(world.ticket(user)).returns()
        world.ledger.begin(user, "f" * 64)
        for _ in range(READS.sample):
            world.limits.count(user, Tally(minute_of(world.now), {}), FETCH)
    world.provider.calls.clear()
    return world


def down() -> None:
    raise TableUnavailable(writing=True)


def traces(world: World, user: UserKey) -> list[str]:
    rows = [json.dumps(item, default=repr) for item in world.table.items.values()]
    return [row for row in rows if user in row]


def test_nothing_of_the_user_is_left_and_everything_of_others() -> None:
    world = lived_in()
    of_bob = traces(world, BOB)
    erased = world.erase.erase(ALICE)
    assert traces(world, ALICE) == []
    assert traces(world, BOB) == of_bob
    assert erased.counts == {
        "accounts": 2,
        "leases": 0,
        "session_tokens": 1,
        "instances": 1,
        "links": 4,
        "consents": 7,
        "calls": 1,
    }


def test_the_grant_is_taken_back_once_a_provider() -> None:
    world = lived_in()
    assert world.erase.erase(ALICE).revoked == ["google"]
    assert [call["grant"] for call in world.provider.calls] == ["revoke"]


def test_a_provider_that_does_not_answer_keeps_nothing_here() -> None:
    world = lived_in()
    world.provider.revoke_fails_with = ProviderUnavailable("down")
    assert world.erase.erase(ALICE).revoked == []
    assert traces(world, ALICE) == []


def test_a_table_that_fails_halfway_keeps_no_grant_alive_at_its_provider() -> None:
    world = lived_in()
    world.table.before_next_write(*[lambda: None] * 3, down)
    with pytest.raises(TableUnavailable):
        world.erase.erase(ALICE)
    assert [call["grant"] for call in world.provider.calls] == ["revoke"]
    world.erase.erase(ALICE)
    assert traces(world, ALICE) == []


def test_the_url_and_the_links_of_an_erased_user_are_dead() -> None:
    world = lived_in()
    url = world.instances.url(world.instances.ensure(CONFIG, ALICE))
    ticket = world.ticket()
    assert world.sessions.open(url.rsplit("/", 1)[1])
    world.erase.erase(ALICE)
    assert world.sessions.open(url.rsplit("/", 1)[1]) is None
    with pytest.raises(Gone):
        world.consent.page(ticket)


def test_an_erased_users_session_tokens_are_dead_though_the_index_has_not_seen_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = lived_in()
    token = world.token()
    assert world.sessions.open_token(token)
    monkeypatch.setattr(world.table, "keys_of_user", lambda _: [])  # it follows within moments
    world.erase.erase(ALICE)
    assert world.sessions.open_token(token) is None


def test_erasing_twice_and_erasing_a_stranger_find_nothing() -> None:
    world = lived_in()
    world.erase.erase(ALICE)
    again = world.erase.erase(ALICE)
    assert set(again.counts.values()) == {0}
    assert again.revoked == []


def test_a_refresh_under_way_does_not_bring_an_erased_account_back() -> None:
    world = lived_in()
    account = world.account()
    world.now.advance(hours=2)
    refreshed = world.grant({})

    def answer_after_erasure() -> object:
        world.erase.erase(ALICE)
        return refreshed

    world.provider.default = answer_after_erasure  # type: ignore[assignment]  # a late answer
    with pytest.raises(Exception, match="not been authorized"):
        world.tokens.usable(account, world.configs.connections()[GMAIL])
    assert world.table.get(keys.account(ALICE, GMAIL)) is None


def test_an_erased_user_starts_anew() -> None:
    world = lived_in()
    world.erase.erase(ALICE)
    assert world.connected().status is AccountStatus.ACTIVE


def test_it_is_told_without_naming_anyone() -> None:
    world = lived_in()
    world.events.told.clear()
    world.erase.erase(ALICE)
    assert [event.type for event in world.events.told] == [EventType.USER_ERASED]
