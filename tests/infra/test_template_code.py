"""template.yaml against the code: handlers, routes, environment, and what waits for what."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template_support import (
    FUNCTIONS,
    ROOT,
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


_INDIRECT: dict[str, tuple[str, ...]] = {"require": (), "provider_url": ("provider_override",)}


def _settings_named(tree: ast.AST) -> Iterator[str]:
    """Settings that code reads: `settings().name`, `.require("name")`, `_secret("name")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="require") | ast.Name(id="_secret"),
                args=[ast.Constant(value=str(name))],
            ):
                yield name
            case ast.Attribute(value=ast.Call(func=ast.Name(id="settings")), attr=name):
                yield from {"require": (), "provider_url": ("provider_override",)}.get(
                    name, (name,)
                )


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / "functions" / path).read_text(encoding="utf-8"))


def _builders() -> dict[str, ast.FunctionDef]:
    tree = _tree("valet/wiring.py")
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _built_by(function: str) -> set[str]:
    """The builders that a function's entry point uses, and those that they use in turn."""
    builders = _builders()
    found: set[str] = set()
    waiting = {
        alias.name
        for node in ast.walk(_tree(f"{function}.py"))
        if isinstance(node, ast.ImportFrom) and node.module == "valet.wiring"
        for alias in node.names
    }
    while waiting:
        name = waiting.pop()
        found.add(name)
        calls = (node for node in ast.walk(builders[name]) if isinstance(node, ast.Call))
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        waiting |= (names & set(builders)) - found
    return found


@EVERY
def test_a_function_has_the_environment_that_it_reads_and_no_more(function: str) -> None:
    builders = _builders()
    read = {name for used in _built_by(function) for name in _settings_named(builders[used])}
    read |= set(_settings_named(_tree(f"{function}.py")))
    if "jwt" in routes(function).values():
        read |= set(_settings_named(_tree("valet/http.py")))
    powertools = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
    assert set(environment(function)) - powertools == {name.upper() for name in read}


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
    given = set().union(*(environment(function) for function in FUNCTIONS))
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
