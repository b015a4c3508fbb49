"""Disconnecting: erased here in any case, revoked at the provider where that hurts nothing else."""

from __future__ import annotations

import pytest

from tests.fakes import Killed
from tests.world import ALICE, BOB, CALENDAR, GMAIL, World
from valet.backend import Disconnection
from valet.errors import Busy, Misconfigured, NotFound, ProviderFailure, ValetError
from valet.models import AccountStatus, Secret
from valet.native import keys
from valet.native.provider import InvalidGrant, ProviderUnavailable
from valet.tools.results import NotConnected


def test_the_tokens_are_erased_and_revoked_once() -> None:
    world = World().deployed()
    world.connected()
    assert world.disconnect.disconnect(ALICE, GMAIL) == Disconnection(GMAIL, revoked=True)
    account = world.account()
    assert (account.status, account.sealed, account.scopes) == ("DISCONNECTED", b"", frozenset())
    item = world.table.items[keys.account(ALICE, GMAIL)]
    assert not {"sealed", "token_expires_at", "pending_until"} & set(item)
    assert [(c["grant"], c["token"]) for c in world.provider.calls] == [("revoke", "rt-1")]
    with pytest.raises(NotConnected, match="disconnected"):
        world.usable()


def test_the_tokens_are_erased_before_the_provider_is_asked() -> None:
    world = World().deployed()
    world.connected()
    world.provider.revoke_fails_with = Killed()
    with pytest.raises(Killed):
        world.disconnect.disconnect(ALICE, GMAIL)
    assert (world.account().status, world.account().sealed) == ("DISCONNECTED", b"")


@pytest.mark.parametrize("failure", [ProviderUnavailable, ProviderFailure, Misconfigured])
def test_a_provider_that_fails_does_not_keep_the_user_connected(
    failure: type[ValetError],
) -> None:
    world = World().deployed()
    world.connected()
    world.provider.revoke_fails_with = failure("x")
    assert world.disconnect.disconnect(ALICE, GMAIL) == Disconnection(GMAIL, revoked=False)
    assert world.account().status is AccountStatus.DISCONNECTED
    assert len(world.provider.calls) == 1


def test_without_an_oauth_client_the_user_is_disconnected_all_the_same() -> None:
    world = World().deployed()
    world.connected()
    world.clients.clients.clear()
    assert not world.disconnect.disconnect(ALICE, GMAIL).revoked
    assert world.account().status is AccountStatus.DISCONNECTED


def test_tokens_that_do_not_open_are_erased_all_the_same() -> None:
    world = World().deployed()
    world.connected()
    world.table.items[keys.account(ALICE, GMAIL)]["sealed"] = b"tampered"
    assert not world.disconnect.disconnect(ALICE, GMAIL).revoked
    assert world.account().status is AccountStatus.DISCONNECTED


def test_nothing_is_revoked_while_a_sibling_connection_of_the_same_provider_is_active() -> None:
    world = World().deployed()
    world.connected(connection=GMAIL)
    world.connected(connection=CALENDAR)
    assert not world.disconnect.disconnect(ALICE, GMAIL).revoked
    assert world.provider.calls == []
    account = world.account(connection=CALENDAR)
    assert world.usable(account)[0].access_token == Secret("at-1")
    assert world.disconnect.disconnect(ALICE, CALENDAR).revoked, "the last one"


def test_another_users_sibling_connection_is_no_reason_not_to_revoke() -> None:
    world = World().deployed()
    world.connected(ALICE, GMAIL)
    world.connected(BOB, CALENDAR)
    assert world.disconnect.disconnect(ALICE, GMAIL).revoked
    assert world.account(BOB, CALENDAR).status is AccountStatus.ACTIVE


def test_an_expired_grant_is_erased_and_not_revoked() -> None:
    world = World().deployed()
    world.connected()
    world.provider.answers = [InvalidGrant("x")]
    with pytest.raises(NotConnected):
        world.usable(refused=True)
    world.provider.calls.clear()
    assert not world.disconnect.disconnect(ALICE, GMAIL).revoked
    assert world.account().sealed == b""
    assert world.provider.calls == []


def test_disconnecting_twice_says_not_found() -> None:
    world = World().deployed()
    world.connected()
    world.disconnect.disconnect(ALICE, GMAIL)
    with pytest.raises(NotFound):
        world.disconnect.disconnect(ALICE, GMAIL)
    assert len(world.provider.calls) == 1


def test_of_two_disconnects_at_once_one_revokes_and_the_other_says_not_found() -> None:
    world = World().deployed()
    world.connected()
    world.table.before_next_write(lambda: world.disconnect.disconnect(ALICE, GMAIL))
    with pytest.raises(NotFound):
        world.disconnect.disconnect(ALICE, GMAIL)
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize("name", ["", "nope", CALENDAR, "x" * 5000])
def test_what_was_never_connected_or_does_not_exist_is_not_found(name: str) -> None:
    world = World().deployed()
    world.connected()
    with pytest.raises(NotFound):
        world.disconnect.disconnect(ALICE, name)


def test_nobody_disconnects_somebody_else() -> None:
    world = World().deployed()
    before = world.connected(ALICE)
    with pytest.raises(NotFound):
        world.disconnect.disconnect(BOB, GMAIL)
    assert world.account(ALICE) == before


def test_a_disconnect_that_loses_a_race_to_a_refresh_disconnects_what_is_there_then() -> None:
    world = World().deployed()
    world.connected()
    world.table.before_next_write(
        lambda: world.reconnected(refresh_token=Secret("rt-2"), access_token=Secret("at-2"))
    )
    world.disconnect.disconnect(ALICE, GMAIL)
    assert world.account().status is AccountStatus.DISCONNECTED
    assert world.provider.calls[-1]["token"] == "rt-2"


def test_a_disconnect_that_keeps_losing_says_so_and_never_that_nothing_is_connected() -> None:
    world = World().deployed()
    world.connected()
    world.table.before_next_write(*[lambda: world.reconnected()] * 5)
    with pytest.raises(Busy):
        world.disconnect.disconnect(ALICE, GMAIL)
    assert world.account().status is AccountStatus.ACTIVE


def test_a_disconnected_user_can_connect_again() -> None:
    world = World().deployed()
    world.connected()
    world.disconnect.disconnect(ALICE, GMAIL)
    account = world.connected()
    assert (account.status, account.version) == (AccountStatus.ACTIVE, 3)
    assert world.usable()[0].access_token == Secret("at-1")


def test_a_consent_that_is_verified_after_a_disconnect_connects_anew() -> None:
    world = World().deployed()
    world.connected()
    authorization_id = world.started().authorization()
    world.disconnect.disconnect(ALICE, GMAIL)
    assert world.account().status is AccountStatus.DISCONNECTED
    assert world.verification.verify(authorization_id, ALICE).status is AccountStatus.ACTIVE
