"""The provider's answer: bound to one browser, connection and issuer, and taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, World
from valet.errors import BadRequest, Busy, Conflict, Gone
from valet.models import AccountStatus
from valet.native import keys
from valet.native.consent import nonce, pkce_verifier
from valet.native.states import cookie_name
from valet.native.table import ConditionFailed

if TYPE_CHECKING:
    from valet.native.authorizations import Returned


def test_an_answer_is_parked_and_nothing_is_exchanged() -> None:
    world = World().deployed()
    flow = world.started()
    returned = flow.returns()
    assert returned.authorization_id
    assert returned.error is None
    assert returned.cookie_name == flow.started.cookie_name
    assert world.provider.calls == []
    assert world.account().status is AccountStatus.PENDING_VERIFICATION


def test_an_answer_that_nobody_verifies_stops_showing_as_pending() -> None:
    world = World().deployed()
    world.started().returns()
    world.now.advance(minutes=5)
    assert world.account().status is AccountStatus.PENDING_AUTH


@pytest.mark.parametrize("state", [None, "", ["", ""], "x", "x" * 5000, "é", "\u0000"])
def test_a_missing_empty_or_unknown_state_is_refused(state: str | list[str] | None) -> None:
    flow = World().deployed().started()
    error = flow.refused(flow.answer(state=state))
    assert (type(error), error.code) == (BadRequest, "state_invalid")


def test_a_doubled_state_is_refused_even_when_both_are_right() -> None:
    flow = World().deployed().started()
    state = flow.query["state"]
    for states in ([state, state], [state, "x"], ["x", state], ["", state]):
        assert flow.refused(flow.answer(state=states)).code == "state_invalid"


def test_every_edit_of_the_state_is_refused_though_the_cookie_follows() -> None:
    flow = World().deployed().started()
    state = flow.query["state"]
    for at in range(len(state)):
        edited = state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :]
        cookies = {cookie_name(edited): flow.started.cookie_value}
        assert flow.refused(flow.answer(state=edited), cookies).code == "state_invalid"


def test_a_made_up_state_costs_one_read() -> None:
    flow = World().deployed().started()
    flow.world.table.requests.clear()
    with pytest.raises(BadRequest):
        flow.returns(state="made-up")
    assert flow.world.table.requests == ["get"]


def test_an_answer_without_its_cookie_or_with_anothers_is_refused() -> None:
    world = World().deployed()
    flow, other = world.started(), world.started()
    name, value = flow.started.cookie_name, flow.started.cookie_value
    for cookies in (
        {},
        {name: ""},
        {name: other.started.cookie_value},
        {name: value[:-1]},
        {name: value + "A"},
        {name: keys.digest(value)},
        {name.upper(): value},
        {"valet": value},
        other.cookies,
    ):
        assert flow.refused(flow.answer(), cookies).code == "wrong_browser"


def test_an_answer_in_the_wrong_browser_does_not_spoil_the_right_one() -> None:
    flow = World().deployed().started()
    flow.refused(flow.answer(), {})
    flow.refused(flow.answer(error="access_denied", code=None), {})
    assert flow.returns().authorization_id


def test_a_replayed_answer_is_told_that_it_was_used() -> None:
    flow = World().deployed().started()
    flow.returns()
    for query in (flow.answer(), flow.answer(code="other"), flow.answer(code=None, error="x")):
        with pytest.raises(Conflict) as refusal:
            flow.world.callbacks.receive(GMAIL, query, flow.cookies)
        assert refusal.value.code == "authorization_used"


def test_twenty_answers_at_once_have_one_winner() -> None:
    flow = World().deployed().started()
    start = Barrier(20)

    def receive(_: int) -> Returned | str:
        start.wait()
        try:
            return flow.returns()
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(receive, range(20)))
    assert outcomes.count("authorization_used") == 19
    parked = [key for key in flow.world.table.items if key.pk.startswith("AUTHORIZATION#")]
    assert len(parked) == 1


def test_an_answer_that_loses_the_race_parks_nothing() -> None:
    flow = World().deployed().started()
    flow.world.table.before_next_write(flow.returns)
    with pytest.raises(Conflict):
        flow.returns()
    parked = [key for key in flow.world.table.items if key.pk.startswith("AUTHORIZATION#")]
    assert len(parked) == 1


def test_an_answer_that_loses_the_race_to_a_denial_is_told_that_it_was_used() -> None:
    flow = World().deployed().started()
    flow.world.table.before_next_write(lambda: flow.returns(code=None, error="access_denied"))
    with pytest.raises(Conflict):
        flow.returns()
    assert flow.world.account().status is AccountStatus.PENDING_AUTH


def test_an_expired_state_is_gone_though_the_table_still_has_it() -> None:
    flow = World().deployed().started()
    flow.world.now.advance(seconds=600)
    error = flow.refused(flow.answer())
    assert (type(error), error.code) == (Gone, "consent_expired")
    assert keys.state(keys.digest(flow.query["state"])) in flow.world.table.items


def test_a_consent_begun_in_time_may_return_after_the_link_has_run_out() -> None:
    world = World().deployed()
    ticket = world.ticket()
    world.now.advance(minutes=9)
    flow = world.started(ticket)
    world.now.advance(minutes=5)
    assert flow.returns().authorization_id


def test_a_consent_is_refused_when_another_tab_has_used_the_link_for_that_connection() -> None:
    world = World().deployed()
    ticket = world.ticket()
    first, second = world.started(ticket), world.started(ticket)
    first.returns()
    with pytest.raises(Conflict) as refusal:
        second.returns()
    assert refusal.value.code == "authorization_used"


def test_two_tabs_that_return_at_the_same_moment_both_succeed() -> None:
    world = World().deployed()
    ticket = world.ticket()
    mail, calendar = world.started(ticket), world.started(ticket, CALENDAR)

    def in_the_way() -> None:
        calendar.returns()
        raise ConditionFailed  # DynamoDB's answer when two transactions meet at one item

    world.table.before_next_write(in_the_way)
    assert mail.returns().authorization_id
    assert world.tickets.read(ticket).used == (CALENDAR, GMAIL)


def test_a_table_that_keeps_refusing_is_not_reported_as_a_used_consent() -> None:
    flow = World().deployed().started()

    def in_the_way() -> None:
        raise ConditionFailed

    flow.world.table.before_next_write(*[in_the_way] * 5)
    with pytest.raises(Busy):
        flow.returns()


def test_an_answer_on_another_connections_path_is_refused() -> None:
    world = World().deployed()
    flow = world.started(connection=GMAIL)
    for path in (CALENDAR, GMAIL.lower(), "", f"{GMAIL}/", "nope"):
        with pytest.raises(BadRequest) as refusal:
            world.callbacks.receive(path, flow.answer(), flow.cookies)
        assert refusal.value.code == "state_invalid"
    assert world.provider.calls == []
    assert flow.returns().authorization_id


def test_two_flows_in_one_browser_do_not_disturb_each_other() -> None:
    world = World().deployed()
    ticket = world.ticket()
    mail, calendar = world.started(ticket), world.started(ticket, CALENDAR)
    jar = mail.cookies | calendar.cookies
    assert len(jar) == 2
    for flow in (calendar, mail):
        assert world.callbacks.receive(flow.connection, flow.answer(), jar).authorization_id


def test_the_code_of_one_persons_flow_cannot_be_parked_in_anothers() -> None:
    world = World().deployed()
    alice, bob = world.started(world.ticket(ALICE)), world.started(world.ticket(BOB))
    # Bob's browser is handed Alice's state: the login that would end in her account.
    with pytest.raises(BadRequest) as refusal:
        world.callbacks.receive(GMAIL, alice.answer(), bob.cookies)
    assert refusal.value.code == "wrong_browser"


def test_nothing_in_the_table_holds_a_secret_of_the_flow_in_clear() -> None:
    world = World().deployed()
    ticket = world.ticket()
    flow = world.started(ticket)
    state, browser = flow.query["state"], flow.started.cookie_value
    secrets = {
        "ticket": ticket,
        "state": state,
        "cookie": browser,
        "verifier": pkce_verifier(state, browser),
        "nonce": nonce(state, browser),
        "code": "code-canary",
        "access token": "at-1",
        "refresh token": "rt-1",
        "e-mail": "alice@example.com",
        "user": "alice",
        "URL key": world.url_key()[4:84],
    }

    def exposed() -> list[str]:
        clear = [
            repr({name: value for name, value in item.items() if name != "sealed"})
            for item in world.table.items.values()
        ]
        return [name for name, secret in secrets.items() if any(secret in item for item in clear)]

    assert exposed() == []
    returned = flow.returns(code="code-canary")
    assert returned.authorization_id
    secrets["authorization"] = returned.authorization_id
    assert exposed() == []
    world.verification.verify(returned.authorization_id, ALICE)
    assert exposed() == []
    world.started(world.ticket(config=CONFIG))
    assert exposed() == []
