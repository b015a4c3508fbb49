"""Session tokens: what they say, how long they live, and what ends them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import key_ring
from tests.world import ALICE, BOB, CONFIG, World
from valet.errors import NotFound, TooMany
from valet.models import Access
from valet.native import keys
from valet.native.key_ring import Signers
from valet.native.session_tokens import MOST, TokenReader
from valet.native.signed_keys import SignedForm, checksum

WORLD = World().deployed()
TOKEN = WORLD.token()


def test_a_token_says_its_instance_end_and_access_and_is_another_each_time() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    lifetime = timedelta(minutes=5)
    token, text = world.session_tokens.issue(instance.id, ALICE, lifetime, Access.READ_ONLY)
    content = TokenReader(world.signers).read(text.reveal())
    assert content
    assert (content.instance, content.id) == (instance.id, token.id)
    assert (content.access, content.key_id) == (Access.READ_ONLY, "k1")
    assert content.expires_at == token.expires_at.timestamp() == world.now().timestamp() + 300
    again, other = world.session_tokens.issue(instance.id, ALICE, lifetime, Access.READ_ONLY)
    assert again.id != token.id
    assert other.reveal() != text.reveal()


def test_a_token_has_the_form_that_secret_scanners_look_for() -> None:
    assert re.fullmatch(r"mvt_[A-Za-z0-9_-]{92}[0-9A-Za-z]{6}", TOKEN)


def test_every_edit_of_one_character_is_refused_whether_or_not_its_checksum_fits() -> None:
    reader = TokenReader(WORLD.signers)
    assert reader.read(TOKEN)
    alphabet = ascii_letters + digits + "-_"
    for at in range(len(TOKEN)):
        for other in alphabet.replace(TOKEN[at], ""):
            edited = TOKEN[:at] + other + TOKEN[at + 1 :]
            assert reader.read(edited) is None
            fitted = f"{edited[:96]}{checksum(edited[4:96])}"
            assert at >= 96 or reader.read(fitted) is None


def test_the_key_of_a_url_is_no_token_and_a_token_no_key_of_a_url() -> None:
    key = WORLD.url_key()
    for text in (key, key.replace("mvk_", "mvt_")):
        assert WORLD.sessions.open_token(text) is None
    for text in (TOKEN, TOKEN.replace("mvt_", "mvk_")):
        assert WORLD.sessions.open(text) is None
    of_urls = SignedForm("mvt_", b"mcp-url:", "16s8sIB")
    alike = of_urls.write(WORLD.ring.keys["k1"], "k1", b"i" * 16, b"t" * 8, 2**32 - 1, 0)
    assert TokenReader(WORLD.signers).read(alike) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"mvt_[A-Za-z0-9_-]{92}[0-9a-zA-Z]{6}"))
def test_arbitrary_text_is_refused_and_never_raises(text: str) -> None:
    assert WORLD.sessions.open_token(text) is None


def test_a_token_gives_the_access_that_it_was_made_with() -> None:
    world = World().deployed()
    for access in Access:
        session = world.sessions.open_token(world.token(access=access))
        assert session
        assert (session.user, session.access, session.via) == (ALICE, access, "token")


def test_a_warm_request_is_one_batch_read() -> None:
    world = World().deployed()
    token = world.token()
    world.sessions.open_token(token)
    world.table.requests.clear()
    assert world.sessions.open_token(token)
    assert world.table.requests == ["get_many"]


def test_a_token_ends_at_its_time_though_its_item_is_still_there() -> None:
    world = World().deployed()
    token = world.token(lifetime=timedelta(minutes=1))
    world.now.advance(seconds=59)
    assert world.sessions.open_token(token)
    world.now.advance(seconds=1)
    world.table.requests.clear()
    assert world.sessions.open_token(token) is None
    assert world.table.requests == [], "a token that is over costs no read"


def test_who_writes_to_the_table_can_shorten_a_tokens_life_and_not_lengthen_it() -> None:
    world = World().deployed()
    token = world.token(lifetime=timedelta(minutes=5))
    (item,) = [item for key, item in world.table.items.items() if key.sk.startswith("TOKEN#")]
    item["expires_at"] += 3600
    item["access"] = "READ_ONLY"
    session = world.sessions.open_token(token)
    assert session
    assert session.access is Access.FULL
    world.now.advance(minutes=5)
    assert world.sessions.open_token(token) is None
    world.now.advance(minutes=-4)
    item["expires_at"] = int(world.now().timestamp())
    assert world.sessions.open_token(token) is None


def test_a_revoked_token_is_refused_at_once_by_a_warm_function_and_the_others_go_on() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    token, text = world.session_tokens.issue(instance.id, ALICE, timedelta(hours=1), Access.FULL)
    other = world.token()
    assert world.sessions.open_token(text.reveal())
    world.session_tokens.revoke(instance.id, ALICE, token.id)
    assert world.sessions.open_token(text.reveal()) is None
    assert world.sessions.open_token(other)
    with pytest.raises(NotFound):
        world.session_tokens.revoke(instance.id, ALICE, token.id)


def test_a_deleted_instances_tokens_die_with_it_and_its_successor_does_not_revive_them() -> None:
    world = World().deployed()
    token = world.token()
    assert world.sessions.open_token(token)
    world.instances.delete(world.instances.ensure(CONFIG, ALICE).id, ALICE)
    assert world.sessions.open_token(token) is None
    world.instances.ensure(CONFIG, ALICE)
    assert world.sessions.open_token(token) is None


def test_rotating_the_url_leaves_tokens_alone() -> None:
    world = World().deployed()
    token = world.token()
    world.instances.rotate(world.instances.ensure(CONFIG, ALICE).id, ALICE, timedelta(0))
    assert world.sessions.open_token(token)


def test_a_token_lives_as_long_as_the_key_that_signed_it_is_in_the_ring() -> None:
    world = World().deployed()
    token = world.token()
    world.ring = key_ring("k2", "k1")
    assert world.sessions.open_token(token)
    world.ring = key_ring("k2")
    assert world.sessions.open_token(token) is None


def test_a_key_that_has_leaked_signs_for_no_token_of_another() -> None:
    world = World().deployed()
    world.ring = key_ring("k2", "k1")
    content = TokenReader(world.signers).read(world.token())
    assert content
    form = SignedForm("mvt_", b"session-token:", "16s8sIB")
    raw = (bytes.fromhex(content.instance[4:]), bytes.fromhex(content.id[4:]))
    for key_id, opens in (("k2", True), ("k1", False)):
        text = form.write(world.ring.keys[key_id], key_id, *raw, content.expires_at, 0)
        assert bool(world.sessions.open_token(text)) is opens


def test_a_token_of_a_ring_that_the_cache_does_not_know_yet_is_looked_for_in_the_latest() -> None:
    signers = Signers(lambda: key_ring("k0"), lambda: key_ring("k0", "k1"))
    assert TokenReader(signers).read(TOKEN)


def test_nothing_at_rest_reproduces_a_token() -> None:
    world = World().deployed()
    token = world.token()
    stored = json.dumps(list(world.table.items.values()), default=repr)
    windows = {token[at : at + 12] for at in range(len(token) - 11)}
    assert not [window for window in windows if window in stored]


def test_a_list_shows_the_living_ones_the_first_to_end_first_and_nothing_that_opens() -> None:
    world = World().deployed()
    texts = [world.token(lifetime=timedelta(minutes=minutes)) for minutes in (3, 1, 2)]
    world.now.advance(minutes=1)
    instance = world.instances.ensure(CONFIG, ALICE).id
    listed = world.session_tokens.of(instance, ALICE)
    assert [(token.expires_at - world.now()).total_seconds() for token in listed] == [60, 120]
    assert not [text for text in texts if text in repr(listed)]


def test_so_many_tokens_are_alive_at_once_and_the_refusal_says_when_the_next_can_be_made() -> None:
    world = World().deployed()
    for _ in range(MOST):
        world.token(lifetime=timedelta(minutes=2))
    with pytest.raises(TooMany, match="revoke one") as refusal:
        world.token()
    assert refusal.value.code == "too_many_tokens"
    assert f"{world.now() + timedelta(minutes=2):%H:%M} UTC" in str(refusal.value)
    world.token(BOB)
    world.now.advance(minutes=2)
    assert world.token()


def test_nobody_elses_instance_has_tokens_for_me() -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE).id
    token, _ = world.session_tokens.issue(instance, ALICE, timedelta(hours=1), Access.FULL)
    for act in (
        lambda: world.session_tokens.issue(instance, BOB, timedelta(hours=1), Access.FULL),
        lambda: world.session_tokens.of(instance, BOB),
        lambda: world.session_tokens.revoke(instance, BOB, token.id),
    ):
        with pytest.raises(NotFound):
            act()
    assert [found.id for found in world.session_tokens.of(instance, ALICE)] == [token.id]


@pytest.mark.parametrize("token_id", ["", "tok_", "-", "tok_" + "0" * 16, "tok_" + "A" * 2000])
def test_a_token_that_is_not_there_is_not_found_whatever_its_name(token_id: str) -> None:
    world = World().deployed()
    instance = world.instances.ensure(CONFIG, ALICE).id
    with pytest.raises(NotFound):
        world.session_tokens.revoke(instance, ALICE, token_id)
    assert keys.instance(instance) in world.table.items


def test_a_token_in_a_deleted_config_opens_nothing() -> None:
    world = World().deployed()
    token = world.token()
    world.configs.delete(CONFIG, owner="s/Config")
    assert world.sessions.open_token(token) is None


def test_the_content_of_one_token_does_not_fit_anothers_signature() -> None:
    world = World().deployed()
    reader = TokenReader(world.signers)
    first, second = world.token(), world.token(BOB)
    spliced = first[4:52] + second[52:96]
    assert reader.read(f"mvt_{spliced}{checksum(spliced)}") is None
