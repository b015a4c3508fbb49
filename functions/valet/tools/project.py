"""The result language: picks from a provider's answer what a tool returns.

    "a.b"                               the value at that path
    {"$each": path, "as": …}            one of these for each entry of a list
    {"$entries": path, "key": name, "as": …}    the same for an object's values, with their keys
    {"$text": path, "max": n}           text that may be HTML, as a person would read it
    {"$first": [...]}                   the first that is there
    {"$view": name, "of": path, …}      code of the connector's, for formats that data cannot tell
    {"$arg": name}                      an argument of the call
    {"$const": …}                       itself

What is not there is left out. The outcome is then held against the tool's output schema: text is
cleaned, and a field of the wrong type, or one that the schema does not name, is dropped, so that
an odd or hostile answer can never make the schema untrue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import load_view
from valet.tools.template import MISSING, Scope, lookup
from valet.tools.text import clean, cut, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.connectors.models import Tool

MAX_RESULT_BYTES = 100_000
_MAX_ENTRIES = 500
_LEAST_CUT = 4_096  # shorter would break ids and page tokens, which must stay whole

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def make_result(tool: Tool, answer: Any, scope: Scope) -> dict[str, Any]:
    """What the tool returns for a provider's answer; it conforms to the output schema."""
    picked = _pick(tool.result, answer, scope, tool.connector)
    picked = picked if isinstance(picked, dict) else {}
    if tool.untrusted:
        picked["untrusted"] = True
    result: dict[str, Any] = _conform(picked, tool.output_schema)
    return _fit(result)


def as_text(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pick(template: Any, source: Any, scope: Scope, connector: str) -> Any:
    if isinstance(template, str):
        return lookup(source, template)
    operator = next((key for key in template if key.startswith("$")), None)
    if operator:
        return _OPERATORS[operator](template, source, scope, connector)
    picked = {key: _pick(value, source, scope, connector) for key, value in template.items()}
    present = {key: value for key, value in picked.items() if value is not MISSING}
    return present or MISSING


def _each(template: dict[str, Any], source: Any, scope: Scope, connector: str) -> Any:
    items = lookup(source, template["$each"])
    if not isinstance(items, list):
        return MISSING
    picked = (_pick(template["as"], item, scope, connector) for item in items[:_MAX_ENTRIES])
    return [item for item in picked if item is not MISSING]


def _entries(template: dict[str, Any], source: Any, scope: Scope, connector: str) -> Any:
    entries = lookup(source, template["$entries"])
    if not isinstance(entries, dict):
        return MISSING
    return [
        {template["key"]: key} | picked
        for key, value in list(entries.items())[:_MAX_ENTRIES]
        if isinstance(picked := _pick(template["as"], value, scope, connector), dict)
    ]


def _text(template: dict[str, Any], source: Any, _: Scope, __: str) -> Any:
    value = lookup(source, template["$text"])
    return cut(plain(value), template["max"]) if isinstance(value, str) else MISSING


def _first(template: dict[str, Any], source: Any, scope: Scope, connector: str) -> Any:
    picked = (_pick(choice, source, scope, connector) for choice in template["$first"])
    return next((value for value in picked if value is not MISSING), MISSING)


def _view(template: dict[str, Any], source: Any, scope: Scope, connector: str) -> Any:
    of = lookup(source, template["of"]) if "of" in template else source
    if not isinstance(of, dict):
        return MISSING
    options = {key: value for key, value in template.items() if key not in {"$view", "of"}}
    return load_view(connector, template["$view"])(of, scope, **options)


def _arg(template: dict[str, Any], _: Any, scope: Scope, __: str) -> Any:
    return lookup(scope, template["$arg"])


def _const(template: dict[str, Any], _: Any, __: Scope, ___: str) -> Any:
    return template["$const"]


_OPERATORS: Mapping[str, Callable[[dict[str, Any], Any, Scope, str], Any]] = {
    "$each": _each,
    "$entries": _entries,
    "$text": _text,
    "$first": _first,
    "$view": _view,
    "$arg": _arg,
    "$const": _const,
}


def _conform(value: Any, schema: Mapping[str, Any]) -> Any:
    if "const" in schema:
        return value if value == schema["const"] else MISSING
    kind = schema["type"]
    if not _is_a(kind, value):
        return [] if kind == "array" else MISSING
    if kind == "array":
        items = (_conform(item, schema["items"]) for item in value[:_MAX_ENTRIES])
        return [item for item in items if item is not MISSING]
    if kind == "object":
        return _conform_object(value, schema)
    return clean(value) if kind == "string" else value


def _is_a(kind: str, value: Any) -> bool:
    # To Python, True is an integer.
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _conform_object(value: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    fields = {
        name: _conform(value.get(name), part)
        for name, part in schema["properties"].items()
        if name in value or name in required
    }
    return {name: item for name, item in fields.items() if item is not MISSING}


def _fit(result: dict[str, Any]) -> dict[str, Any]:
    """The result within the size that an agent can take: long texts first, then list entries."""
    limit = MAX_RESULT_BYTES // 2
    while _size(result) > MAX_RESULT_BYTES:
        if limit >= _LEAST_CUT:
            result = {**_shorten(result, limit), "truncated": True}
            limit //= 2
        elif not _drop_half(result):
            break
    return result


def _size(result: dict[str, Any]) -> int:
    return len(as_text(result).encode())


def _shorten(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut(value, limit)
    if isinstance(value, list):
        return [_shorten(item, limit) for item in value]
    if isinstance(value, dict):
        return {key: _shorten(item, limit) for key, item in value.items()}
    return value


def _drop_half(value: Any) -> bool:
    """Halves the longest list among the result's fields; False when there is none to halve."""
    lists = [item for item in value.values() if isinstance(item, list) and item]
    if not lists:
        nested = [item for item in value.values() if isinstance(item, dict)]
        return any(_drop_half(item) for item in nested)
    longest = max(lists, key=lambda item: len(as_text(item)))
    del longest[len(longest) // 2 :]
    return True
