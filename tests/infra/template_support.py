"""template.yaml as data: its functions with Globals merged, their routes, and what they may do."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

BACKENDS: Final = ("native", "scalekit")
ROOT: Final = Path(__file__).parents[2]
FUNCTIONS: Final = {
    "create_config": "CreateConfigFunction",
    "ensure_instance": "EnsureInstanceFunction",
    "oauth_callback": "OAuthCallbackFunction",
    "mcp_server": "McpServerFunction",
}

_NO_VALUE: Final = {"Ref": "AWS::NoValue"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, written out."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


_Loader.add_multi_constructor("!", _intrinsic)


def source() -> dict[str, Any]:
    """As it is written, with all its choices."""
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    return loaded


@cache
def template(backend: str = "native") -> dict[str, Any]:
    """As it is deployed with a backend; every other choice is still open in it."""
    loaded, native = source(), backend == "native"
    for part in ("Resources", "Outputs"):
        kept = {k: v for k, v in loaded[part].items() if native or v.get("Condition") != "Native"}
        loaded[part] = chosen(kept, native=native)
    return loaded


def chosen(value: Any, *, native: bool) -> Any:
    """A part of the template with one backend's branches."""
    match value:
        case {"Fn::If": ["Native", yes, no]}:
            return chosen(yes if native else no, native=native)
        case dict():
            pairs = ((k, chosen(v, native=native)) for k, v in value.items() if v != "Native")
            return {k: v for k, v in pairs if v != _NO_VALUE}
        case list():
            return [v for v in (chosen(v, native=native) for v in value) if v != _NO_VALUE]
    return value


def resources(*kinds: str, backend: str = "native") -> dict[str, dict[str, Any]]:
    found = template(backend)["Resources"]
    return {name: r for name, r in found.items() if not kinds or r["Type"] in kinds}


def deployed_functions(backend: str) -> list[str]:
    """Their modules' names."""
    return [
        name for name, logical_id in FUNCTIONS.items() if logical_id in resources(backend=backend)
    ]


def properties(function: str, backend: str = "native") -> dict[str, Any]:
    """A function's properties over those of Globals; `function` is its module's name."""
    shared = template()["Globals"]["Function"]
    own = resources(backend=backend)[FUNCTIONS[function]]["Properties"]
    return {**shared, **own}


def environment(function: str, backend: str = "native") -> dict[str, Any]:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = resources(backend=backend)[FUNCTIONS[function]]["Properties"].get("Environment", {})
    return {**shared, **own.get("Variables", {})}


def routes(function: str) -> dict[str, str]:
    """Route key to kind of caller: jwt where nothing is said, as the API's default has it."""
    found = {}
    for event in properties(function)["Events"].values():
        assert event["Type"] == "HttpApi"
        about = event["Properties"]
        authorizer = about.get("Auth", {}).get("Authorizer", "UserJwt")
        caller = {"UserJwt": "jwt", "AWS_IAM": "iam", "NONE": "none"}[authorizer]
        found[f"{about['Method']} {about['Path']}"] = caller
    return found


def statements(function: str, backend: str = "native") -> list[dict[str, Any]]:
    return [
        statement
        for policy in properties(function, backend)["Policies"]
        for statement in policy["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allows(
    function: str, action: str, resource: str, *, backend: str = "native", **facts: str
) -> bool:
    """Whether a function's policy allows an action; `facts` are the condition keys it comes with.

    Facts are named by the last part of the condition key: LeadingKeys, service, purpose.
    """
    return any(
        action in listed(statement["Action"])
        and any(_names(r, resource) for r in listed(statement["Resource"]))
        and _holds(statement.get("Condition", {}), facts)
        for statement in statements(function, backend)
    )


def _names(resource: Any, named: str) -> bool:
    """Whether it is the resource of that logical id, or the ARN spelled or passed in so."""
    if not isinstance(resource, dict):
        return False
    attribute = resource.get("Fn::GetAtt", [""])[0]
    return named in (attribute, resource.get("Fn::Sub"), resource.get("Ref"))


def _holds(condition: dict[str, dict[str, Any]], facts: dict[str, str]) -> bool:
    return all(
        any(fnmatchcase(facts.get(key.rsplit(":", 1)[1], ""), wanted) for wanted in listed(values))
        for operands in condition.values()
        for key, values in operands.items()
    )
