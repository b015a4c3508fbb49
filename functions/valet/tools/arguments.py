"""Checks a call's arguments against the tool's input schema, and completes them.

An agent reads the errors: they name the argument by path and say what is expected. They never
repeat a value, which may be long, private or written to mislead whoever reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from valet.tools.results import InvalidArguments
from valet.tools.text import has_forbidden_characters

if TYPE_CHECKING:
    from valet.connectors.models import Tool

MAX_DEPTH = 8
MAX_VALUES = 5_000


def check_arguments(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults applied.

    Raises:
        InvalidArguments: they do not fit; the message says which one and what is expected.
    """
    _check_values(arguments)
    # The first error in document order: stable, and one step at a time suits an agent.
    for error in _validator(tool).iter_errors(arguments):
        raise InvalidArguments(_explain(tool, error))
    _check_companions(tool, arguments)
    defaults = {
        name: schema["default"]
        for name, schema in tool.input_schema["properties"].items()
        if "default" in schema
    }
    return {**defaults, **arguments}


@cache
def _validator(tool: Tool) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(dict(tool.input_schema))


def _check_values(arguments: Mapping[str, Any]) -> None:
    """What JSON can carry and no schema refuses: controls, lone surrogates, NaN, deep nesting.

    Runs before the schema check, and without recursion, since both can be made to fail by depth.
    """
    pending: list[tuple[Any, str, int]] = [(arguments, "", 0)]
    seen = 0
    while pending:
        value, path, depth = pending.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            raise InvalidArguments("The arguments are nested too deeply or hold too many values.")
        if isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidArguments(f"{path}: must be a finite number.")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                _check_text(key, "an argument's name")
                pending.append((item, f"{path}.{key[:60]}" if path else key[:60], depth + 1))
        elif isinstance(value, list):
            pending += [(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]


def _check_text(value: str, path: str) -> None:
    if has_forbidden_characters(value):
        raise InvalidArguments(f"{path}: must not hold control characters or broken Unicode.")


def _check_companions(tool: Tool, arguments: Mapping[str, Any]) -> None:
    for name, companions in tool.requires.items():
        absent = [companion for companion in companions if companion not in arguments]
        if arguments.get(name) and absent:
            raise InvalidArguments(f"{absent[0]}: is required together with {name}.")


def _explain(tool: Tool, error: jsonschema_rs.ValidationError) -> str:
    path = _path(error.instance_path)
    kind = error.kind.as_dict()
    match error.kind.name:
        case "required":
            return f"{_path([*error.instance_path, kind['property']])}: is required."
        case "additionalProperties":
            name = str(kind["unexpected"][0])[:60]
            known = list(tool.input_schema["properties"])
            near = get_close_matches(name, known, n=1)
            known_names = f"known are {', '.join(known) or 'none'}."
            return f"{name}: no such argument; " + (
                f"did you mean {near[0]}?" if near else known_names
            )
        case _:
            expected = _expected(_schema_at(tool, error.instance_path))
            hint = _schema_at(tool, error.instance_path[:1]).get("description")
            return f"{path}: expected {expected}{f' ({hint})' if hint else ''}."


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "arguments"


def _schema_at(tool: Tool, parts: list[str | int]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = tool.input_schema
    for part in parts:
        if isinstance(part, int):
            schema = schema.get("items", {})
        else:
            schema = schema.get("properties", {}).get(part, {})
    return schema


_BOUNDS = {
    "pattern": "matching {}",
    "minLength": "of at least {} characters",
    "maxLength": "of at most {} characters",
    "minimum": "of at least {}",
    "maximum": "of at most {}",
    "minItems": "of at least {} items",
    "maxItems": "of at most {} items",
}


def _expected(schema: Mapping[str, Any]) -> str:
    """The schema in words; it is our own data, so it may be repeated."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "anyOf" in schema:
        return " or ".join(_expected(choice) for choice in schema["anyOf"])
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    words = " ".join([str(schema.get("type", "a value")), ", ".join(bounds)]).strip()
    return f"{words} with items: {_expected(schema['items'])}" if "items" in schema else words
