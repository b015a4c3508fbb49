"""Reads connectors from their data files: one folder a connector, read when first asked for.

A folder holds `connector.json` (facts, shared schemas and shapes) and `tools.json`; a `views.py`
only where a result needs code. In the data, `"@x"` stands for the shared fragment `x`,
`{"@": "x", …}` for the same with additions, and a trailing `!` on an argument or a result's
field says that it is required.

Connectors come with the package and from nowhere else: no setting and no table names a place to
load one from, because a connector says where tokens are sent.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from valet.connectors.models import (
    Connector,
    ErrorRules,
    FanOut,
    Recover,
    RequestTemplate,
    Tool,
)
from valet.connectors.oauth_facts import read_provider
from valet.errors import UnknownName

_HERE = Path(__file__).parent

View = Callable[..., Any]


_added: dict[str, Connector] = {}


def connector_names() -> list[str]:
    """All connectors, in alphabetical order."""
    return sorted([*_packaged(), *_added])


def load_connector(name: str) -> Connector:
    """The connector of that name; only its own files are read.

    Raises:
        UnknownName: there is no such connector.
        Misconfigured: its provider's facts are wrong.
    """
    return _added.get(name) or _load(name)


def title(name: str) -> str:
    """How people call a connector; one that is not in the package by its name."""
    return load_connector(name).title if name in connector_names() else name


@contextmanager
def added(connector: Connector) -> Iterator[None]:
    """Have one more connector in this process while this lasts: how tests bring theirs."""
    if connector.name in connector_names():
        raise ValueError(f"there is a connector {connector.name!r} already")
    _added[connector.name] = connector
    try:
        yield
    finally:
        del _added[connector.name]


def read_connector(folder: Path, providers: Path) -> Connector:
    """The connector in a folder, named after it.

    Raises:
        Misconfigured: its provider's facts are wrong.
    """
    facts = _read(folder / "connector.json")
    data = _read(providers / f"{facts['provider']}.json")
    reader = _Reader(folder.name, facts, data)
    tools = [reader.tool(entry) for entry in _read(folder / "tools.json")]
    return Connector(
        name=folder.name,
        title=facts["title"],
        provider=read_provider(data),
        hosts=tuple(facts["hosts"]),
        tools={tool.name: tool for tool in tools},
    )


def _packaged() -> list[str]:
    return [path.parent.name for path in _HERE.glob("*/connector.json")]


@cache
def _load(name: str) -> Connector:
    # The name is compared with the folders before it enters a path.
    if name not in _packaged():
        raise UnknownName("connector", name, connector_names())
    return read_connector(_HERE / name, _HERE / "providers")


@cache
def load_view(connector: str, name: str) -> View:
    """The code behind a named result view, imported when first needed."""
    module = importlib.import_module(f"valet.connectors.{connector}.views")
    return cast("View", module.VIEWS[name])


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


class _Reader:
    """Turns one connector's data into its tools."""

    def __init__(self, name: str, facts: Mapping[str, Any], provider: Mapping[str, Any]) -> None:
        self._name = name
        self._host = facts["hosts"][0]
        self._scope_prefix = provider.get("scope_prefix", "")
        self._fragments = facts.get("fragments", {})
        rules = provider.get("errors", {})
        self._errors = ErrorRules(tuple(rules.get("reasons_at", ())), rules.get("codes", {}))

    def tool(self, data: Mapping[str, Any]) -> Tool:
        schema = self._input(data["input"])
        patterns = {
            name: prop["pattern"]
            for name, prop in schema["properties"].items()
            if "pattern" in prop
        }
        return Tool(
            name=data["name"],
            connector=self._name,
            title=data["title"],
            description=data["description"],
            scopes=tuple(self._scope(scope) for scope in data["scopes"]),
            read_only=data["read_only"],
            destructive=data["destructive"],
            idempotent=data["idempotent"],
            aliases=tuple(data.get("aliases", ())),
            input_schema=schema,
            output_schema=self._output(data["output"], untrusted=data.get("untrusted", False)),
            requires={key: tuple(value) for key, value in data.get("requires", {}).items()},
            request=self._request(data["request"], patterns),
            before=self._request(data["before"], patterns) if "before" in data else None,
            fan_out=self._fan_out(data["fan_out"], patterns) if "fan_out" in data else None,
            recover=self._recover(data["recover"], patterns) if "recover" in data else None,
            done_on=frozenset(data.get("done_on", ())),
            result=self._expand(data["result"]),
            untrusted=data.get("untrusted", False),
            errors=self._errors,
        )

    def _scope(self, scope: str) -> str:
        return scope if "://" in scope else self._scope_prefix + scope

    def _expand(self, data: Any) -> Any:
        if isinstance(data, str) and data.startswith("@"):
            return self._expand(self._fragments[data[1:]])
        if isinstance(data, list):
            return [self._expand(item) for item in data]
        if isinstance(data, dict):
            shared = self._expand(self._fragments[data["@"]]) if "@" in data else {}
            own = {key: self._expand(value) for key, value in data.items() if key != "@"}
            return {**shared, **own}
        return data

    def _input(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "object", **_fields(self._expand(data)), "additionalProperties": False}

    def _output(self, data: Mapping[str, Any], *, untrusted: bool) -> dict[str, Any]:
        fields = _fields(self._expand(data), _shorthand)
        if untrusted:
            fields["properties"] |= {
                "truncated": {"type": "boolean"},
                "untrusted": {"const": True},
            }
            fields.setdefault("required", []).append("untrusted")
        return {"type": "object", **fields}

    def _request(self, data: Mapping[str, Any], patterns: Mapping[str, str]) -> RequestTemplate:
        return RequestTemplate(
            method=data.get("method", "GET"),
            host=data.get("host", self._host),
            path=data["path"],
            query=self._expand(data.get("query", {})),
            body=self._expand(data.get("body")),
            if_match=data.get("if_match"),
            patterns={**patterns, **self._expand(data.get("patterns", {}))},
        )

    def _fan_out(self, data: Mapping[str, Any], patterns: Mapping[str, str]) -> FanOut:
        return FanOut(data["over"], data["limit"], self._request(data["request"], patterns))

    def _recover(self, data: Mapping[str, Any], patterns: Mapping[str, str]) -> Recover:
        return Recover(
            self._request(data["request"], patterns), data["match"], data.get("reject", {})
        )


def _fields(
    data: Mapping[str, Any], schema: Callable[[Any], Any] = lambda value: value
) -> dict[str, Any]:
    required = [name.removesuffix("!") for name in data if name.endswith("!")]
    properties = {name.removesuffix("!"): schema(value) for name, value in data.items()}
    return {"properties": properties, **({"required": required} if required else {})}


def _shorthand(data: Any) -> dict[str, Any]:
    """An output schema's short form: a type's name, a list of one, or an object's fields."""
    if isinstance(data, str):
        return {"type": data}
    if isinstance(data, list):
        return {"type": "array", "items": _shorthand(data[0])}
    if "const" in data:
        return dict(data)
    return {"type": "object", **_fields(data, _shorthand)}
