"""A usable access token: when it is refreshed, and what each answer of the provider comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.world import ALICE, GMAIL, READONLY, World
from valet.errors import Busy, Misconfigured, ProviderFailure
from valet.models import AccountStatus, Secret
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClient,
    ProviderUnavailable,
    TokenGrant,
)
from valet.native.tokens import COOL_DOWN, PATIENCE_SECONDS
from valet.native.vault import SealBroken
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from valet.models import Account

OLD, NEW = Secret("at-1"), Secret("at-2")
RENEWED = TokenGrant(NEW, None, 3600, None)
SOFT, HARD = 3600 - 300, 3600 - 30  # seconds after which to refresh, and not to use any more


def connected(age: float) -> World:
    """Alice is connected; her access token of one hour is this many seconds old."""
    world = World().deployed()
    world.connected()
    world.provider.default = RENEWED
    world.now.advance(seconds=age)
    return world


def access(world: World, account: Account | None = None, *, refused: bool = False) -> Secret:
    return world.usable(account, refused=refused)[0].access_token


def test_a_fresh_token_is_used_without_a_request_or_a_write() -> None:
    world = connected(SOFT - 1)
    account = world.account()
    requests = len(world.table.requests)
    assert world.usable(account)[1] == account
    assert world.provider.calls == []
    assert len(world.table.requests) == requests + 1, "the test's own read of the connections"


@pytest.mark.parametrize("age", [SOFT, HARD - 1, HARD, 3600, 3600 + 120, 90 * 86400])
def test_from_five_minutes_before_its_end_a_token_is_refreshed_first(age: int) -> None:
    world = connected(age)
    assert access(world) == NEW
    assert [call["grant"] for call in world.provider.calls] == ["refresh"]
    assert world.account().version == 2
    assert access(world) == NEW
    assert len(world.provider.calls) == 1


def test_a_refresh_names_the_refresh_token_and_our_client() -> None:
    world = connected(HARD)
    access(world)
    [call] = world.provider.calls
    assert (call["refresh_token"], call["client_secret"]) == ("rt-1", "client-secret-1")


def test_a_refresh_without_a_new_refresh_token_keeps_the_old_and_the_identity() -> None:
    world = connected(HARD)
    tokens, account = world.usable()
    assert tokens.refresh_token == Secret("rt-1")
    assert (tokens.subject, tokens.email) == ("google-alice", "alice@example.com")
    assert account.scopes >= {READONLY}
    assert tokens.expires_at == world.now() + timedelta(hours=1)


def test_a_rotated_refresh_token_replaces_the_old_together_with_the_access_token() -> None:
    world = connected(HARD)
    world.provider.answers = [replace(RENEWED, refresh_token=Secret("rt-2"))]
    access(world)
    tokens, _ = world.usable()
    assert (tokens.access_token, tokens.refresh_token) == (NEW, Secret("rt-2"))


def test_a_refresh_that_grants_less_is_stored_as_granted() -> None:
    world = connected(HARD)
    world.provider.answers = [replace(RENEWED, scopes=frozenset({"openid"}))]
    assert world.usable()[1].scopes == world.account().scopes == {"openid"}


def test_a_token_that_the_provider_refused_is_refreshed_however_fresh_it_looks() -> None:
    world = connected(0)
    assert access(world, refused=True) == NEW
    assert len(world.provider.calls) == 1


def test_a_refused_token_that_a_sibling_has_replaced_meanwhile_costs_no_request() -> None:
    world = connected(0)
    stale = world.account()
    access(world, refused=True)
    assert access(world, stale, refused=True) == NEW
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize("skew", [-120, 120])
def test_two_minutes_of_clock_skew_use_no_dead_token(skew: int) -> None:
    world = connected(3600 + skew)  # by the clock of the one who stored it, it ends now
    assert access(world) == NEW


def test_a_refused_refresh_token_expires_the_account_and_nothing_is_asked_any_more() -> None:
    world = connected(HARD)
    world.provider.default = InvalidGrant("revoked")
    with pytest.raises(NotConnected) as refusal:
        world.usable()
    assert refusal.value.connection == GMAIL
    assert world.account().status is AccountStatus.EXPIRED
    for _ in range(10):
        with pytest.raises(NotConnected):
            world.usable()
    assert len(world.provider.calls) == 1
    assert world.waited == []


def test_an_expired_account_works_again_after_a_new_consent() -> None:
    world = connected(HARD)
    world.provider.default = InvalidGrant("revoked")
    with pytest.raises(NotConnected):
        world.usable()
    assert world.connected().status is AccountStatus.ACTIVE
    assert access(world) == OLD


def test_a_grant_without_a_refresh_token_expires_with_its_access_token() -> None:
    world = connected(0)
    tokens, account = world.usable()
    world.grants.refreshed(account, replace(tokens, refresh_token=None), account.scopes)
    assert access(world) == OLD
    world.now.advance(seconds=HARD)
    with pytest.raises(NotConnected):
        world.usable()
    assert world.account().status is AccountStatus.EXPIRED
    assert world.provider.calls == []


NO_VERDICT = [ProviderUnavailable, ProviderFailure]  # a 503 or timeout, a senseless answer


@pytest.mark.parametrize("failure", NO_VERDICT)
def test_a_failing_provider_never_expires_the_account(failure: type[ProviderFailure]) -> None:
    world = connected(HARD)
    world.provider.answers = [failure("x") for _ in range(3)]
    for _ in range(3):
        with pytest.raises(ProviderFailure):
            world.usable()
        assert world.account().status is AccountStatus.ACTIVE
        world.now.advance(seconds=COOL_DOWN.total_seconds() + 1)
    assert access(world) == NEW
    assert len(world.provider.calls) == 4


@pytest.mark.parametrize("failure", NO_VERDICT)
def test_while_the_old_token_lasts_a_failing_provider_goes_unnoticed(
    failure: type[ProviderFailure],
) -> None:
    world = connected(SOFT)
    world.provider.answers = [failure("x")]
    assert access(world) == OLD
    assert access(world) == OLD, "and the provider is left alone for a while"
    assert len(world.provider.calls) == 1
    world.now.advance(seconds=COOL_DOWN.total_seconds() + 1)
    assert access(world) == NEW


def test_while_the_old_token_lasts_a_client_secret_out_of_reach_goes_unnoticed() -> None:
    world = connected(SOFT)
    world.clients.fails_with = Busy("Secrets Manager does not answer")
    assert access(world) == OLD
    world.now.advance(seconds=HARD - SOFT)
    with pytest.raises(Busy):
        world.usable()
    world.clients.fails_with = None
    world.now.advance(seconds=COOL_DOWN.total_seconds() + 1)
    assert access(world) == NEW


def test_during_the_cool_down_a_caller_is_told_at_once_and_not_kept_waiting() -> None:
    world = connected(HARD)
    world.provider.answers = [ProviderUnavailable("503")]
    with pytest.raises(ProviderUnavailable):
        world.usable()
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            world.usable()
    assert world.waited == []
    assert len(world.provider.calls) == 1


def test_after_a_cool_down_a_caller_waits_for_the_refresh_of_another_as_before() -> None:
    world = connected(HARD)
    world.provider.answers = [ProviderUnavailable("503")]
    with pytest.raises(ProviderUnavailable):
        world.usable()
    world.now.advance(seconds=COOL_DOWN.total_seconds() + 1)

    def while_it_answers() -> TokenGrant:
        with pytest.raises(Busy):
            world.usable()
        return RENEWED

    world.provider.answers = [while_it_answers]
    assert access(world) == NEW
    assert sum(world.waited) > PATIENCE_SECONDS


def test_a_refused_oauth_client_is_read_past_the_cache_once_and_the_new_secret_used() -> None:
    world = connected(HARD)

    def replaced() -> TokenGrant:
        world.clients.clients["google"] = OAuthClient("client-1", Secret("client-secret-2"))
        raise InvalidClient("x")

    world.provider.answers = [replaced]
    assert access(world) == NEW
    secrets = [call["client_secret"] for call in world.provider.calls]
    assert secrets == ["client-secret-1", "client-secret-2"]
    assert world.clients.fresh_reads == 1


def test_an_oauth_client_that_stays_refused_is_an_operators_matter_not_the_users() -> None:
    world = connected(HARD)
    world.provider.default = InvalidClient("x")
    with pytest.raises(Misconfigured) as refusal:
        world.usable()
    assert refusal.value.code == "invalid_client"
    assert world.account().status is AccountStatus.ACTIVE
    assert len(world.provider.calls) == 2
    assert world.clients.fresh_reads == 1


def test_a_missing_oauth_client_does_not_end_a_grant_either() -> None:
    world = connected(SOFT)
    clients, world.clients.clients = world.clients.clients, {}
    assert access(world) == OLD
    world.now.advance(seconds=299)
    with pytest.raises(Misconfigured):
        world.usable()
    world.clients.clients = clients
    world.now.advance(seconds=COOL_DOWN.total_seconds() + 1)
    assert access(world) == NEW


def test_tokens_of_another_user_or_connection_do_not_open_and_reach_no_provider() -> None:
    world = connected(HARD)
    mine = world.account()
    for moved in (
        replace(mine, user=type(ALICE)("somebody-else")),
        replace(mine, connection="OTHER"),
        replace(mine, connector="googlecalendar"),
    ):
        with pytest.raises(SealBroken):
            world.tokens.usable(moved, world.configs.connections()[GMAIL])
    assert world.provider.calls == []


def test_an_account_that_was_never_connected_or_waits_for_the_app_says_which() -> None:
    world = World().deployed()
    with pytest.raises(NotConnected, match="not been authorized"):
        world.usable()
    world.started().returns()
    with pytest.raises(NotConnected, match="not been finished"):
        world.usable()


def test_no_token_shows_in_what_is_printed_of_a_token_set_or_an_account() -> None:
    world = connected(0)
    tokens, account = world.usable()
    printed = f"{tokens} {tokens!r} {account!r} {tokens.access_token:>20}"
    assert "at-1" not in printed
    assert "rt-1" not in printed
    assert account.sealed.decode() not in printed
