"""The management edge's JSON: what one reader would take and another would not is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valet.strict_json import MAX_DEPTH, BadJson, loads

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_json_writes_is_read_back(value: Any) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused_and_never_crash(body: bytes) -> None:
    try:
        value = loads(body)
    except BadJson:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("level", [1, MAX_DEPTH])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_counted_alike_for_arrays_and_objects(level: int, opens: str, closes: str) -> None:
    inner = "1" if opens != "[" else ""
    loads((opens * level + inner + closes * level).encode())
    over = level + MAX_DEPTH
    with pytest.raises(BadJson):
        loads((opens * over + inner + closes * over).encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": {"b": 1, "b": 2}}',
        '{"a": 1, "\\u0061": 2}',
        "NaN",
        "[-Infinity]",
        "1e400",
        "-1e400",
        "9" * 20,
        "-" + "9" * 20,
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '{"\\udfff": 1}',
        "01",
        "+1",
        ".5",
        "1.",
        "'a'",
        "{a: 1}",
        "[1,]",
        "// x\n1",
        '"a\nb"',
        '"\x00"',
        "",
        " ",
        "\ufeff{}",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_readers_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(BadJson):
        loads(text.encode())


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "text", ["9" * 19, "-" + "9" * 19, "0", "-0", "1e300", "[[]]", '"\\u0000"']
)
def test_what_is_strict_json_is_read(text: str) -> None:
    assert loads(text.encode()) == json.loads(text)


def test_the_refusal_quotes_nothing() -> None:
    with pytest.raises(BadJson) as raised:
        loads(b'{"token": "ya29.secret", "token": 1}')
    assert "ya29" not in str(raised.value)
