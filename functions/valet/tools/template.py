"""The request language: fills a template from the data files with a call's arguments.

    "{name}"             the argument itself, with its type; what is absent is left out
    "…{name}…"           text with the argument in it
    {"$if": name, "unless"?: name, "then": …, "else"?: …}
    {"$first": [...]}    the first that is not absent
    {"$map": name, "to": … "{item}" …}
    {"$merge": key, "old": …, "new": …}    the new list, keeping old entries of the same key
    {"$plain": …}        text without markup
    {"$moment": name, "timezone": …, "clear"?: true}       a calendar's point in time
    {"$end": {...}, "timezone": …, "clear"?: true}         start + duration as one
    {"$mail": {...}}     an RFC 5322 mail as base64url

Anything else stands for itself, null included. The set is closed: data never names code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from valet.tools.mail import build_mail
from valet.tools.moments import end_of, moment
from valet.tools.text import plain


class Missing:
    """What an absent argument leaves behind: its key or list entry is dropped."""


MISSING: Final = Missing()

_PLACE = re.compile(r"\{([a-z_]+(?:\.[A-Za-z_]+)*)\}")

Scope = Mapping[str, Any]


def fill(template: Any, scope: Scope) -> Any:
    """The template with its places filled, or MISSING."""
    if isinstance(template, str):
        return _fill_text(template, scope)
    if isinstance(template, list):
        filled = (fill(item, scope) for item in template)
        return [item for item in filled if item is not MISSING]
    if isinstance(template, dict):
        return _fill_object(template, scope)
    return template


def lookup(scope: Scope, path: str) -> Any:
    """The value at a dotted path, or MISSING; null counts as absent."""
    value: Any = scope
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return MISSING
    return value


def _fill_text(template: str, scope: Scope) -> Any:
    whole = _PLACE.fullmatch(template)
    if whole:
        return lookup(scope, whole[1])
    values = [lookup(scope, name) for name in _PLACE.findall(template)]
    if MISSING in values:
        return MISSING
    return _PLACE.sub(lambda _: str(values.pop(0)), template)


def _fill_object(template: dict[str, Any], scope: Scope) -> Any:
    operator = next((key for key in template if key.startswith("$")), None)
    if operator:
        return _OPERATORS[operator](template, scope)
    filled = {key: fill(value, scope) for key, value in template.items()}
    present = {key: value for key, value in filled.items() if value is not MISSING}
    return present if present or not template else MISSING


def _present(value: Any) -> bool:
    return value is not MISSING and value not in (False, "", [])


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _if(template: dict[str, Any], scope: Scope) -> Any:
    holds = _present(lookup(scope, template["$if"]))
    if holds and "unless" in template:
        holds = not _present(lookup(scope, template["unless"]))
    branch = "then" if holds else "else"
    return fill(template[branch], scope) if branch in template else MISSING


def _first(template: dict[str, Any], scope: Scope) -> Any:
    filled = (fill(choice, scope) for choice in template["$first"])
    return next((value for value in filled if value is not MISSING), MISSING)


def _map(template: dict[str, Any], scope: Scope) -> Any:
    items = lookup(scope, template["$map"])
    if not isinstance(items, list):
        return MISSING
    return [fill(template["to"], {**scope, "item": item}) for item in items]


def _merge(template: dict[str, Any], scope: Scope) -> Any:
    key, new = template["$merge"], fill(template["new"], scope)
    if new is MISSING:
        return MISSING
    old = fill(template["old"], scope)
    known = {
        str(entry.get(key)).lower(): entry
        for entry in (old if isinstance(old, list) else [])
        if isinstance(entry, dict)
    }
    return [known.get(str(entry[key]).lower(), entry) for entry in new]


def _plain(template: dict[str, Any], scope: Scope) -> Any:
    value = fill(template["$plain"], scope)
    return value if value is MISSING else plain(value)


def _moment(template: dict[str, Any], scope: Scope) -> Any:
    name = template["$moment"]
    text = lookup(scope, name)
    if text is MISSING:
        return MISSING
    zone = _or_none(fill(template["timezone"], scope))
    return moment(name, text, zone, clear=template.get("clear", False))


def _end(template: dict[str, Any], scope: Scope) -> Any:
    fields = fill(template["$end"], scope)
    text = None if fields is MISSING else end_of(fields)
    if text is None:
        return MISSING
    zone = _or_none(fill(template["timezone"], scope))
    return moment("end_datetime", text, zone, clear=template.get("clear", False))


def _mail(template: dict[str, Any], scope: Scope) -> Any:
    return build_mail(fill(template["$mail"], scope))


_OPERATORS: Mapping[str, Callable[[dict[str, Any], Scope], Any]] = {
    "$if": _if,
    "$first": _first,
    "$map": _map,
    "$merge": _merge,
    "$plain": _plain,
    "$moment": _moment,
    "$end": _end,
    "$mail": _mail,
}
