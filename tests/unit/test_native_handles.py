"""Handles: good for the one caller and the one thing that they were made for, and for a while."""

from __future__ import annotations

import base64
from datetime import timedelta
from string import ascii_letters, digits

import pytest

from tests.fakes import Clock, key_ring
from tests.world import World
from valet.native.handles import Handles
from valet.native.key_ring import Signers

MINUTES = timedelta(minutes=10)
ABOUT = ("list", "config/1")


def handles(ring: tuple[str, ...] = ("k1",), now: Clock | None = None) -> Handles:
    return Handles(Signers(lambda: key_ring(*ring)), now or Clock())


MINE = handles().of("ins_1/FULL")
HANDLE = MINE.issue(ABOUT, "100", MINUTES)


@pytest.mark.parametrize("content", ["", "100", "Gmail", "zażółć", "a" * 1000])
def test_a_handle_brings_its_content_back(content: str) -> None:
    assert MINE.read(ABOUT, MINE.issue(ABOUT, content, MINUTES)) == content


def test_every_edit_of_one_character_is_refused() -> None:
    edited = [
        HANDLE[:at] + other + HANDLE[at + 1 :]
        for at in range(len(HANDLE))
        for other in ascii_letters + digits + "-_="
        if other != HANDLE[at]
    ]
    assert len(edited) == len(HANDLE) * 64
    assert [text for text in edited if MINE.read(ABOUT, text) is not None] == []


def test_every_cut_is_refused() -> None:
    cuts = [HANDLE[:at] for at in range(len(HANDLE))] + [HANDLE[at:] for at in range(1, 20)]
    assert [text for text in cuts if MINE.read(ABOUT, text) is not None] == []


@pytest.mark.parametrize(
    "added", ["=", "==", "A", "AAAA", "-TAMPERED", "=-TAMPERED", "\n", " ", "\0", "é", "\ud800"]
)
def test_nothing_can_be_added_though_a_decoder_would_skip_it(added: str) -> None:
    assert MINE.read(ABOUT, HANDLE + added) is None
    assert MINE.read(ABOUT, added + HANDLE) is None


def test_stray_bits_do_not_make_a_second_spelling() -> None:
    spelled = MINE.issue(ABOUT, "1", MINUTES)
    assert len(spelled) % 4 == 2  # so that the last character has four bits that say nothing
    raw = base64.urlsafe_b64decode(spelled + "==")
    others = [spelled[:-1] + last for last in ascii_letters + digits if last != spelled[-1]]
    alike = [text for text in others if base64.urlsafe_b64decode(text + "==") == raw]
    assert alike
    assert [text for text in alike if MINE.read(ABOUT, text) is not None] == []


@pytest.mark.parametrize(
    ("caller", "about"),
    [
        ("ins_2/FULL", ABOUT),
        ("ins_1/READ_ONLY", ABOUT),
        ("ins_1/FULL", ("list", "config/2")),
        ("ins_1/FULL", ("call", "config/1")),
        ("ins_1/FULL", ("list",)),
        ("ins_1/FULL", ("list", "config/1", "")),
        ("ins_1/FULL", ("listconfig/1",)),
        ("ins_1/FULL", ("list", "config", "/1")),
        ("", ("ins_1/FULL", *ABOUT)),
    ],
)
def test_a_handle_is_worth_nothing_elsewhere(caller: str, about: tuple[str, ...]) -> None:
    assert handles().of(caller).read(about, HANDLE) is None


def test_a_handle_runs_out() -> None:
    now = Clock()
    mine = handles(now=now).of("ins_1/FULL")
    handle = mine.issue(ABOUT, "100", MINUTES)
    now.advance(seconds=599)
    assert mine.read(ABOUT, handle) == "100"
    now.advance(seconds=1)
    assert mine.read(ABOUT, handle) is None


def test_a_rolled_ring_keeps_handles_until_their_key_has_left() -> None:
    assert handles(("k2", "k1")).of("ins_1/FULL").read(ABOUT, HANDLE) == "100"
    assert handles(("k2",)).of("ins_1/FULL").read(ABOUT, HANDLE) is None


def test_a_handle_is_no_url_key_and_a_url_key_no_handle() -> None:
    world = World().deployed()
    key = world.url_key()
    session = world.sessions.open(key)
    assert session
    mine = world.handles.of(session.caller)
    assert world.sessions.open(mine.issue((), "", MINUTES)) is None
    assert world.sessions.open("mvk_" + mine.issue((), "", MINUTES)) is None
    assert mine.read((), key) is None
    assert mine.read((), key.removeprefix("mvk_")[:80]) is None


def test_a_handle_shows_its_content_and_nothing_of_the_ring() -> None:
    raw = base64.urlsafe_b64decode(HANDLE + "=" * (-len(HANDLE) % 4))
    assert b"100" in raw
    assert key_ring().keys["k1"].reveal().encode() not in raw
