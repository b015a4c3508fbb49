"""Declaring connections and configs: what is refused, what makes a revision, who may."""

from __future__ import annotations

from functools import partial

import pytest

from tests.world import CALENDAR, CONFIG, GMAIL, World
from valet.connectors.catalog import load_connector
from valet.errors import BadRequest, Busy, Conflict, NotFound, UnknownName
from valet.models import ConnectionTools, McpConfig
from valet.native import keys
from valet.native.catalogue import Catalogue
from valet.native.config_rules import MAX_DESCRIPTION, MAX_MAPPINGS
from valet.native.readiness import readiness

MAILS = ConnectionTools(GMAIL, ("gmail_fetch_mails",))


def put(
    world: World, *mappings: ConnectionTools, name: str = "other", description: str = ""
) -> McpConfig:
    return world.configs.put(name, description, mappings, owner=f"stack/{name}", replaces=False)


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", "A", "a b", "a.b", "a/b", "a#b", "é", "a\n", "a" * 101, "..", "a\u0000"],
)
def test_a_config_name_outside_its_alphabet_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        put(World().deployed(), MAILS, name=name)
    assert refusal.value.code == "bad_name"


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "a" * 100])
def test_a_config_name_within_its_alphabet_is_taken(name: str) -> None:
    assert put(World().deployed(), MAILS, name=name).name == name


@pytest.mark.parametrize("name", ["", "-A", "A B", "A/B", "A#B", "É", "A" * 101, "A\n"])
def test_a_connection_name_or_oauth_client_outside_its_alphabet_is_refused(name: str) -> None:
    configs = World().configs
    with pytest.raises(BadRequest) as refusal:
        configs.put_connection(name, "gmail", None, owner="o", replaces=False)
    assert refusal.value.code == "bad_name"
    if name:  # none at all means the provider's own
        with pytest.raises(BadRequest):
            configs.put_connection("A", "gmail", name, owner="o", replaces=False)


def test_a_connection_uses_the_oauth_client_named_after_its_provider_unless_told_otherwise() -> (
    None
):
    configs = World().configs
    configs.put_connection("A", "gmail", None, owner="o", replaces=False)
    configs.put_connection("B", "gmail", "second", owner="o", replaces=False)
    assert {name: c.oauth_client for name, c in configs.connections().items()} == {
        "A": "google",
        "B": "second",
    }


def test_an_unknown_connector_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gmail'"):
        World().configs.put_connection("A", "gmial", None, owner="o", replaces=False)


def test_an_unknown_connection_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'MY_GMAIL'") as refusal:
        put(World().deployed(), ConnectionTools("MY_GMIAL"))
    assert refusal.value.code == "unknown_connection"


def test_an_unknown_tool_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gmail_fetch_mails'") as refusal:
        put(World().deployed(), ConnectionTools(GMAIL, ("gmail_fetch_mail",)))
    assert refusal.value.code == "unknown_tool"


def test_a_tool_of_another_connector_is_unknown_on_a_connection() -> None:
    with pytest.raises(UnknownName):
        put(World().deployed(), ConnectionTools(CALENDAR, ("gmail_fetch_mails",)))


def test_a_refused_config_leaves_the_one_that_is_there() -> None:
    world = World().deployed()
    before = world.configs.get(CONFIG)
    with pytest.raises(UnknownName):
        world.exposing(MAILS, ConnectionTools(CALENDAR, ("no_such_tool",)))
    assert world.configs.get(CONFIG) == before


def test_a_connection_listed_twice_is_refused() -> None:
    with pytest.raises(BadRequest) as refusal:
        put(World().deployed(), MAILS, ConnectionTools(GMAIL, ("gmail_send_message",)))
    assert refusal.value.code == "duplicate_connection"


@pytest.mark.parametrize("name", ["gmail_fetch_mails", "gmail_send_mail"])
def test_a_tool_or_alias_listed_twice_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        put(World().deployed(), ConnectionTools(GMAIL, (name, name)))
    assert refusal.value.code == "duplicate_tool"


def test_the_same_tool_name_on_two_connections_is_refused_naming_the_other() -> None:
    world = World().deployed()
    world.configs.put_connection("WORK", "gmail", None, owner="o", replaces=False)
    with pytest.raises(BadRequest, match="by 'MY_GMAIL' too") as refusal:
        put(world, ConnectionTools(GMAIL), ConnectionTools("WORK", ("gmail_fetch_mails",)))
    assert refusal.value.code == "duplicate_tool"


def test_an_alias_tells_the_same_tool_of_two_connections_apart() -> None:
    world = World().deployed()
    world.configs.put_connection("WORK", "gmail", None, owner="o", replaces=False)
    config = put(
        world,
        ConnectionTools(GMAIL, ("gmail_send_message",)),
        ConnectionTools("WORK", ("gmail_send_mail",)),
    )
    assert config.revision == 1


def test_an_empty_tool_list_is_refused_and_none_exposes_all() -> None:
    world = World().deployed()
    with pytest.raises(BadRequest) as refusal:
        put(world, ConnectionTools(GMAIL, ()))
    assert refusal.value.code == "empty_tools"
    config = put(world, ConnectionTools(GMAIL))
    ready = readiness(config, {GMAIL: world.account()}, Catalogue())
    assert [tool.name for tool in ready] == list(load_connector("gmail").tools)


def test_a_config_without_connections_is_refused() -> None:
    with pytest.raises(BadRequest) as refusal:
        put(World().deployed())
    assert refusal.value.code == "no_connections"


def test_more_connections_than_fit_are_refused_and_as_many_as_fit_are_not() -> None:
    world = World()
    tools = list(load_connector("gmail").tools)
    names = [f"C{number}" for number in range(MAX_MAPPINGS + 1)]
    for name in names:
        world.configs.put_connection(name, "gmail", None, owner="o", replaces=False)
    mappings = [ConnectionTools(name, (tool,)) for name, tool in zip(names, tools, strict=False)]
    assert put(world, *mappings[:MAX_MAPPINGS]).revision == 1
    with pytest.raises(BadRequest) as refusal:
        put(world, *mappings)
    assert refusal.value.code == "too_many_connections"


def test_a_description_may_be_as_long_as_the_limit_and_no_longer() -> None:
    world = World().deployed()
    assert put(world, MAILS, description="d" * MAX_DESCRIPTION).revision == 1
    with pytest.raises(BadRequest) as refusal:
        put(world, MAILS, description="d" * (MAX_DESCRIPTION + 1))
    assert refusal.value.code == "description_too_long"


def test_the_same_config_again_makes_no_revision_and_keeps_its_date() -> None:
    world = World().deployed()
    first = put(world, MAILS)
    world.now.advance(hours=1)
    writes = world.table.writes
    assert put(world, MAILS) == first
    assert world.table.writes == writes


@pytest.mark.parametrize(
    ("mappings", "description"),
    [
        ((MAILS,), "reads mail"),
        ((ConnectionTools(GMAIL, ("gmail_send_message",)),), ""),
        ((ConnectionTools(GMAIL),), ""),
    ],
)
def test_a_change_makes_one_revision(
    mappings: tuple[ConnectionTools, ...], description: str
) -> None:
    world = World().deployed()
    put(world, MAILS)
    changed = put(world, *mappings, description=description)
    assert changed.revision == 2
    assert world.configs.get("other") == changed


def test_revisions_are_kept_unchanged_after_updates_and_after_delete_and_recreation() -> None:
    world = World().deployed()
    put(world, MAILS, description="one")
    put(world, MAILS, description="two")
    history = keys.config_revision("other", 1).pk
    kept = world.table.query(history)
    world.configs.delete("other", owner="stack/other")
    assert put(world, MAILS, description="three").revision == 3
    revisions = world.table.query(history)
    assert revisions[:2] == kept
    assert [item["description"] for item in revisions] == ["one", "two", "three"]


def test_a_deleted_config_is_not_found_and_deleting_it_again_is_no_error() -> None:
    world = World().deployed()
    for _ in range(2):
        world.configs.delete(CONFIG, owner="s/Config")
    with pytest.raises(NotFound):
        world.configs.get(CONFIG)


@pytest.mark.parametrize("name", ["", "nope", "a#b", "x" * 5000, "é"])
def test_a_config_of_any_name_that_does_not_exist_is_just_not_found(name: str) -> None:
    world = World().deployed()
    with pytest.raises(NotFound):
        world.configs.get(name)


def test_another_owner_may_not_take_over_a_config_or_a_connection() -> None:
    world = World().deployed()
    with pytest.raises(Conflict) as refusal:
        world.configs.put(CONFIG, "", [MAILS], owner="thief/Config", replaces=False)
    assert refusal.value.code == "duplicate_config"
    with pytest.raises(Conflict) as refusal:
        world.configs.put_connection(GMAIL, "gmail", None, owner="thief/Gmail", replaces=False)
    assert refusal.value.code == "duplicate_connection"


def test_an_operator_who_replaces_may() -> None:
    world = World().deployed()
    config = world.configs.put(CONFIG, "by hand", [MAILS], owner="", replaces=True)
    assert world.configs.get(CONFIG) == config


def test_a_late_delete_leaves_what_another_owner_has_declared_since() -> None:
    world = World().deployed()
    world.configs.delete(CONFIG, owner="old/Config")
    world.configs.delete_connection(GMAIL, owner="old/Gmail")
    assert world.configs.get(CONFIG)
    assert GMAIL in world.configs.connections()


def test_a_delete_that_loses_a_race_leaves_the_new_owners_config() -> None:
    world = World().deployed()
    put(world, MAILS)

    def another_owner_takes_the_name() -> None:
        world.configs.delete("other", owner="stack/other")
        world.configs.put("other", "", [MAILS], owner="new/Other", replaces=False)

    world.table.before_next_write(another_owner_takes_the_name)
    world.configs.delete("other", owner="stack/other")
    assert world.configs.get("other").revision == 2


def test_two_owners_who_declare_one_connection_at_once_do_not_both_get_it() -> None:
    world = World()

    def declare(owner: str, client: str) -> None:
        world.configs.put_connection("A", "gmail", client, owner=owner, replaces=False)

    world.table.before_next_write(lambda: declare("first/A", "one"))
    with pytest.raises(Conflict):
        declare("second/A", "two")
    assert world.configs.connections()["A"].oauth_client == "one"


def test_a_connections_connector_does_not_change_under_the_configs_that_use_it() -> None:
    world = World().deployed()
    with pytest.raises(Conflict, match="another name") as refusal:
        world.configs.put_connection(GMAIL, "googlecalendar", None, owner="s/Gmail", replaces=False)
    assert refusal.value.code == "connector_fixed"
    assert world.configs.connections()[GMAIL].connector == "gmail"


def test_racing_writers_of_one_config_both_get_a_revision_of_their_own() -> None:
    world = World().deployed()
    put(world, MAILS, description="zero")
    world.table.before_next_write(lambda: put(world, MAILS, description="rival"))
    mine = put(world, MAILS, description="mine")
    assert mine.revision == 3
    assert world.configs.get("other") == mine
    revisions = world.table.query(keys.config_revision("other", 1).pk)
    assert [item["description"] for item in revisions] == ["zero", "rival", "mine"]


def test_two_first_writers_of_the_same_config_make_one_revision() -> None:
    world = World().deployed()
    world.table.before_next_write(lambda: put(world, MAILS))
    assert put(world, MAILS).revision == 1


def test_a_delete_between_read_and_write_leaves_a_config_that_counts_on() -> None:
    world = World().deployed()
    put(world, MAILS, description="one")
    world.table.before_next_write(lambda: world.configs.delete("other", owner="stack/other"))
    assert put(world, MAILS, description="two").revision == 2


def test_a_writer_who_keeps_losing_is_told_to_try_again() -> None:
    world = World().deployed()

    def rival(number: int) -> None:
        put(world, MAILS, description=f"rival {number}")

    world.table.before_next_write(*[partial(rival, number) for number in range(5)])
    with pytest.raises(Busy):
        put(world, MAILS, description="mine")
    assert world.configs.get("other").description == "rival 4"


def test_configs_are_listed_in_the_order_of_their_names() -> None:
    world = World().deployed()
    for name in ("b", "a"):
        put(world, MAILS, name=name)
    assert [config.name for config in world.configs.all()] == ["a", "b", CONFIG]
