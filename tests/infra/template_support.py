"""template.yaml as data: its functions with Globals merged, their routes, and what they may do."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FUNCTIONS: Final = {
    "create_config": "CreateConfigFunction",
    "ensure_instance": "EnsureInstanceFunction",
    "oauth_callback": "OAuthCallbackFunction",
    "mcp_server": "McpServerFunction",
}


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


@cache
def template() -> dict[str, Any]:
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    return loaded


def resources(*kinds: str) -> dict[str, dict[str, Any]]:
    found = template()["Resources"]
    return {name: r for name, r in found.items() if not kinds or r["Type"] in kinds}


def properties(function: str) -> dict[str, Any]:
    """A function's properties over those of Globals; `function` is its module's name."""
    shared = template()["Globals"]["Function"]
    own = resources()[FUNCTIONS[function]]["Properties"]
    return {**shared, **own}


def environment(function: str) -> dict[str, Any]:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = resources()[FUNCTIONS[function]]["Properties"].get("Environment", {})
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


def statements(function: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in properties(function)["Policies"]
        for statement in policy["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allows(function: str, action: str, resource: str, **facts: str) -> bool:
    """Whether a function's policy allows an action; `facts` are the condition keys it comes with.

    Facts are named by the last part of the condition key: LeadingKeys, service, purpose.
    """
    return any(
        action in listed(statement["Action"])
        and any(_names(r, resource) for r in listed(statement["Resource"]))
        and _holds(statement.get("Condition", {}), facts)
        for statement in statements(function)
    )


def _names(resource: Any, named: str) -> bool:
    """Whether it is the resource of that logical id, or the ARN spelled so."""
    if not isinstance(resource, dict):
        return False
    return named in (resource.get("Fn::GetAtt", [""])[0], resource.get("Fn::Sub"))


def _holds(condition: dict[str, dict[str, Any]], facts: dict[str, str]) -> bool:
    return all(
        any(fnmatchcase(facts.get(key.rsplit(":", 1)[1], ""), wanted) for wanted in listed(values))
        for operands in condition.values()
        for key, values in operands.items()
    )
