"""Verify first, exchange second: only the user that a link was made for is ever connected."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from tests.fakes import Killed
from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, URL, World
from valet.errors import (
    Busy,
    Conflict,
    Gone,
    Misconfigured,
    NotFound,
    ProviderFailure,
)
from valet.models import AccountStatus, ConnectionTools, Secret
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.provider import InvalidClient, InvalidGrant, ProviderUnavailable
from valet.native.vault import SealBroken

if TYPE_CHECKING:
    from valet.native.table import Item


def row(world: World, authorization_id: str) -> Item:
    return world.table.items[keys.authorization(keys.digest(authorization_id))]


def test_the_user_that_the_link_was_made_for_becomes_connected() -> None:
    world = World().deployed()
    account = world.verification.verify(world.started().authorization(), ALICE)
    assert account.status is AccountStatus.ACTIVE
    assert account == world.account()
    tokens, _ = world.usable()
    assert tokens.access_token == Secret("at-1")
    assert (tokens.subject, tokens.email) == ("google-alice", "alice@example.com")


def test_a_forwarded_link_connects_nobody_and_is_dead_for_its_owner_too() -> None:
    world = World().deployed()
    authorization_id = world.started(world.ticket(ALICE)).authorization()
    with pytest.raises(WrongUser) as refusal:
        world.verification.verify(authorization_id, BOB)
    assert (refusal.value.code, refusal.value.connection) == ("wrong_user", GMAIL)
    assert ALICE not in str(refusal.value)
    assert world.account(ALICE).status is AccountStatus.PENDING_AUTH
    with pytest.raises(Conflict) as dead:
        world.verification.verify(authorization_id, ALICE)
    assert dead.value.code == "authorization_used"
    assert "sealed" not in row(world, authorization_id)
    assert world.account(ALICE).status is AccountStatus.PENDING_AUTH
    assert world.account(BOB).status is AccountStatus.PENDING_AUTH
    assert world.provider.calls == []


def test_a_wrong_user_leaves_the_grant_that_the_owner_already_had() -> None:
    world = World().deployed()
    before = world.connected()
    with pytest.raises(WrongUser):
        world.verification.verify(world.started().authorization(), BOB)
    assert world.account() == before
    assert world.provider.calls == []


def test_a_wrong_user_who_comes_late_changes_nothing() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    account = world.verification.verify(authorization_id, ALICE)
    with pytest.raises(WrongUser):
        world.verification.verify(authorization_id, BOB)
    assert world.account() == account


@pytest.mark.parametrize("authorization_id", ["", "nope", "x" * 5000, "é"])
def test_an_unknown_authorization_is_not_found(authorization_id: str) -> None:
    with pytest.raises(NotFound) as refusal:
        World().deployed().verification.verify(authorization_id, ALICE)
    assert refusal.value.code == "authorization_unknown"


def test_neither_the_state_nor_the_ticket_can_be_verified() -> None:
    world = World().deployed()
    ticket = world.ticket()
    flow = world.started(ticket)
    flow.returns()
    for text in (flow.query["state"], ticket, keys.digest(flow.query["state"])):
        with pytest.raises(NotFound):
            world.verification.verify(text, ALICE)


def test_verifying_twice_is_told_apart_and_exchanges_once() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.verification.verify(authorization_id, ALICE)
    with pytest.raises(Conflict) as refusal:
        world.verification.verify(authorization_id, ALICE)
    assert refusal.value.code == "authorization_used"
    assert len(world.provider.calls) == 1


def test_twenty_verifications_at_once_make_one_token_request() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    start = Barrier(20)

    def verify(_: int) -> str:
        start.wait()
        try:
            return world.verification.verify(authorization_id, ALICE).status
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as threads:
        outcomes = sorted(threads.map(verify, range(20)))
    assert outcomes == ["ACTIVE", *["authorization_used"] * 19]
    assert len(world.provider.calls) == 1


def test_a_verification_that_loses_the_race_exchanges_nothing() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.table.before_next_write(lambda: world.verification.verify(authorization_id, ALICE))
    with pytest.raises(Conflict):
        world.verification.verify(authorization_id, ALICE)
    assert len(world.provider.calls) == 1


def test_an_authorization_that_waited_too_long_is_gone() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.now.advance(minutes=5)
    with pytest.raises(Gone) as refusal:
        world.verification.verify(authorization_id, ALICE)
    assert refusal.value.code == "authorization_expired"
    assert world.provider.calls == []


def test_the_exchange_names_the_code_the_verifier_and_the_callback_of_this_flow() -> None:
    world = World().deployed()
    flow = world.started()
    world.verification.verify(flow.authorization(), ALICE)
    [call] = world.provider.calls
    digest = hashlib.sha256(call["verifier"].encode()).digest()
    assert urlsafe_b64encode(digest).decode().rstrip("=") == flow.query["code_challenge"]
    assert call["code"] == "code-1"
    assert call["redirect_uri"] == flow.query["redirect_uri"] == f"{URL}/oauth/callback/{GMAIL}"
    assert call["client_id"] == flow.query["client_id"]


def test_every_flow_proves_itself_with_a_verifier_of_its_own() -> None:
    world = World().deployed()
    for connection in (GMAIL, CALENDAR, GMAIL):
        world.verification.verify(world.started(connection=connection).authorization(), ALICE)
    verifiers = {call["verifier"] for call in world.provider.calls}
    assert len(verifiers) == 3


def test_a_code_that_the_provider_refuses_connects_nobody_and_ends_the_request() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.provider.answers = [InvalidGrant("a code from another session")]
    with pytest.raises(ProviderFailure) as refusal:
        world.verification.verify(authorization_id, ALICE)
    assert refusal.value.code == "code_refused"
    assert world.account().status is AccountStatus.PENDING_AUTH
    with pytest.raises(Conflict):
        world.verification.verify(authorization_id, ALICE)
    assert len(world.provider.calls) == 1


def test_a_provider_that_is_down_connects_nobody() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.provider.answers = [ProviderUnavailable("down")]
    with pytest.raises(ProviderUnavailable):
        world.verification.verify(authorization_id, ALICE)
    assert world.account().status is AccountStatus.PENDING_AUTH
    assert row(world, authorization_id)["status"] == "FAILED"


def test_a_refused_oauth_client_is_an_operators_matter_and_is_read_again_for_the_next_user() -> (
    None
):
    world = World().deployed()
    world.provider.answers = [InvalidClient("x")]
    with pytest.raises(Misconfigured) as refusal:
        world.verification.verify(world.started().authorization(), ALICE)
    assert refusal.value.code == "invalid_client"
    assert world.clients.fresh_reads == 1


def test_a_connection_that_was_removed_meanwhile_is_not_connected() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.configs.delete_connection(GMAIL, owner="s/Gmail")
    world.configs.put_connection(GMAIL, "googlecalendar", None, owner="o", replaces=False)
    with pytest.raises(Conflict) as refusal:
        world.verification.verify(authorization_id, ALICE)
    assert refusal.value.code == "connection_changed"
    assert world.provider.calls == []


def test_a_parked_code_moved_to_another_users_request_does_not_open() -> None:
    world = World().deployed()
    bobs = world.started(world.ticket(BOB)).authorization()
    alices = world.started().authorization()
    row(world, bobs)["sealed"] = row(world, alices)["sealed"]
    with pytest.raises(SealBroken):
        world.verification.verify(bobs, BOB)
    assert world.provider.calls == []
    assert world.account(BOB).status is AccountStatus.PENDING_AUTH


def test_a_parked_code_does_not_pass_for_tokens() -> None:
    world = World().deployed()
    account = world.connected()
    with pytest.raises(SealBroken):
        world.grants.open(
            replace(account, sealed=row(world, world.started().authorization())["sealed"])
        )


def test_of_two_consents_finished_at_once_the_latest_is_stored_whole() -> None:
    world = World().deployed()
    mine = world.started().authorization()
    world.table.before_next_write(
        lambda: None,  # before the claim
        lambda: world.reconnected(access_token=Secret("at-rival")),
    )
    account = world.verification.verify(mine, ALICE)
    assert account == world.account()
    assert account.version == 2
    assert world.usable()[0].access_token == Secret("at-1")


def test_a_consent_that_meets_a_refresh_is_stored_on_top_of_it() -> None:
    world = World().deployed()
    world.connected()
    authorization_id = world.started().authorization()
    world.table.before_next_write(
        lambda: None,  # before the claim
        lambda: world.reconnected(access_token=Secret("at-rival")),
    )
    account = world.verification.verify(authorization_id, ALICE)
    assert account == world.account()
    assert account.version == 3, "a version stands for one set of tokens"


def test_a_vault_that_is_down_connects_nobody_and_blames_nobody() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.vault.fails_with = Busy("the key service is throttled")
    with pytest.raises(Busy):
        world.verification.verify(authorization_id, ALICE)
    assert world.account().status is AccountStatus.PENDING_AUTH


def test_a_process_that_dies_while_exchanging_leaves_a_request_that_cannot_be_repeated() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.provider.answers = [Killed()]
    with pytest.raises(Killed):
        world.verification.verify(authorization_id, ALICE)
    with pytest.raises(Conflict):
        world.verification.verify(authorization_id, ALICE)
    assert len(world.provider.calls) == 1
    assert world.account().status is AccountStatus.PENDING_VERIFICATION
    world.now.advance(minutes=5)
    assert world.account().status is AccountStatus.PENDING_AUTH
    assert world.connected().status is AccountStatus.ACTIVE


def test_connecting_one_connection_leaves_the_others() -> None:
    world = World().deployed()
    world.connected(connection=GMAIL)
    assert world.account(connection=CALENDAR).status is AccountStatus.PENDING_AUTH
    world.exposing(ConnectionTools(GMAIL), ConnectionTools(CALENDAR))
    world.connected(connection=CALENDAR)
    assert {a.status for a in world.accounts.of(ALICE, world.configs.connections()).values()} == {
        AccountStatus.ACTIVE
    }
    assert world.configs.get(CONFIG)
