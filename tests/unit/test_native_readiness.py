"""Per tool: can it be called now, and if not, why. And whose keys a user's are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.world import ALICE, CALENDAR, CONFIG, GMAIL, READONLY, World
from valet.models import ConnectionTools, UserId, user_key
from valet.native import keys
from valet.native.catalogue import Catalogue
from valet.native.exposure import offered
from valet.native.provider import InvalidGrant
from valet.native.readiness import readiness
from valet.tools.results import NotConnected


def reasons(world: World) -> dict[str, str | None]:
    config = world.configs.get(CONFIG)
    accounts = world.accounts.of(ALICE, offered(config, world.configs.connections()))
    return {tool.name: tool.reason for tool in readiness(config, accounts, Catalogue())}


def test_a_tool_says_in_one_stable_word_what_it_still_needs() -> None:
    world = World().deployed().exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails",)))
    seen = [reasons(world)["gmail_fetch_mails"]]
    authorization_id = world.started().authorization()
    seen.append(reasons(world)["gmail_fetch_mails"])
    world.verification.verify(authorization_id, ALICE)
    seen.append(reasons(world)["gmail_fetch_mails"])
    world.provider.answers = [InvalidGrant("x")]
    with pytest.raises(NotConnected):
        world.usable(refused=True)
    seen.append(reasons(world)["gmail_fetch_mails"])
    world.disconnect.disconnect(ALICE, GMAIL)
    seen.append(reasons(world)["gmail_fetch_mails"])
    assert seen == ["not_connected", "not_verified", None, "expired", "disconnected"]


def test_tools_are_ready_each_for_itself_in_the_configs_order() -> None:
    world = World().deployed()
    world.exposing(
        ConnectionTools(CALENDAR, ("googlecalendar_create_event",)),
        ConnectionTools(GMAIL, ("gmail_send_message", "gmail_fetch_mails")),
    )
    world.reconnected(scopes=frozenset({READONLY}))
    assert list(reasons(world).items()) == [
        ("googlecalendar_create_event", "not_connected"),
        ("gmail_send_message", "missing_permission"),
        ("gmail_fetch_mails", None),
    ]


def test_a_tool_whose_connection_was_removed_says_so() -> None:
    world = World().deployed()
    world.configs.delete_connection(GMAIL, owner="s/Gmail")
    assert reasons(world)["gmail_fetch_mails"] == "connection_removed"
    assert reasons(world)["googlecalendar_create_event"] == "not_connected"


USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)


@settings(max_examples=100, deadline=None)
@given(USERS, USERS)
def test_different_users_never_share_a_key_and_a_key_shows_no_user(one: str, other: str) -> None:
    first, second = user_key(UserId(one)), user_key(UserId(other))
    assert (first == second) == (one == other)
    assert set(first) <= set("0123456789abcdef")
    assert len(first) == 40


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "bobby"),
        ("a#b", "a"),
        ("Bob", "bob"),
        ("bob", "bob "),
        ("\u00e9", "e\u0301"),
        ("\ufb01", "fi"),
        ("a", "a\u0000"),
    ],
)
def test_names_that_look_or_begin_alike_are_different_users(one: str, other: str) -> None:
    world = World().deployed()
    first, second = user_key(UserId(one)), user_key(UserId(other))
    world.connected(first)
    assert world.account(second).status == "PENDING_AUTH"
    assert world.instances.ensure(CONFIG, first) != world.instances.ensure(CONFIG, second)
    assert world.table.query(keys.owned_partition(second)) != []
    assert len(world.instances.of(second)) == 1
