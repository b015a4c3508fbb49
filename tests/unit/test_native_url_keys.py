"""URL keys: derived, checked before any read, and all wrong ones alike."""

from __future__ import annotations

import re
from dataclasses import replace
from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import key_ring
from tests.world import World
from valet.errors import Misconfigured
from valet.models import InstanceId, Secret
from valet.native.instance_records import new_instance_id
from valet.native.key_ring import KeyRing, Signers
from valet.native.signed_keys import SignedForm, checksum
from valet.native.url_keys import UrlKey, UrlKeys

RING = key_ring("k1", "k2")
KEYS = UrlKeys(Signers(lambda: RING))
CONTENT = UrlKey(InstanceId("ins_" + "0123456789abcdef" * 2), 1, "k1")
KEY = KEYS.derive(CONTENT)


def test_a_key_says_what_it_was_derived_from_and_is_the_same_every_time() -> None:
    assert KEYS.parse(KEY) == CONTENT
    assert KEYS.derive(CONTENT) == KEY


def test_a_key_has_the_form_that_secret_scanners_look_for() -> None:
    assert re.fullmatch(r"mvk_[A-Za-z0-9_-]{80}[0-9A-Za-z]{6}", KEY)


def test_every_edit_of_one_character_is_refused() -> None:
    alphabet = ascii_letters + digits + "-_"
    edited = [
        KEY[:at] + other + KEY[at + 1 :]
        for at in range(len(KEY))
        for other in alphabet
        if other != KEY[at]
    ]
    assert len(edited) == 90 * 63
    assert [key for key in edited if KEYS.parse(key)] == []


def test_the_signature_refuses_an_edit_whose_checksum_was_made_to_fit() -> None:
    for at in range(4, 84):
        body = KEY[4:at] + ("A" if KEY[at] != "A" else "B") + KEY[at + 1 : 84]
        assert KEYS.parse(with_checksum(body)) is None


def with_checksum(body: str) -> str:
    """A key as an attacker makes it, who can read this code and has no signing key."""
    return f"mvk_{body}{checksum(body)}"


def test_what_is_signed_for_another_purpose_is_no_key() -> None:
    form = SignedForm("mvk_", b"another:", "16sI")
    assert KEYS.parse(form.write(RING.keys["k1"], "k1", b"i" * 16, 1)) is None


def test_a_form_that_would_have_several_spellings_is_refused() -> None:
    with pytest.raises(ValueError, match="stray bits"):
        SignedForm("mvk_", b"mcp-url:", "16sIB")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mvk_",
        KEY[1:],
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        "MVK_" + KEY[4:],
        "mvl_" + KEY[4:],
        KEY[4:],
        KEY[:40] + "%" + KEY[41:],
        KEY[:40] + "+" + KEY[41:],
        KEY[:40] + "=" + KEY[41:],
        KEY[:40] + "é" + KEY[41:],
        KEY[:40] + "\u0660" + KEY[41:],  # a digit, for some
        KEY[:40] + "\u0000" + KEY[41:],
        KEY[:-6] + "000000",
        KEY * 2,
        "mvk_" + "A" * 100_000,
    ],
)
def test_a_wrong_prefix_length_alphabet_or_checksum_is_refused(text: str) -> None:
    assert KEYS.parse(text) is None


def test_a_key_of_another_ring_is_refused() -> None:
    other = KeyRing("k1", {"k1": Secret("another-secret-of-32-characters-or-more")})
    assert UrlKeys(Signers(lambda: other)).parse(KEY) is None


def test_a_key_whose_signer_left_the_ring_is_refused() -> None:
    assert UrlKeys(Signers(lambda: key_ring("k2"))).parse(KEY) is None


@pytest.mark.parametrize(
    "change",
    [{"generation": 2}, {"instance": InstanceId("ins_" + "f" * 32)}, {"key_id": "k2"}],
)
def test_the_signature_of_one_generation_instance_or_key_does_not_fit_another(
    change: dict[str, object],
) -> None:
    other = KEYS.derive(replace(CONTENT, **change))  # type: ignore[arg-type]
    head = 38  # base64url characters of the 28 bytes that are signed, less the one both share
    assert other[4 : 4 + head] != KEY[4 : 4 + head]
    assert KEYS.parse(with_checksum(other[4 : 4 + head] + KEY[4 + head : 84])) is None


def test_a_key_names_the_key_that_signed_it_so_that_the_ring_can_roll() -> None:
    rolled = UrlKeys(Signers(lambda: key_ring("k2", "k1")))
    assert rolled.parse(KEY) == CONTENT
    assert rolled.derive(CONTENT) == KEY
    assert rolled.current_key_id() == "k2"


def test_a_key_that_the_cached_ring_does_not_know_is_looked_for_in_the_latest() -> None:
    cached = UrlKeys(Signers(lambda: key_ring("k0"), lambda: key_ring("k1", "k0")))
    assert cached.parse(KEY) == CONTENT
    assert cached.derive(CONTENT) == KEY
    stale = UrlKeys(Signers(lambda: key_ring("k0"), lambda: key_ring("k0")))
    assert stale.parse(KEY) is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"mvk_[A-Za-z0-9_-]{80}[0-9a-zA-Z]{6}"))
def test_arbitrary_text_is_refused_and_never_raises(text: str) -> None:
    assert KEYS.parse(text) is None


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=16, max_size=16), st.integers(1, 2**32 - 1), st.sampled_from(["k1", "k2"])
)
def test_every_instance_and_generation_comes_back_from_its_key(
    random: bytes, generation: int, key_id: str
) -> None:
    content = UrlKey(new_instance_id(lambda _: random), generation, key_id)
    assert KEYS.parse(KEYS.derive(content)) == content


def test_a_bad_key_costs_no_table_read() -> None:
    world = World().deployed()
    good = world.url_key()
    world.table.requests.clear()
    others = UrlKeys(Signers(lambda: KeyRing("k1", {"k1": Secret("o" * 32)}))).derive(CONTENT)
    for bad in (
        others,
        good[:-1],
        good[:50] + ("-" if good[50] != "-" else "_") + good[51:],
        "",
        "mvk_nothing",
    ):
        assert world.sessions.open(bad) is None
    assert world.table.requests == []


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"k1": "s" * 32},
        {"current": "k1"},
        {"current": "k2", "k1": "s" * 32},
        {"current": "k1", "k1": "s" * 31},
        {"current": "k1", "k1": "s" * 32, "k2": "short"},
        {"current": "key-one", "key-one": "s" * 32},
        {"current": "muchtoolong", "muchtoolong": "s" * 32},
        {"current": "", "": "s" * 32},
        {"current": None, "k1": "s" * 32},
    ],
)
def test_a_ring_without_a_usable_current_key_is_refused(secret: dict[str, object]) -> None:
    with pytest.raises(Misconfigured) as refusal:
        KeyRing.parse(secret)
    assert "ssss" not in str(refusal.value)


def test_a_ring_reads_its_keys_from_the_secret() -> None:
    ring = KeyRing.parse({"current": "k2", "k1": "a" * 32, "k2": "b" * 32})
    assert (ring.current, sorted(ring.keys)) == ("k2", ["k1", "k2"])
    assert "bbb" not in repr(ring)
