"""The provider's answer is lost, late, a refusal, a failure, or less than was hoped for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.refresh.broker import NOTES, SECRET, client_secrets
from tests.refresh.conftest import came_to
from valet.models import AccountStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.refresh.conftest import Scene

SHORT: dict[str, Any] = {"lease": 1, "redemption": 0}
LATER = 20  # seconds: past the cool-down


def test_a_request_that_is_lost_costs_nothing(scene: Scene) -> None:
    scene.provider.faults({"drop": "request"})
    assert scene.pool[0].call(scene.user).answer() == {"error": "ProviderUnavailable"}
    assert "token" in scene.pool[1].call(scene.user, later=LATER).answer()
    assert came_to(scene.tally("request lost, rotating", 2)) == (1, 0, 0)


@pytest.mark.parametrize("rotate", [True, False], ids=["rotating", "not rotating"])
def test_an_answer_that_is_lost_costs_one_consent_where_tokens_rotate(
    scene: Scene, rotate: bool
) -> None:
    scene.provider.tell("set", rotate=rotate)
    scene.provider.faults({"drop": "answer"})
    assert scene.pool[0].call(scene.user).answer() == {"error": "ProviderUnavailable"}
    assert scene.account.status is AccountStatus.ACTIVE, "no verdict"
    answer = scene.pool[1].call(scene.user, later=LATER).answer()
    assert ("token" in answer) is not rotate
    kind = "rotating" if rotate else "not rotating"
    counts = scene.tally(f"answer lost, {kind}", 2, int(not rotate))
    assert came_to(counts) == ((1, 1, 1) if rotate else (2, 0, 0))


def test_an_answer_later_than_the_lease_is_why_the_lease_outlives_the_timeouts(
    scene: Scene,
) -> None:
    scene.provider.faults({"hold": "answer"})
    late = scene.pool[0].call(scene.user, **SHORT)
    scene.provider.holds_one()
    assert scene.pool[1].call(scene.user, **SHORT).answer() == {"error": "NotConnected"}
    scene.provider.tell("release")
    assert late.answer()["version"] == 2, "it may not know better, but the provider's 401 will"
    counts = scene.tally("answer later than a lease of 1 s, rotating", 2)
    assert came_to(counts) == (1, 1, 1)
    assert scene.account.status is AccountStatus.EXPIRED


def test_an_answer_later_than_the_lease_is_dropped_for_a_siblings(scene: Scene) -> None:
    scene.provider.tell("set", rotate=False)
    scene.provider.faults({"hold": "answer"})
    late = scene.pool[0].call(scene.user, **SHORT)
    scene.provider.holds_one()
    sibling = scene.pool[1].call(scene.user, **SHORT).answer()
    scene.provider.tell("release")
    assert late.answer() == sibling
    counts = scene.tally("answer later than a lease of 1 s, not rotating", 2, 2)
    assert came_to(counts) == (2, 0, 0)


def test_a_holder_that_is_held_up_past_its_lease_sends_nothing(scene: Scene) -> None:
    slow = scene.pool[0].call(scene.user, stop="with the lease", lease=1, redemption=0.5)
    slow.reported("stopped")
    winner = scene.pool[1].call(scene.user, **SHORT).answer()
    slow.go_on()
    assert slow.answer() == winner
    counts = scene.tally("held up before the request past its lease, rotating", 2, 2)
    assert came_to(counts) == (1, 0, 0)
    assert counts["token_requests"] == 1


def test_a_refusal_while_a_sibling_won_uses_the_siblings_tokens(scene: Scene) -> None:
    scene.provider.faults({"hold": "request", "status": 400, "error": "invalid_grant"})
    loser = scene.pool[0].call(scene.user, **SHORT)
    scene.provider.holds_one()
    winner = scene.pool[1].call(scene.user, **SHORT).answer()
    scene.provider.tell("release")
    assert loser.answer() == winner
    counts = scene.tally("invalid_grant while a sibling won, rotating", 2, 2)
    assert came_to(counts) == (1, 0, 0)


def test_a_true_refusal_ends_the_grant_after_one_request(scene: Scene) -> None:
    scene.provider.faults({"status": 400, "error": "invalid_grant"})
    assert scene.pool[0].call(scene.user).answer() == {"error": "NotConnected"}
    answers = scene.pool[1].call(scene.user, 25).answers()
    assert answers == [{"error": "NotConnected"}] * 25
    counts = scene.tally("invalid_grant, then 25 more callers", 26, 0)
    assert (counts["token_requests"], counts["re_consents"]) == (1, 1)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_provider_is_asked_once_a_cool_down_and_ends_nothing(
    scene: Scene, status: int
) -> None:
    scene.provider.faults({"status": status})
    failing = {"error": "ProviderUnavailable"}
    assert scene.pool[0].call(scene.user).answer() == failing
    assert scene.pool[1].call(scene.user, 25).answers() == [failing] * 25
    assert scene.provider.counts()["token_requests"] == 1
    assert "token" in scene.pool[2].call(scene.user, later=LATER).answer()
    counts = scene.tally(f"{status}, 25 more callers, then well again", 27)
    assert (*came_to(counts), counts["token_requests"]) == (1, 0, 0, 2)


def test_a_provider_that_does_not_act_in_time_ends_nothing(scene: Scene) -> None:
    scene.provider.faults({"hold": "request", "status": 503})
    slow = scene.pool[0].call(scene.user, timeout=0.3)
    assert slow.answer() == {"error": "ProviderUnavailable"}
    assert "token" in scene.pool[1].call(scene.user, later=LATER).answer()
    assert came_to(scene.tally("timeout before the provider acted, rotating", 2)) == (1, 0, 0)


@pytest.mark.parametrize("rotate", [True, False], ids=["rotating", "not rotating"])
def test_a_provider_that_acts_and_answers_too_late_costs_what_a_lost_answer_does(
    scene: Scene, rotate: bool
) -> None:
    scene.provider.tell("set", rotate=rotate)
    scene.provider.faults({"hold": "answer"})
    slow = scene.pool[0].call(scene.user, timeout=0.3)
    assert slow.answer() == {"error": "ProviderUnavailable"}
    answer = scene.pool[1].call(scene.user, later=LATER).answer()
    assert ("token" in answer) is not rotate
    kind = "rotating" if rotate else "not rotating"
    counts = scene.tally(f"timeout after the provider acted, {kind}", 2, int(not rotate))
    assert came_to(counts) == ((1, 1, 1) if rotate else (2, 0, 0))


def test_an_answer_without_a_refresh_token_keeps_the_old_one(scene: Scene) -> None:
    scene.provider.tell("set", rotate=False)
    scene.provider.faults({"omit": ["refresh_token"]})
    before = scene.broker.grants.open(scene.account).refresh_token
    assert "token" in scene.pool[0].call(scene.user).answer()
    assert scene.broker.grants.open(scene.account).refresh_token == before
    assert came_to(scene.tally("answer without a refresh token, not rotating")) == (1, 0, 0)


def test_a_rotated_refresh_token_replaces_the_old_one(scene: Scene) -> None:
    tokens = {scene.broker.grants.open(scene.account).refresh_token}
    for turn in range(3):
        assert "token" in scene.pool[turn].call(scene.user, refused=True).answer()
        tokens.add(scene.broker.grants.open(scene.account).refresh_token)
    assert len(tokens) == 4
    assert came_to(scene.tally("three refreshes in a row, rotating", 3, 3)) == (3, 0, 0)


def test_a_permission_that_was_withdrawn_is_gone_after_the_refresh(scene: Scene) -> None:
    assert {"notes.read", "notes.write"} <= scene.account.scopes
    scene.provider.tell("withdraw", scope="notes.write")
    answer = scene.pool[0].call(scene.user).answer()
    assert "notes.write" not in answer["scopes"]
    assert scene.account.scopes == set(answer["scopes"]) >= {"notes.read"}
    assert came_to(scene.tally("fewer scopes than before, rotating")) == (1, 0, 0)


def test_a_consent_that_grants_less_than_asked_is_kept_as_granted(scene: Scene) -> None:
    scene.provider.tell("set", grants=["openid", "offline_access", "email", "notes.read"])
    partial = scene.broker.connect(f"partial-{scene.user[:8]}")
    scene.provider.tell("zero")
    assert scene.broker.account(partial).status is AccountStatus.ACTIVE
    assert scene.broker.account(partial).scopes.isdisjoint({"notes.write"})
    scene.user = partial
    answer = scene.pool[0].call(partial, refused=True).answer()
    assert "notes.write" not in answer["scopes"]
    assert came_to(scene.tally("consent granted fewer scopes, rotating")) == (1, 0, 0)


@pytest.fixture
def secret(scene: Scene) -> Iterator[Any]:
    """Replace the client's secret at the provider, and where operators keep it."""

    def put(value: str, *, here: bool = True) -> None:
        scene.provider.tell("set", client_secret=value)
        if here:
            site = scene.broker.site
            site.client("secretsmanager").put_secret_value(
                SecretId=site.secret, SecretString=client_secrets(value)
            )

    yield put
    put(SECRET)
    scene.broker.clients.get(NOTES, fresh=True)


def test_a_replaced_client_secret_is_read_anew_once_and_works(scene: Scene, secret: Any) -> None:
    process = scene.fresh()
    assert "token" in process.call(scene.user).answer(), "it knows the old secret now"
    scene.provider.tell("zero")
    secret("secret-n-after-rotation")
    assert "token" in process.call(scene.user, refused=True).answer()
    counts = scene.tally("invalid_client, the secret had been replaced, rotating")
    assert (*came_to(counts), counts["token_requests"]) == (1, 0, 0, 2)


def test_a_wrong_client_secret_is_the_operators_matter_and_ends_nothing(
    scene: Scene, secret: Any
) -> None:
    secret("secret-n-not-told-to-us", here=False)
    process = scene.fresh()
    assert process.call(scene.user).answer() == {"error": "Misconfigured"}
    assert scene.account.status is AccountStatus.ACTIVE
    assert scene.provider.counts()["token_requests"] == 2
    secret(SECRET)
    assert "token" in process.call(scene.user, later=LATER).answer()
    counts = scene.tally("invalid_client until an operator acts, rotating", 2)
    assert came_to(counts) == (1, 0, 0)


def test_a_disconnect_during_a_refresh_is_not_undone(scene: Scene) -> None:
    scene.provider.faults({"hold": "answer"})
    refreshing = scene.pool[0].call(scene.user)
    scene.provider.holds_one()
    scene.broker.disconnect(scene.user)
    scene.provider.tell("release")
    assert refreshing.answer() == {"error": "NotConnected"}
    assert scene.account.status is AccountStatus.DISCONNECTED
    assert scene.account.sealed == b""
    counts = scene.tally("disconnected during a refresh (the consent is by choice)", 1, 0)
    assert (counts["redemptions"], counts["lost_families"]) == (1, 0)
