"""Catalogue A, what no other test proves: floods, crowds of tabs, secrets replaced under way."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_urlsafe

import pytest

from tests.fakes import Killed
from tests.world import ALICE, BOB, CALENDAR, GMAIL, GOOGLE, World
from valet.errors import BadRequest, Busy, Misconfigured, ValetError
from valet.models import AccountStatus, Secret
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.provider import InvalidClient, OAuthClient, TokenGrant
from valet.native.verification import DifferentAccount


def test_a_thousand_made_up_callbacks_cost_a_read_each_and_reach_nothing_else() -> None:
    world = World().deployed()
    flow = world.started()
    world.vault.fails_with = Killed()  # a call of the vault would end the test
    world.clients.clients.clear()
    world.table.requests.clear()
    for _ in range(1000):
        query = {"state": [token_urlsafe(32)], "code": [token_urlsafe(32)], "iss": [GOOGLE]}
        with pytest.raises(BadRequest):
            world.callbacks.receive(GMAIL, query, flow.cookies)
    assert world.table.requests == ["get"] * 1000
    assert world.provider.calls == []


def test_thirty_flows_in_one_browser_all_finish_and_their_cookies_fit_a_header() -> None:
    world = World().deployed()
    flows = [world.started(connection=GMAIL if n % 2 else CALENDAR) for n in range(30)]
    jar = {name: value for flow in flows for name, value in flow.cookies.items()}
    assert len(jar) == 30
    assert len("; ".join(f"{name}={value}" for name, value in jar.items())) < 4096
    for flow in flows:
        assert world.callbacks.receive(flow.connection, flow.answer(), jar).authorization_id


def test_a_flow_is_exchanged_where_its_own_provider_is_whatever_the_answer_says() -> None:
    world = World().deployed()
    flow = world.started()
    extra = {"token_endpoint": ["https://evil.example"], "client_id": ["evil"], "hd": ["evil"]}
    returned = world.callbacks.receive(GMAIL, flow.answer() | extra, flow.cookies)
    assert returned.authorization_id
    world.verification.verify(returned.authorization_id, ALICE)
    assert [(call["provider"], call["client_id"]) for call in world.provider.calls] == [
        ("google", "client-1")
    ]


def test_an_authorization_answers_each_wrong_try_in_its_own_way_and_connects_nobody() -> None:
    """A20's matrix on one request: before, by another, after a rejection, too late."""
    world = World().deployed()
    flow = world.started()
    outcomes = []
    authorization_id = "not yet known"
    for user in (ALICE, BOB, ALICE, BOB):
        with pytest.raises(ValetError) as refusal:
            world.verification.verify(authorization_id, user)
        outcomes.append((user, refusal.value.code, int(refusal.value.status)))
        authorization_id = (
            flow.authorization() if authorization_id == "not yet known" else authorization_id
        )
    assert outcomes == [
        (ALICE, "authorization_unknown", 404),
        (BOB, "wrong_user", 403),
        (ALICE, "authorization_used", 409),
        (BOB, "wrong_user", 403),
    ]
    assert world.provider.calls == []
    assert world.account().status is AccountStatus.PENDING_AUTH


def test_a_client_secret_that_was_just_replaced_costs_no_consent() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    grant = world.provider.default

    def replaced() -> TokenGrant:
        world.clients.clients["google"] = OAuthClient("client-1", Secret("client-secret-2"))
        raise InvalidClient("x")

    assert grant
    world.provider.answers = [replaced, grant]
    assert world.verification.verify(authorization_id, ALICE).status is AccountStatus.ACTIVE
    assert [call["client_secret"] for call in world.provider.calls] == [
        "client-secret-1",
        "client-secret-2",
    ]


def test_a_client_secret_that_stays_refused_is_tried_once() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.provider.answers = [InvalidClient("x")]
    with pytest.raises(Misconfigured):
        world.verification.verify(authorization_id, ALICE)
    assert len(world.provider.calls) == 1


def test_a_rejected_confirmation_destroys_the_tokens_that_waited_for_it() -> None:
    world = World().deployed()
    world.connected()
    flow = world.started()
    grant = world.grant(flow.query)
    world.provider.default = replace(grant, claims={**(grant.claims or {}), "sub": "another"})
    authorization_id = flow.authorization()
    with pytest.raises(DifferentAccount):
        world.verification.verify(authorization_id, ALICE)
    row = keys.authorization(keys.digest(authorization_id))
    assert world.table.items[row]["sealed"]
    with pytest.raises(WrongUser):
        world.verification.verify(authorization_id, BOB, replace_account=True)
    assert "sealed" not in world.table.items[row]


def test_a_consent_that_is_verified_while_its_user_is_erased_connects_nobody() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()
    world.table.before_next_write(
        lambda: None,  # before the claim
        lambda: world.erase.erase(ALICE),
    )
    with pytest.raises(Busy):
        world.verification.verify(authorization_id, ALICE)
    assert [key for key, item in world.table.items.items() if ALICE in f"{key} {item}"] == []
    assert not [key for key in world.table.items if key.pk.startswith("AUTHORIZATION#")]


def test_a_consent_that_fails_while_its_user_is_erased_leaves_nothing_either() -> None:
    world = World().deployed()
    authorization_id = world.started().authorization()

    def erased() -> TokenGrant:
        world.erase.erase(ALICE)
        raise Misconfigured("x")

    world.provider.answers = [erased]
    with pytest.raises(Misconfigured):
        world.verification.verify(authorization_id, ALICE)
    assert [key for key in world.table.items if key.pk.startswith(("AUTHORIZATION", "GRANT"))] == []


def test_a_different_account_that_waits_while_its_user_is_erased_is_not_kept() -> None:
    world = World().deployed()
    world.connected()
    flow = world.started()
    grant = world.grant(flow.query)
    authorization_id = flow.authorization()

    def erased() -> TokenGrant:
        world.erase.erase(ALICE)
        return replace(grant, claims={**(grant.claims or {}), "sub": "another"})

    world.provider.answers = [erased]
    with pytest.raises(DifferentAccount):
        world.verification.verify(authorization_id, ALICE, replace_account=False)
    assert not [key for key in world.table.items if key.pk.startswith("AUTHORIZATION")]


def test_an_erased_users_url_dies_though_the_index_has_not_seen_it_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World().deployed()
    key = world.url_key()
    monkeypatch.setattr(world.table, "keys_of_user", lambda _: [])  # it follows within moments
    erased = world.erase.erase(ALICE)
    assert erased.counts["instances"] == 1
    assert world.sessions.open(key) is None


def test_an_erased_users_accounts_at_one_provider_are_each_taken_back() -> None:
    """Mail of one Google account and the calendar of another are two grants."""
    world = World().deployed()
    for connection, who in ((GMAIL, "work"), (CALENDAR, "home")):
        flow = world.started(connection=connection)
        grant = world.grant(flow.query, refresh_token=Secret(f"rt-{who}"))
        world.provider.default = replace(grant, claims={**(grant.claims or {}), "sub": who})
        world.verification.verify(flow.authorization(), ALICE)
    world.provider.calls.clear()
    assert world.erase.erase(ALICE).revoked == ["google"]
    assert {call["token"] for call in world.provider.calls} == {"rt-work", "rt-home"}
