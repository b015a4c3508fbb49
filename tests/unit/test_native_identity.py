"""What the token endpoint's answer is worth: whose account, which scopes, for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.world import ALICE, READONLY, World
from valet.errors import ProviderFailure, ValetError
from valet.models import AccountStatus, Secret
from valet.native.clock import epoch
from valet.native.provider import InvalidGrant


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


def test_another_provider_account_replaces_the_grant_as_a_whole() -> None:
    world = World().deployed()
    world.connected()
    other = Secret("rt-other")
    account = world.reconnected(sub="other", access_token=Secret("at-o"), refresh_token=other)
    tokens, _ = world.usable()
    assert account.version == 2
    assert (tokens.subject, tokens.access_token, tokens.refresh_token) == (
        "other",
        Secret("at-o"),
        other,
    )
