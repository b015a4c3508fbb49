"""Values held to a discovery document's schemas: types, formats, enums, and no unknown names."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from .errors import ApiError, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_WHOLE = re.compile(r"-?\d{1,20}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?")
_OFFSET = re.compile(r".*([Zz]|[+-]\d\d:\d\d)")
_BOUNDS = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}


def check(node: dict[str, Any], value: Any, where: str, schemas: dict[str, Any]) -> None:
    """Refuses a value that does not fit; null is an absent value, as in a PATCH."""
    if value is None:
        return
    if "$ref" in node:
        node = schemas[node["$ref"]]
    kind = node["type"]
    if kind == "object":
        _check_object(node, value, where, schemas)
    elif kind == "array":
        _expect(isinstance(value, list), where, value)
        for index, item in enumerate(value):
            check(node["items"], item, f"{where}[{index}]", schemas)
    elif kind != "any":
        _expect(_PLAIN[kind](value), where, value)
        if kind == "string":
            _check_string(node, value, where)


def _check_object(node: dict[str, Any], value: Any, where: str, schemas: dict[str, Any]) -> None:
    _expect(isinstance(value, dict), where, value)
    properties = node.get("properties", {})
    for name, item in value.items():
        known = properties.get(name, node.get("additionalProperties"))
        if known is None:
            at = f" at '{where}'" if where else ""
            raise bad_request(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
            )
        check(known, item, f"{where}.{name}" if where else name, schemas)


def _check_string(node: dict[str, Any], value: str, where: str) -> None:
    if "enum" in node:
        _expect(value in node["enum"], where, value)
    form = _FORMATS.get(node.get("format", ""))
    if form:
        _expect(form(value), where, value)


def check_query_value(name: str, spec: dict[str, Any], value: str) -> Any:
    """One query parameter's value, as its type."""
    kind = spec["type"]
    if kind == "boolean":
        _expect(value in {"true", "false"}, name, value)
        return value == "true"
    if kind == "integer":
        _expect(_WHOLE.fullmatch(value) is not None, name, value)
        _check_bounds(name, spec, int(value))
        return int(value)
    if spec.get("format") in {"date-time", "google-datetime"}:
        _expect(is_moment(value) and _OFFSET.fullmatch(value) is not None, name, value)
    _check_string(spec, value, name)
    return value


def _check_bounds(name: str, spec: dict[str, Any], number: int) -> None:
    low, high = _BOUNDS.get(spec.get("format", ""), (-(2**63), 2**63 - 1))
    low = max(low, int(spec.get("minimum", low)))
    high = min(high, int(spec.get("maximum", high)))
    _expect(low <= number <= high, name, number)


def is_moment(value: str) -> bool:
    """An RFC 3339 time; the offset may be missing (an event's time zone can stand for it)."""
    return _MOMENT.fullmatch(value) is not None and _parses(datetime.fromisoformat, value.upper())


def is_date(value: str) -> bool:
    return len(value) == 10 and _parses(date.fromisoformat, value)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _expect(fits: bool, where: str, value: object) -> None:
    if not fits:
        raise _invalid(where, value)


def _invalid(where: str, value: object) -> ApiError:
    return bad_request(f"Invalid value at '{where}': {str(value)[:80]!r}", "invalidParameter")


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
_FORMATS: dict[str, Callable[[str], bool]] = {
    "byte": lambda value: _BASE64.fullmatch(value) is not None,
    "date": is_date,
    "date-time": is_moment,
    "int64": lambda value: _WHOLE.fullmatch(value) is not None,
    "uint64": lambda value: value.isdigit(),
}
