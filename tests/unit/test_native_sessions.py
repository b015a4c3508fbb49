"""Sessions: what a warm function remembers, and what it reads every time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, World
from valet.models import Access, AccountStatus, ConnectionTools
from valet.native import keys
from valet.native.sessions import CONFIG_AGE, LAST_USED_EVERY


def test_a_session_is_the_users_config_connections_and_accounts() -> None:
    world = World().deployed()
    world.connected()
    session = world.session()
    assert session.user == ALICE
    assert session.config == world.configs.get(CONFIG)
    assert session.accounts[GMAIL].status is AccountStatus.ACTIVE
    assert session.accounts[CALENDAR].status is AccountStatus.PENDING_AUTH


def test_a_warm_request_is_one_batch_read() -> None:
    world = World().deployed()
    key = world.url_key()
    world.sessions.open(key)
    world.table.requests.clear()
    assert world.sessions.open(key)
    assert world.table.requests == ["get_many"]


def test_a_config_change_reaches_a_warm_function_within_its_age() -> None:
    world = World().deployed()
    key = world.url_key()
    world.sessions.open(key)
    world.exposing(ConnectionTools(GMAIL, ("gmail_send_message",)))
    world.now.advance(seconds=CONFIG_AGE.total_seconds())
    session = world.sessions.open(key)
    assert session
    assert session.config.revision == 2


def test_a_deleted_config_ends_its_sessions_within_its_age_and_its_return_brings_them_back() -> (
    None
):
    world = World().deployed()
    key = world.url_key()
    world.sessions.open(key)
    world.configs.delete(CONFIG, owner="s/Config")
    world.now.advance(seconds=CONFIG_AGE.total_seconds())
    assert world.sessions.open(key) is None
    world.exposing(ConnectionTools(GMAIL))
    assert world.sessions.open(key)


def test_a_config_whose_connection_was_deleted_keeps_the_others() -> None:
    world = World().deployed()
    world.configs.delete_connection(GMAIL, owner="s/Gmail")
    assert list(world.session().accounts) == [CALENDAR]


@pytest.mark.parametrize("how", ["deleted", "rotated"])
def test_a_warm_function_refuses_an_ended_url_at_once(how: str) -> None:
    world = World().deployed()
    key = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    assert world.sessions.open(key)
    if how == "deleted":
        world.instances.delete(instance.id, ALICE)
    else:
        world.instances.rotate(instance.id, ALICE, timedelta(0))
    assert world.sessions.open(key) is None


def test_a_warm_function_sees_a_disconnected_account_at_once() -> None:
    world = World().deployed()
    world.connected()
    key = world.url_key()
    world.sessions.open(key)
    world.disconnect.disconnect(ALICE, GMAIL)
    session = world.sessions.open(key)
    assert session
    assert session.accounts[GMAIL].status is AccountStatus.DISCONNECTED
    assert session.accounts[GMAIL].sealed == b""


def test_users_of_one_warm_function_see_their_own_accounts_only() -> None:
    world = World().deployed()
    world.connected(ALICE)
    alice, bob = world.url_key(ALICE), world.url_key(BOB)
    for _ in range(2):
        for key, user, status in ((alice, ALICE, "ACTIVE"), (bob, BOB, "PENDING_AUTH")):
            session = world.sessions.open(key)
            assert session
            assert session.user == user
            assert session.accounts[GMAIL].user == user
            assert session.accounts[GMAIL].status == status


def test_a_key_of_an_instance_that_is_not_there_is_refused_after_one_read() -> None:
    world = World().deployed()
    key = world.url_key()
    world.instances.delete(world.instances.ensure(CONFIG, ALICE).id, ALICE)
    world.table.requests.clear()
    assert world.sessions.open(key) is None
    assert world.table.requests == ["get"]


def test_last_use_is_written_at_most_once_in_its_interval() -> None:
    world = World().deployed()
    key = world.url_key()
    instance = keys.instance(world.instances.ensure(CONFIG, ALICE).id)
    world.sessions.open(key)
    first = world.table.items[instance]["last_used_at"]
    writes = world.table.writes
    world.now.advance(seconds=LAST_USED_EVERY.total_seconds() - 1)
    world.sessions.open(key)
    assert world.table.writes == writes
    world.now.advance(seconds=1)
    world.sessions.open(key)
    assert world.table.writes == writes + 1
    assert world.table.items[instance]["last_used_at"] == first + 300


def test_a_refused_key_does_not_count_as_use() -> None:
    world = World().deployed()
    old = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.instances.rotate(instance.id, ALICE, timedelta(0))
    assert world.sessions.open(old) is None
    assert "last_used_at" not in world.table.items[keys.instance(instance.id)]


def test_noting_a_use_never_brings_a_deleted_instance_back() -> None:
    world = World().deployed()
    key = world.url_key()
    instance = world.instances.ensure(CONFIG, ALICE)
    world.table.before_next_write(lambda: world.instances.delete(instance.id, ALICE))
    world.sessions.open(key)
    assert keys.instance(instance.id) not in world.table.items
    assert world.sessions.open(key) is None


def test_a_function_forgets_the_oldest_instances_rather_than_growing() -> None:
    world = World().deployed()
    key = world.url_key()
    world.sessions.open(key)
    known = world.sessions._known
    for number in range(1005):
        world.sessions.open(world.url_key(user=type(ALICE)(f"user-{number}")))
    assert len(known) == 1000
    assert world.sessions.open(key), "it is looked up again"


def test_the_url_gives_full_access() -> None:
    session = World().deployed().session()
    assert (session.access, session.via) == (Access.FULL, "url")


@pytest.mark.parametrize("access", Access)
def test_an_instance_that_is_known_to_be_the_callers_opens_with_the_access_given(
    access: Access,
) -> None:
    world = World().deployed()
    world.connected()
    instance = world.instances.ensure(CONFIG, ALICE)
    session = world.sessions.for_instance(instance, access, "iam")
    assert session
    assert (session.instance, session.user) == (instance.id, ALICE)
    assert (session.access, session.via) == (access, "iam")
    assert session.accounts[GMAIL].status is AccountStatus.ACTIVE
    world.table.requests.clear()
    assert world.sessions.for_instance(instance, access, "iam")
    assert world.table.requests == ["get_many"]


def test_an_instance_that_was_deleted_since_opens_no_more() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    assert world.sessions.for_instance(instance, Access.FULL, "iam")
    world.instances.delete(instance.id, ALICE)
    assert world.sessions.for_instance(instance, Access.FULL, "iam") is None
