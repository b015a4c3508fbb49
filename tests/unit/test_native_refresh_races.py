"""Refresh once: many callers, one redemption; whoever dies or is late undoes nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import Killed, RotatingTokenEndpoint
from tests.world import ALICE, GMAIL, World
from valet.errors import Busy, NotFound
from valet.models import AccountStatus, Secret, TokenSet
from valet.native import keys
from valet.native.clock import epoch
from valet.native.provider import InvalidGrant, ProviderUnavailable, TokenGrant
from valet.native.table import Put
from valet.native.tokens import LEASE, PATIENCE_SECONDS
from valet.tools.results import NotConnected

CALLERS = 40
LEASE_KEY = keys.lease(ALICE, GMAIL)


def expired(provider: RotatingTokenEndpoint | None = None) -> World:
    """Alice is connected; her access token has run out."""
    world = World(provider=provider) if provider else World()
    world.deployed().connected()
    world.provider.default = grant(2)
    world.now.advance(hours=1)
    return world


def grant(number: int) -> TokenGrant:
    return TokenGrant(Secret(f"at-{number}"), Secret(f"rt-{number}"), 3600, None)


def access(world: World) -> Secret:
    return world.usable()[0].access_token


def somebody_takes_the_lease(world: World) -> None:
    until = epoch(world.now() + LEASE)
    item = {"pk": LEASE_KEY.pk, "sk": LEASE_KEY.sk, "holder": "somebody", "until": until}
    world.table.write(Put(item))


def somebody_stores_a_newer_grant(world: World) -> None:
    before = world.account()
    tokens = TokenSet(Secret("at-9"), Secret("rt-9"), world.now() + timedelta(hours=1))
    world.grants.refreshed(before, tokens, before.scopes)


def test_forty_callers_of_a_provider_that_detects_reuse_redeem_once_and_all_succeed() -> None:
    provider = RotatingTokenEndpoint()
    world = expired(provider)
    waiting: set[int] = set()
    all_wait, answered = threading.Event(), threading.Event()

    def pause(_: float) -> None:
        waiting.add(threading.get_ident())
        if len(waiting) == CALLERS - 1:
            all_wait.set()
        answered.wait(5)

    def answer_when_all_others_wait() -> None:
        assert all_wait.wait(5)
        answered.set()

    provider.while_answering = answer_when_all_others_wait
    tokens = replace(world.tokens, pause=pause, elapsed=lambda: 0.0)
    account, connection = world.account(), world.configs.connections()[GMAIL]

    def call(_: int) -> Secret:
        return tokens.usable(account, connection)[0].access_token

    with ThreadPoolExecutor(CALLERS) as threads:
        results = list(threads.map(call, range(CALLERS)))
    assert results == [Secret("at-2")] * CALLERS
    assert provider.redemptions == 1
    assert not provider.family_revoked
    assert world.account().version == 2


def test_forty_callers_that_arrive_one_by_one_with_an_old_view_redeem_once_too() -> None:
    provider = RotatingTokenEndpoint()
    world = expired(provider)
    stale = world.account()
    assert {world.usable(stale)[0].access_token for _ in range(CALLERS)} == {Secret("at-2")}
    assert provider.redemptions == 1
    assert not provider.family_revoked


def test_whoever_loses_the_race_uses_the_old_token_while_it_lasts_and_does_not_wait() -> None:
    world = expired()
    world.now.advance(seconds=-200)
    losers: list[Secret] = []

    def answering() -> TokenGrant:
        losers.append(access(world))
        return grant(2)

    world.provider.answers = [answering]
    assert access(world) == Secret("at-2")
    assert losers == [Secret("at-1")]
    assert world.waited == []
    assert len(world.provider.calls) == 1


def test_whoever_has_no_valid_token_waits_and_gets_the_winners() -> None:
    world = expired()
    somebody_takes_the_lease(world)
    world.while_waiting = [
        lambda: None,
        lambda: None,
        lambda: somebody_stores_a_newer_grant(world),
    ]
    assert access(world) == Secret("at-9")
    assert len(world.waited) == 3
    assert all(0.05 <= pause <= 0.15 for pause in world.waited)
    assert world.provider.calls == []


def test_whoever_waits_for_an_account_that_ends_is_told_so() -> None:
    world = expired()
    somebody_takes_the_lease(world)
    world.while_waiting = [lambda: world.disconnect.disconnect(ALICE, GMAIL)]
    with pytest.raises(NotConnected, match="disconnected"):
        world.usable()


def test_whoever_waits_too_long_is_told_to_try_again() -> None:
    world = expired()
    somebody_takes_the_lease(world)
    with pytest.raises(Busy):
        world.usable()
    assert PATIENCE_SECONDS < sum(world.waited) < PATIENCE_SECONDS + 1
    assert world.account().status is AccountStatus.ACTIVE


def test_a_finished_refresh_gives_its_lease_back() -> None:
    world = expired()
    access(world)
    assert LEASE_KEY not in world.table.items


def test_after_a_death_before_the_provider_answered_another_takes_over() -> None:
    world = expired()
    world.provider.answers = [Killed()]
    with pytest.raises(Killed):
        world.usable()
    with pytest.raises(Busy):
        world.usable()
    assert len(world.provider.calls) == 1, "the lease is respected while it runs"
    world.now.advance(seconds=LEASE.total_seconds())
    assert access(world) == Secret("at-2")


def test_after_a_death_before_saving_a_provider_that_does_not_rotate_loses_nothing() -> None:
    world = expired()
    world.vault.fails_with = None
    world.provider.answers = [lambda: dying(world)]
    with pytest.raises(Killed):
        world.usable()
    world.vault.fails_with = None
    world.now.advance(seconds=LEASE.total_seconds() + 1)
    assert access(world) == Secret("at-2")
    assert [call["refresh_token"] for call in world.provider.calls] == ["rt-1", "rt-1"]


def dying(world: World) -> TokenGrant:
    world.vault.fails_with = Killed()
    return grant(2)


def test_after_a_death_before_saving_a_provider_that_rotates_costs_one_new_consent() -> None:
    provider = RotatingTokenEndpoint()
    world = expired(provider)
    provider.while_answering = lambda: setattr(world.vault, "fails_with", Killed())
    with pytest.raises(Killed):
        world.usable()
    world.vault.fails_with = None
    world.now.advance(seconds=LEASE.total_seconds() + 1)
    with pytest.raises(NotConnected):
        world.usable()
    assert world.account().status is AccountStatus.EXPIRED


def test_a_late_answer_is_dropped_when_a_newer_grant_is_there() -> None:
    world = expired()

    def late() -> TokenGrant:
        world.now.advance(seconds=LEASE.total_seconds() + 1)
        world.provider.answers = [grant(5)]
        assert access(world) == Secret("at-5")
        return grant(2)

    world.provider.answers = [late]
    assert access(world) == Secret("at-5")
    assert world.account().version == 2


def test_a_late_answer_is_kept_when_nothing_newer_is_there_though_the_lease_is_lost() -> None:
    world = expired()

    def late() -> TokenGrant:
        world.now.advance(seconds=LEASE.total_seconds() + 1)
        somebody_takes_the_lease(world)
        return grant(2)

    world.provider.answers = [late]
    assert access(world) == Secret("at-2")
    assert world.account().version == 2
    assert world.table.items[LEASE_KEY]["holder"] == "somebody", "whose lease it is by now"


def test_a_late_answer_revives_an_account_that_its_sibling_marked_expired() -> None:
    world = expired()

    def late() -> TokenGrant:
        world.now.advance(seconds=LEASE.total_seconds() + 1)
        world.provider.answers = [InvalidGrant("the late one has redeemed it")]
        with pytest.raises(NotConnected):
            world.usable()
        assert world.account().status is AccountStatus.EXPIRED
        return grant(2)

    world.provider.answers = [late]
    assert access(world) == Secret("at-2")
    assert world.account().status is AccountStatus.ACTIVE


def test_a_refusal_while_a_sibling_has_won_uses_the_siblings_tokens() -> None:
    world = expired()

    def overtaken() -> TokenGrant:
        somebody_stores_a_newer_grant(world)
        raise InvalidGrant("rt-1 was redeemed by the sibling")

    world.provider.answers = [overtaken]
    assert access(world) == Secret("at-9")
    assert world.account().status is AccountStatus.ACTIVE


def test_a_refusal_of_one_whose_lease_has_passed_on_does_not_expire_the_account() -> None:
    world = expired()

    def overtaken() -> TokenGrant:
        world.now.advance(seconds=LEASE.total_seconds() + 1)
        somebody_takes_the_lease(world)
        raise InvalidGrant("the next holder is redeeming it now")

    world.provider.answers = [overtaken]
    with pytest.raises(Busy):
        world.usable()
    assert world.account().status is AccountStatus.ACTIVE


def test_a_disconnect_during_a_refresh_is_not_undone() -> None:
    world = expired()

    def disconnected_meanwhile() -> TokenGrant:
        world.disconnect.disconnect(ALICE, GMAIL)
        return grant(2)

    world.provider.answers = [disconnected_meanwhile]
    with pytest.raises(NotConnected, match="disconnected"):
        world.usable()
    account = world.account()
    assert (account.status, account.sealed) == (AccountStatus.DISCONNECTED, b"")
    with pytest.raises(NotFound):
        world.disconnect.disconnect(ALICE, GMAIL)


def test_a_new_consent_during_a_refresh_wins_over_it() -> None:
    world = expired()

    def reconnected_meanwhile() -> TokenGrant:
        world.reconnected(access_token=Secret("at-7"), refresh_token=Secret("rt-7"))
        return grant(2)

    world.provider.answers = [reconnected_meanwhile]
    assert access(world) == Secret("at-7")
    assert world.usable()[0].refresh_token == Secret("rt-7")


def test_a_failure_of_one_whose_lease_has_passed_on_does_not_cool_the_next_holder_down() -> None:
    world = expired()

    def overtaken() -> TokenGrant:
        world.now.advance(seconds=LEASE.total_seconds() + 1)
        somebody_takes_the_lease(world)
        raise ProviderUnavailable("503")

    world.provider.answers = [overtaken]
    with pytest.raises(ProviderUnavailable):
        world.usable()
    assert world.table.items[LEASE_KEY]["holder"] == "somebody"


def test_the_lease_outlives_the_token_endpoints_timeouts() -> None:
    connect_and_read = 2 + 8
    assert LEASE.total_seconds() > connect_and_read + PATIENCE_SECONDS - 1
