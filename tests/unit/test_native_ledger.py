"""The ledger of writes: who repeats a call finds the first one, and nothing is left stuck."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.world import ALICE, BOB, World
from valet.models import InstanceId
from valet.native import keys
from valet.native.ledger import WINDOW, fingerprint

INSTANCE = InstanceId("ins_1")
CALL = "f" * 64


def test_the_first_call_is_told_apart_from_its_repeats_which_share_its_id() -> None:
    ledger = World().ledger
    first, repeat = ledger.begin(ALICE, CALL), ledger.begin(ALICE, CALL)
    assert (first.first, first.done) == (True, False)
    assert (repeat.first, repeat.done) == (False, False)
    assert repeat.call_id == first.call_id


def test_a_repeat_of_a_call_that_took_effect_learns_what_was_made() -> None:
    ledger = World().ledger
    ledger.done(ALICE, ledger.begin(ALICE, CALL), "msg-1")
    repeat = ledger.begin(ALICE, CALL)
    assert (repeat.done, repeat.result_id) == (True, "msg-1")


def test_a_call_that_took_no_effect_may_be_made_again_as_a_new_one() -> None:
    ledger = World().ledger
    first = ledger.begin(ALICE, CALL)
    ledger.undo(ALICE, first)
    second = ledger.begin(ALICE, CALL)
    assert second.first
    assert second.call_id != first.call_id


def test_after_the_window_the_same_call_is_a_new_one_though_the_table_still_has_the_old() -> None:
    world = World()
    world.ledger.done(ALICE, world.ledger.begin(ALICE, CALL), None)
    world.now.advance(seconds=WINDOW.total_seconds())
    assert not world.ledger.begin(ALICE, CALL).first
    world.now.advance(seconds=1)
    assert world.ledger.begin(ALICE, CALL).first


def test_the_window_runs_from_when_the_call_took_effect() -> None:
    world = World()
    entry = world.ledger.begin(ALICE, CALL)
    world.now.advance(seconds=60)
    world.ledger.done(ALICE, entry, None)
    world.now.advance(seconds=WINDOW.total_seconds() - 1)
    assert world.ledger.begin(ALICE, CALL).done


def test_users_do_not_share_calls() -> None:
    ledger = World().ledger
    assert ledger.begin(ALICE, CALL).first
    assert ledger.begin(BOB, CALL).first


def test_of_twenty_same_calls_at_once_one_is_the_first() -> None:
    ledger = World().ledger
    start = Barrier(20)

    def begin(_: int) -> tuple[bool, str]:
        start.wait()
        entry = ledger.begin(ALICE, CALL)
        return entry.first, entry.call_id

    with ThreadPoolExecutor(20) as threads:
        entries = list(threads.map(begin, range(20)))
    assert [first for first, _ in entries].count(True) == 1
    assert len({call_id for _, call_id in entries}) == 1


def test_a_first_call_that_failed_does_not_erase_that_its_repeat_took_effect() -> None:
    ledger = World().ledger
    first, repeat = ledger.begin(ALICE, CALL), ledger.begin(ALICE, CALL)
    ledger.done(ALICE, repeat, "event-1")
    ledger.undo(ALICE, first)
    later = ledger.begin(ALICE, CALL)
    assert (later.first, later.done, later.result_id) == (False, True, "event-1")


def test_a_repeat_that_took_effect_after_the_first_was_given_up_is_recorded_whole() -> None:
    world = World()
    ledger = world.ledger
    first, repeat = ledger.begin(ALICE, CALL), ledger.begin(ALICE, CALL)
    ledger.undo(ALICE, first)
    ledger.done(ALICE, repeat, "event-1")
    assert ledger.begin(ALICE, CALL).done
    world.now.advance(seconds=WINDOW.total_seconds() + 1)
    assert ledger.begin(ALICE, CALL).first, "nothing is stuck for good"


def test_a_late_undo_does_not_free_a_call_that_somebody_else_has_begun_since() -> None:
    world = World()
    first = world.ledger.begin(ALICE, CALL)
    world.now.advance(seconds=WINDOW.total_seconds() + 1)
    second = world.ledger.begin(ALICE, CALL)
    world.ledger.undo(ALICE, first)
    assert world.ledger.begin(ALICE, CALL).call_id == second.call_id


def test_a_record_goes_away_by_itself_and_only_after_its_window() -> None:
    world = World()
    entry = world.ledger.begin(ALICE, CALL)
    item = world.table.items[keys.call(ALICE, CALL)]
    assert item["ttl"] > item["until"]
    world.ledger.done(ALICE, entry, None)
    item = world.table.items[keys.call(ALICE, CALL)]
    assert item["ttl"] > item["until"]


def test_a_fingerprint_ignores_the_order_of_arguments_and_nothing_else() -> None:
    base = fingerprint(INSTANCE, "MAIL", "send", {"to": "a@x.example", "subject": "s"})
    assert fingerprint(INSTANCE, "MAIL", "send", {"subject": "s", "to": "a@x.example"}) == base
    others = {
        fingerprint(InstanceId("ins_2"), "MAIL", "send", {"to": "a@x.example", "subject": "s"}),
        fingerprint(INSTANCE, "WORK", "send", {"to": "a@x.example", "subject": "s"}),
        fingerprint(INSTANCE, "MAIL", "draft", {"to": "a@x.example", "subject": "s"}),
        fingerprint(INSTANCE, "MAIL", "send", {"to": "a@x.example", "subject": "S"}),
        fingerprint(INSTANCE, "MAIL", "send", {"to": ["a@x.example"], "subject": "s"}),
        fingerprint(INSTANCE, "MAIL", "send", {"to": "a@x.example"}),
    }
    assert len(others) == 6
    assert base not in others
    assert "x.example" not in base
