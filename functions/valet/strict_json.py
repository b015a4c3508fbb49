"""JSON as a stranger may send it: what `json` alone would let through is refused.

`json` takes NaN, infinities, duplicate keys (the last one wins), lone surrogates that fail only
when they are written out again, and nesting that overflows other code. All are refused here, so
that no two readers of a request can disagree about what it says (CVE-2026-27896).
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

MAX_DEPTH: Final = 64
MAX_INT_DIGITS: Final = 19  # those of a signed 64-bit integer


class BadJson(ValueError):
    """The bytes are not strict JSON; the message says what strict means, and quotes nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the body must be UTF-8 JSON with unique keys and finite numbers, "
            f"at most {MAX_DEPTH} levels deep"
        )


def loads(body: bytes) -> Any:
    """The JSON value that a body holds.

    Raises:
        BadJson: it holds none, or more than strict JSON.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_int=_bounded,
            parse_constant=_refused,
        )
        _check_depth(value)
        if "\\u" in text:  # the only way left for half a surrogate pair to get in
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadJson from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _bounded(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_INT_DIGITS:
        raise ValueError("integer out of range")
    return int(text)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _containers(node)]
        if not level:
            return
    raise ValueError("too deep")


def _containers(node: dict[str, Any] | list[Any]) -> list[dict[str, Any] | list[Any]]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, (dict, list))]
