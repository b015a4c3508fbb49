"""A lease is time: nothing is sent that could be answered after it, and waiting for it is cheap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.fakes import FakeTokenEndpoint, FakeVault
from tests.world import ALICE, GMAIL, World
from valet.adapters.token_endpoint import TIMEOUT
from valet.errors import Busy
from valet.models import AccountStatus, Secret, TokenSet
from valet.native import keys
from valet.native.clock import epoch
from valet.native.grants import Grants
from valet.native.provider import InvalidClient, ProviderUnavailable, TokenGrant
from valet.native.table import Put
from valet.native.tokens import COOL_DOWN, LEASE, REDEMPTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.native.vault import Owner

LEASE_KEY = keys.lease(ALICE, GMAIL)
RENEWED = TokenGrant(Secret("at-2"), Secret("rt-2"), 3600, None)
TOO_LONG = (LEASE - REDEMPTION).total_seconds() + 1


@dataclass
class SlowVault:
    """A vault that takes its time when the holder of the lease opens the tokens."""

    real: FakeVault
    slow: Callable[[], object]
    looks: int = 0

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        self.looks += 1
        if self.looks == 2:  # the first is to see whether they have run out
            self.slow()
        return self.real.open(sealed, owner)

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        return self.real.seal(plaintext, owner)


def expired(age: float = 3600) -> World:
    world = World().deployed()
    world.connected()
    world.provider.default = RENEWED
    world.now.advance(seconds=age)
    return world


def held_up(world: World, meanwhile: Callable[[], object] = lambda: None) -> Secret:
    """The access token that a caller gets whose vault is slow, and what others do meanwhile."""

    def slow() -> None:
        world.now.advance(seconds=TOO_LONG)
        meanwhile()

    grants = Grants(world.accounts, SlowVault(world.vault, slow))
    tokens = replace(world.tokens, grants=grants)
    connection = world.configs.connections()[GMAIL]
    return tokens.usable(world.account(), connection)[0].access_token


def test_a_holder_that_was_held_up_sends_nothing_and_leaves_the_lease_to_the_next() -> None:
    world = expired()
    with pytest.raises(Busy):
        held_up(world)
    assert world.provider.calls == []
    assert LEASE_KEY not in world.table.items
    assert world.usable()[0].access_token == Secret("at-2")


def test_a_holder_that_was_held_up_uses_the_old_token_while_it_lasts() -> None:
    world = expired(3600 - 200)
    assert held_up(world) == Secret("at-1")
    assert world.provider.calls == []


def test_a_holder_that_was_held_up_uses_what_a_sibling_has_stored_meanwhile() -> None:
    world = expired()

    def sibling() -> None:
        before = world.account()
        tokens = TokenSet(Secret("at-9"), Secret("rt-9"), world.now() + timedelta(hours=1))
        world.grants.refreshed(before, tokens, before.scopes)

    assert held_up(world, sibling) == Secret("at-9")
    assert world.provider.calls == []


def test_a_holder_whose_vault_fails_gives_the_lease_back() -> None:
    world = expired()

    def down() -> None:
        raise Busy("the vault is not available", code="vault_unavailable")

    with pytest.raises(Busy) as refusal:
        held_up(world, down)
    assert refusal.value.code == "vault_unavailable"
    assert LEASE_KEY not in world.table.items
    assert world.account().status is AccountStatus.ACTIVE


def test_a_second_attempt_after_a_refused_client_is_made_in_time_or_not_at_all() -> None:
    world = expired()

    def slowly_refused() -> TokenGrant:
        world.now.advance(seconds=TOO_LONG)
        raise InvalidClient("x")

    world.provider.answers = [slowly_refused]
    with pytest.raises(Busy):
        world.usable()
    assert len(world.provider.calls) == 1
    assert world.account().status is AccountStatus.ACTIVE


def test_a_request_that_was_sent_in_time_is_answered_within_the_lease() -> None:
    assert TIMEOUT.connect is not None
    assert TIMEOUT.read is not None
    assert REDEMPTION.total_seconds() > TIMEOUT.connect + TIMEOUT.read
    assert LEASE > REDEMPTION


def test_whoever_waits_reads_both_items_at_once_and_writes_nothing() -> None:
    world = expired()
    until = epoch(world.now() + LEASE)
    item = {"pk": LEASE_KEY.pk, "sk": LEASE_KEY.sk, "holder": "somebody", "until": until}
    world.table.write(Put(item))
    account, connection = world.account(), world.configs.connections()[GMAIL]
    world.table.requests.clear()
    with pytest.raises(Busy):
        world.tokens.usable(account, connection)
    first, *rest = world.table.requests
    assert first == "write", "the attempt to take the lease"
    assert rest == ["get_many"] * len(world.waited)


def test_whoever_waits_takes_over_when_the_lease_is_given_back() -> None:
    world = expired()
    until = epoch(world.now() + LEASE)
    item = {"pk": LEASE_KEY.pk, "sk": LEASE_KEY.sk, "holder": "somebody", "until": until}
    world.table.write(Put(item))
    world.while_waiting = [lambda: world.table.items.pop(LEASE_KEY)]
    assert world.usable()[0].access_token == Secret("at-2")
    assert len(world.waited) == 1


def test_whoever_waits_is_told_when_the_provider_fails_the_one_who_asked() -> None:
    world = expired()
    failing = World(
        table=world.table,
        now=world.now,
        vault=world.vault,
        clients=world.clients,
        provider=FakeTokenEndpoint(),
    )
    told: list[BaseException] = []

    def another_waits() -> TokenGrant:
        world.while_waiting = [lambda: None, fail]
        with pytest.raises(ProviderUnavailable) as refusal:
            world.usable()
        told.append(refusal.value)
        raise ProviderUnavailable("503")

    def fail() -> None:
        lease = world.table.items[LEASE_KEY]
        lease |= {"holder": "cooling", "until": epoch(world.now() + COOL_DOWN)}

    failing.provider.answers = [another_waits]
    with pytest.raises(ProviderUnavailable):
        failing.usable(world.account())
    assert len(told) == 1
    assert len(world.waited) == 2
    assert world.provider.calls == []
