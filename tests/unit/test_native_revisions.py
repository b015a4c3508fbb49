"""A config's history: kept for good, gone back to, and what each change takes from whom."""

from __future__ import annotations

import pytest

from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, World
from valet.errors import Conflict, NotFound, UnknownName
from valet.models import ConnectionTools, Impact, McpConfig
from valet.native import keys

MAILS = ConnectionTools(GMAIL, ("gmail_fetch_mails",))
LABELS = ConnectionTools(GMAIL, ("gmail_list_labels",))
BOTH = ConnectionTools(GMAIL, ("gmail_list_labels", "gmail_fetch_mails"))


def put(world: World, *mappings: ConnectionTools, name: str = CONFIG) -> McpConfig:
    return world.configs.put(name, "", mappings, owner="", replaces=True)


def owner(world: World) -> str:
    return str(world.table.items[keys.config(CONFIG)]["owner"])


def test_to_restore_is_to_declare_an_old_revision_as_a_new_one() -> None:
    world = World().deployed()
    first = world.configs.get(CONFIG)
    put(world, MAILS)
    world.now.advance(hours=1)
    restored = world.configs.restore(CONFIG, 1)
    assert restored.revision == 3
    assert restored.updated_at == world.now()
    assert (restored.description, restored.mappings) == (first.description, first.mappings)
    assert world.configs.get(CONFIG) == restored
    history = world.configs.history(CONFIG)
    assert [config.revision for config in history] == [1, 2, 3]
    assert history[0] == first


def test_restoring_twice_or_what_already_is_makes_no_revision() -> None:
    world = World().deployed()
    put(world, MAILS)
    world.now.advance(microseconds=7)
    first = world.configs.restore(CONFIG, 1)
    writes = world.table.writes
    assert world.configs.restore(CONFIG, 1) == first
    assert world.configs.restore(CONFIG, 3) == first
    assert world.table.writes == writes


def test_a_restoring_operator_leaves_the_stack_in_charge() -> None:
    world = World().deployed()
    world.exposing(MAILS)
    world.configs.restore(CONFIG, 1)
    assert owner(world) == "s/Config"
    deployed = world.configs.put(CONFIG, "", [LABELS], owner="s/Config", replaces=False)
    assert deployed.revision == 4
    world.configs.delete(CONFIG, owner="s/Config")
    assert world.configs.current(CONFIG) is None


def test_a_deleted_config_comes_back_with_its_instances_and_as_nobodys_in_particular() -> None:
    world = World().deployed()
    key = world.url_key()
    world.configs.delete(CONFIG, owner="s/Config")
    assert world.sessions.open(key) is None
    restored = world.configs.restore(CONFIG, 1)
    assert restored.revision == 2
    assert world.sessions.open(key)
    with pytest.raises(Conflict, match="an operator"):
        world.configs.put(CONFIG, "", [MAILS], owner="s/Config", replaces=False)


@pytest.mark.parametrize("revision", [0, 3, 99_999_999])
def test_a_revision_that_is_not_there_is_answered_with_those_that_are(revision: int) -> None:
    world = World().deployed()
    put(world, MAILS)
    with pytest.raises(NotFound, match="it has 1 to 2") as refusal:
        world.configs.restore(CONFIG, revision)
    assert refusal.value.code == "unknown_revision"


@pytest.mark.parametrize("name", ["nope", "", "../x", "a" * 3000])
def test_a_config_that_never_was_has_no_history(name: str) -> None:
    world = World().deployed()
    for ask in (lambda: world.configs.history(name), lambda: world.configs.restore(name, 1)):
        with pytest.raises(NotFound) as refusal:
            ask()
        assert refusal.value.code == "not_found"


def test_an_old_revision_is_checked_against_the_connections_and_tools_of_today() -> None:
    world = World().deployed()
    put(world, MAILS)
    world.configs.delete_connection(CALENDAR, owner="")
    before = world.configs.get(CONFIG)
    with pytest.raises(UnknownName, match=CALENDAR):
        world.configs.restore(CONFIG, 1)
    old = world.table.items[keys.config_revision(CONFIG, 2)]
    old["mappings"][0]["tools"] = ["gmail_of_an_older_package"]
    with pytest.raises(UnknownName, match="gmail_of_an_older_package"):
        world.configs.restore(CONFIG, 2)
    assert world.configs.get(CONFIG) == before


def test_all_tools_of_a_connector_never_become_all_tools_of_another() -> None:
    world = World().deployed()
    put(world, ConnectionTools(GMAIL))
    put(world, ConnectionTools(CALENDAR))
    world.configs.delete_connection(GMAIL, owner="")
    world.configs.put_connection(GMAIL, "googlecalendar", None, owner="", replaces=True)
    with pytest.raises(Conflict, match="was one of 'gmail'") as refusal:
        world.configs.restore(CONFIG, 2)
    assert refusal.value.code == "connector_changed"


def test_a_restore_that_races_an_update_gets_a_revision_of_its_own() -> None:
    world = World().deployed()
    put(world, MAILS)
    world.table.before_next_write(lambda: put(world, LABELS))
    restored = world.configs.restore(CONFIG, 1)
    assert restored.revision == 4
    assert [c.revision for c in world.configs.history(CONFIG)] == [1, 2, 3, 4]


def test_a_restore_that_races_a_delete_brings_the_config_back() -> None:
    world = World().deployed()
    put(world, MAILS)
    world.table.before_next_write(lambda: world.configs.delete(CONFIG, owner="s/Config"))
    assert world.configs.restore(CONFIG, 1).revision == 3


def test_an_update_says_which_tools_went_and_how_many_instances_lose_them() -> None:
    world = World().deployed()
    world.configs.put("other", "", [MAILS], owner="", replaces=True)
    for user in (ALICE, BOB):
        world.instances.ensure(CONFIG, user)
    world.instances.ensure("other", ALICE)
    assert world.configs.impact(put(world, BOTH)) == Impact(("googlecalendar_create_event",), 2)
    assert world.configs.impact(put(world, MAILS)) == Impact(("gmail_list_labels",), 2)


def test_an_update_that_takes_nothing_away_counts_nothing() -> None:
    world = World().deployed()
    world.instances.ensure(CONFIG, ALICE)
    put(world, MAILS)
    world.table.requests.clear()
    assert world.configs.impact(put(world, BOTH)) == Impact()
    assert world.configs.impact(put(world, ConnectionTools(GMAIL))) == Impact()
    assert "count_of_config" not in world.table.requests


def test_a_repeated_update_is_answered_as_the_first_was() -> None:
    """The answer may have been lost on its way, and its reader wants to know what went."""
    world = World().deployed()
    world.instances.ensure(CONFIG, ALICE)
    first = world.configs.impact(put(world, MAILS))
    assert first.removed_tools
    assert world.configs.impact(put(world, MAILS)) == first


def test_a_tool_that_moves_or_changes_its_connection_is_not_lost() -> None:
    world = World().deployed()
    world.configs.put_connection("WORK", "gmail", None, owner="", replaces=True)
    put(world, BOTH)
    moved = [
        ConnectionTools("WORK", ("gmail_fetch_mails",)),
        ConnectionTools(GMAIL, ("gmail_list_labels",)),
    ]
    assert world.configs.impact(put(world, *moved)) == Impact()


def test_the_first_revision_takes_nothing_away_and_a_delete_all() -> None:
    world = World().deployed()
    world.instances.ensure(CONFIG, ALICE)
    config = world.configs.get(CONFIG)
    assert world.configs.impact(config) == Impact()
    everything = ("gmail_fetch_mails", "googlecalendar_create_event")
    assert world.configs.impact_of_deleting(config) == Impact(everything, 1)


def test_nothing_but_instances_is_counted() -> None:
    """A link, a consent, a call or a record of any other kind would make the number a lie."""
    world = World().deployed().exposing(ConnectionTools(CALENDAR), MAILS)
    world.connected()
    world.instances.ensure(CONFIG, BOB)
    world.token(BOB)
    world.started()
    counted = {key.pk.partition("#")[0] for key, i in world.table.items.items() if "config" in i}
    assert counted == {"INSTANCE"}
    assert world.table.count_of_config(CONFIG) == 1
