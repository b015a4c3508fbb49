"""What the token endpoint's answer is worth: whose account, which scopes, for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.world import ALICE, BOB, GMAIL, READONLY, World
from valet.errors import Conflict, Gone, ProviderFailure, ValetError
from valet.models import AccountStatus, Secret
from valet.native.authorizations import WrongUser
from valet.native.clock import epoch
from valet.native.provider import InvalidGrant
from valet.native.verification import DifferentAccount


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": "accounts.google.com"},
        {"iss": None},
        {"aud": "client-2"},
        {"aud": ["client-1", "client-2"]},
        {"aud": []},
        {"aud": None},
        {"nonce": "another-flows"},
        {"nonce": ""},
        {"nonce": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("nan")},
        {"exp": 0},
        {"exp": True},
        {"sub": None},
        {"sub": 7},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_of_this_consent_connects_nobody(claims: dict[str, Any]) -> None:
    world = World().deployed()
    flow = world.started()
    grant = world.grant(flow.query)
    world.provider.default = replace(grant, claims={**(grant.claims or {}), **claims})
    with pytest.raises(ProviderFailure) as refusal:
        world.verification.verify(flow.authorization(), ALICE)
    assert refusal.value.code == "identity_mismatch"
    assert world.account().status is AccountStatus.PENDING_AUTH


def test_a_missing_id_token_connects_nobody() -> None:
    world = World().deployed()
    flow = world.started()
    world.provider.default = world.grant(flow.query, claims=None)
    with pytest.raises(ProviderFailure) as refusal:
        world.verification.verify(flow.authorization(), ALICE)
    assert refusal.value.code == "identity_mismatch"


def test_an_id_token_may_name_its_audience_in_a_list_and_be_two_minutes_off() -> None:
    world = World().deployed()
    flow = world.started()
    grant = world.grant(flow.query)
    slow = {"aud": ["client-1"], "exp": epoch(world.now()) - 119, "email": None}
    world.provider.default = replace(grant, claims={**(grant.claims or {}), **slow})
    assert world.verification.verify(flow.authorization(), ALICE).status is AccountStatus.ACTIVE


@pytest.mark.parametrize(
    ("granted", "stored"),
    [
        (frozenset({"openid"}), {"openid"}),
        (frozenset({"openid", READONLY, "more"}), {"openid", READONLY, "more"}),
        (frozenset(), set()),
        (None, {"openid", "email", READONLY}),  # RFC 6749 §3.3: as asked for
    ],
)
def test_scopes_are_stored_as_the_provider_granted_them(
    granted: frozenset[str] | None, stored: set[str]
) -> None:
    world = World().deployed()
    account = world.reconnected(scopes=granted)
    assert account.scopes == world.account().scopes == stored


def test_a_first_consent_without_a_refresh_token_is_refused() -> None:
    world = World().deployed()
    with pytest.raises(ProviderFailure) as refusal:
        world.reconnected(refresh_token=None)
    assert refusal.value.code == "no_offline_access"
    assert world.account().status is AccountStatus.PENDING_AUTH


def test_a_repeated_consent_without_a_refresh_token_keeps_the_old_one() -> None:
    world = World().deployed()
    world.connected()
    world.reconnected(access_token=Secret("at-2"), refresh_token=None)
    tokens, _ = world.usable()
    assert (tokens.access_token, tokens.refresh_token) == (Secret("at-2"), Secret("rt-1"))


def test_another_provider_account_without_a_refresh_token_never_inherits_the_old_one() -> None:
    world = World().deployed()
    before = world.connected()
    with pytest.raises(ProviderFailure) as refusal:
        world.reconnected(sub="google-somebody-else", refresh_token=None)
    assert refusal.value.code == "no_offline_access"
    assert world.account() == before, "the old grant goes on"


def test_an_ended_grants_refresh_token_is_not_kept() -> None:
    world = World().deployed()
    world.connected()
    world.provider.answers = [InvalidGrant("revoked")]
    with pytest.raises(ValetError):
        world.usable(refused=True)
    with pytest.raises(ProviderFailure):
        world.reconnected(refresh_token=None)


def held(world: World) -> str:
    """Alice, who is connected, has consented with another account: its authorization."""
    flow = world.started()
    grant = world.grant(flow.query)
    claims = {**(grant.claims or {}), "sub": "other", "email": "alice.other@example.com"}
    answer = replace(
        grant, claims=claims, access_token=Secret("at-o"), refresh_token=Secret("rt-o")
    )
    world.provider.default = answer
    return flow.authorization()


def test_another_provider_account_waits_for_the_users_word_and_changes_nothing() -> None:
    world = World().deployed()
    before = world.connected()
    with pytest.raises(DifferentAccount) as held_back:
        world.verification.verify(held(world), ALICE)
    assert held_back.value.code == "different_account"
    assert "alice@example.com is connected" in str(held_back.value)
    assert "alice.other@example.com" in str(held_back.value)
    assert world.account() == before


def test_once_confirmed_it_replaces_the_grant_as_a_whole_without_a_second_exchange() -> None:
    world = World().deployed()
    world.connected()
    authorization_id = held(world)
    with pytest.raises(DifferentAccount):
        world.verification.verify(authorization_id, ALICE)
    account = world.verification.verify(authorization_id, ALICE, replace_account=True)
    tokens, _ = world.usable()
    assert account.version == 2
    assert (tokens.subject, tokens.access_token, tokens.refresh_token) == (
        "other",
        Secret("at-o"),
        Secret("rt-o"),
    )
    assert [call["grant"] for call in world.provider.calls] == ["code"]


def test_a_confirmation_can_be_given_with_the_first_verification() -> None:
    world = World().deployed()
    world.connected()
    account = world.verification.verify(held(world), ALICE, replace_account=True)
    assert account.version == 2


def test_asking_again_without_a_confirmation_is_held_back_again() -> None:
    world = World().deployed()
    world.connected()
    authorization_id = held(world)
    for _ in range(2):
        with pytest.raises(DifferentAccount):
            world.verification.verify(authorization_id, ALICE)
    assert world.verification.verify(authorization_id, ALICE, replace_account=True).version == 2


def test_a_confirmation_comes_from_the_same_user_and_in_time() -> None:
    world = World().deployed()
    before = world.connected()
    waiting = []
    for _ in range(2):
        waiting.append(held(world))
        with pytest.raises(DifferentAccount):
            world.verification.verify(waiting[-1], ALICE)
    late, stolen = waiting
    with pytest.raises(WrongUser):
        world.verification.verify(stolen, BOB, replace_account=True)
    with pytest.raises(Conflict):
        world.verification.verify(stolen, ALICE, replace_account=True)
    world.now.advance(minutes=6)
    with pytest.raises(Gone):
        world.verification.verify(late, ALICE, replace_account=True)
    assert world.account() == before


def test_an_expired_grant_still_pins_its_account_and_a_disconnected_one_does_not() -> None:
    world = World().deployed()
    account = world.connected()
    world.table.write(world.accounts.mark_expired(account))
    with pytest.raises(DifferentAccount):
        world.verification.verify(held(world), ALICE)
    world.disconnect.disconnect(ALICE, GMAIL)
    assert world.verification.verify(held(world), ALICE).status is AccountStatus.ACTIVE
