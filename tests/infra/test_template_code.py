"""template.yaml against the code: handlers, routes, environment, and what waits for what."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template_support import (
    BACKENDS,
    FUNCTIONS,
    ROOT,
    deployed_functions,
    environment,
    listed,
    properties,
    resources,
    routes,
    template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = pytest.mark.parametrize("function", FUNCTIONS)


def test_every_function_of_the_template_is_known_here() -> None:
    assert set(resources("AWS::Serverless::Function")) == set(FUNCTIONS.values())


@EVERY
def test_a_handler_is_there_to_be_called(function: str) -> None:
    module, name = properties(function)["Handler"].split(".")
    assert module == function
    assert callable(getattr(importlib.import_module(module), name))


@EVERY
def test_the_routes_are_those_of_the_code_with_the_same_callers(function: str) -> None:
    module = importlib.import_module(function)
    coded = {route: about.caller for route, about in getattr(module, "ROUTES", {}).items()}
    by_caller = {"iam": "IAM_ROUTES", "none": "OPEN_ROUTES"}  # as mcp_server has them
    for caller, name in by_caller.items():
        coded |= dict.fromkeys(getattr(module, name, ()), caller)
    assert routes(function) == coded


def test_the_readmes_table_of_routes_is_the_templates() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = r"^\| (GET|PUT|POST|DELETE|ANY) \| `?(/[^|` ]*)`? \| ([^|]+) \| `?(\w+)`? \|"
    written = {
        f"{method} {path}": (function, {"IAM": "iam", "JWT": "jwt"}.get(who.strip(), "none"))
        for method, path, who, function in re.findall(row, text, re.MULTILINE)
    }
    deployed = {
        route: (function, caller)
        for function in FUNCTIONS
        for route, caller in routes(function).items()
    }
    assert written == deployed


def _settings_named(tree: ast.AST) -> Iterator[str]:
    """Settings that code reads: `settings().name`, `.require("name")`, `json_secret("name")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="require" | "json_secret") | ast.Name(id="json_secret"),
                args=[ast.Constant(value=str(name))],
            ):
                yield name
            case ast.Attribute(value=ast.Call(func=ast.Name(id="settings")), attr=name):
                yield from {"require": (), "provider_url": ("provider_override",)}.get(
                    name, (name,)
                )


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / "functions" / path).read_text(encoding="utf-8"))


_WIRING = {"wiring": "__init__"} | {n: n for n in ("shared", "native", "server", "scalekit")}


def _wiring(module: str) -> ast.Module:
    return _tree(f"valet/wiring/{_WIRING[module]}.py")


@cache
def _builders() -> dict[tuple[str, str], ast.FunctionDef]:
    """By their module of the wiring and their name."""
    return {
        (module, node.name): node
        for module in _WIRING
        for node in _wiring(module).body
        if isinstance(node, ast.FunctionDef)
    }


def _imported(tree: ast.AST) -> dict[str, tuple[str, str]]:
    """The builders that a module imports, by the name that it calls them by."""
    return {
        alias.name: (node.module.rpartition(".")[2], alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        if node.module and node.module.startswith("valet.wiring")
        for alias in node.names
    }


def _called(builder: tuple[str, str]) -> set[tuple[str, str]]:
    """The builders that a builder calls, or hands on to be called: of its module, or imported."""
    module, imported = builder[0], _imported(_wiring(builder[0]))
    names = {node.id for node in ast.walk(_builders()[builder]) if isinstance(node, ast.Name)}
    return {imported.get(name, (module, name)) for name in names} & set(_builders())


def _built_by(function: str, backend: str) -> set[tuple[str, str]]:
    """The builders that a function's entry point uses, and those that they use in turn."""
    tree = _tree(f"{function}.py")
    waiting = set(_imported(tree).values()) | {
        (backend, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "backend()"
    }
    found: set[tuple[str, str]] = set()
    while waiting:
        builder = waiting.pop()
        found.add(builder)
        waiting |= _called(builder) - found
    return found


@pytest.mark.parametrize(
    ("backend", "function"), [(b, f) for b in BACKENDS for f in deployed_functions(b)]
)
def test_a_function_has_the_environment_that_it_reads_and_no_more(
    backend: str, function: str
) -> None:
    read = {
        name for used in _built_by(function, backend) for name in _settings_named(_builders()[used])
    }
    read |= set(_settings_named(_tree(f"{function}.py")))
    if "jwt" in routes(function).values():
        read |= set(_settings_named(_tree("valet/http.py")))
    powertools = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
    given = set(environment(function, backend)) - powertools
    assert given == {name.upper() for name in read}


def test_every_setting_is_given_to_some_function() -> None:
    tree = _tree("valet/settings.py")
    names = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "read"
        and isinstance(node.args[0], ast.Constant)
    }
    given = set().union(*(environment(f, b) for b in BACKENDS for f in deployed_functions(b)))
    assert names
    assert names <= given


def references(value: Any) -> Iterator[str]:
    """The names that a part of the template refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": text}:
            body, *extra = listed(text)
            yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", body))
            yield from references(extra)
        case dict() | list():
            for entry in value.values() if isinstance(value, dict) else value:
                yield from references(entry)


def dependencies() -> dict[str, set[str]]:
    """As after SAM's transform: the API names its functions, its functions must not name it."""
    known = set(resources())
    found: dict[str, set[str]] = {}
    for name, resource in resources().items():
        about = {k: v for k, v in resource.get("Properties", {}).items() if k != "Events"}
        found[name] = (set(references(about)) | set(listed(resource.get("DependsOn", [])))) & known
    for name in FUNCTIONS.values():
        events = resources()[name]["Properties"]["Events"].values()
        assert all(event["Properties"]["ApiId"] == {"Ref": "Api"} for event in events)
        found["Api"].add(name)
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, above: list[str]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name in done:
            return []
        done.add(name)
        for other in sorted(graph[name]):
            found = visit(other, [*above, name])
            if found:
                return found
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_no_resource_waits_for_itself() -> None:
    """Neither cfn-lint nor `sam validate` sees a function's variable that names its API."""
    assert cycle(dependencies()) == []


def test_such_a_cycle_would_be_seen() -> None:
    graph = dependencies()
    graph["McpServerFunction"].add("Api")
    assert cycle(graph)


def test_every_reference_leads_somewhere() -> None:
    known = set(resources()) | set(template()["Parameters"])
    for name in references({k: template()[k] for k in ("Resources", "Outputs", "Conditions")}):
        assert name in known or name.startswith("AWS::"), name
