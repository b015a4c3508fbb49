"""What template.yaml takes as a parameter, and what it refuses before anything is made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.template_support import (
    template,
)


def accepts(parameter: str, value: str) -> bool:
    """CloudFormation holds the whole value against the pattern."""
    return re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], value) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/verify",
        "https://app.example.com/",
        "https://app.example.com:8443/a/b-c_d.e~f",
        "http://127.0.0.1:8500/verify",
        "http://localhost/verify",
    ],
)
def test_a_verify_url_that_is_a_page_of_the_app_is_taken(url: str) -> None:
    assert accepts("VerifyUrl", url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://app.example.com",
        "//evil.example/verify",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example/verify",
        "https:/evil.example/verify",
        "https://app.example.com@evil.example/verify",
        "https://app.example.com%2f@evil.example/verify",
        "https://user:pass@app.example.com/verify",
        "https://app.example.com\\.evil.example/verify",
        "https://app.example.com/\\evil.example",
        "https://app.example.com:port/verify",
        "https://app.example.com./verify",
        "https://.example.com/verify",
        "https://app..example.com/verify",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example.com/ver\tify",
        "https://app.example.com/ver\r\nify",
        "https://app.example.com/verify\n",
        " https://app.example.com/verify",
        "https://\u0430pp.example.com/verify",
        "https://app.example.com/verify?next=https://evil.example",
        "https://app.example.com/verify#x",
        "https://app.example.com/verify/../x",
        "https://app.example.com/..",
        "https://app.example.com/<script>",
        'https://app.example.com/"',
        "HTTPS://app.example.com/verify",
        "http://app.example.com/verify",
        "http://127.0.0.1.evil.example/verify",
        "http://localhost.evil.example/verify",
        "ftp://app.example.com/verify",
    ],
)
def test_a_verify_url_that_could_lead_elsewhere_is_refused(url: str) -> None:
    assert not accepts("VerifyUrl", url)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:4700", "http://127.0.0.1:1"])
def test_a_stand_in_for_providers_is_on_this_machine(url: str) -> None:
    assert accepts("ProviderOverride", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.0.0.1:4700/",
        "http://127.0.0.1:4700@evil.example",
        "http://127.0.0.1:4700\n",
        "http://127.0.0.1.evil.example:80",
        "http://localhost:4700",
        "https://127.0.0.1:4700",
        "http://0.0.0.0:4700",
        "http://[::1]:4700",
        "http://10.0.0.1:80",
        "http://169.254.169.254:80",
        "https://evil.example",
    ],
)
def test_a_stand_in_for_providers_is_nowhere_else(url: str) -> None:
    assert not accepts("ProviderOverride", url)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("", True),
        ("https://mcp.example.com", True),
        ("http://127.0.0.1:8400", True),
        ("https://mcp.example.com/", False),
        ("https://mcp.example.com/path", False),
        ("http://mcp.example.com", False),
        ("https://a@mcp.example.com", False),
        ("https://mcp.example.com\n", False),
        ("mcp.example.com", False),
    ],
)
def test_a_public_url_is_an_origin(url: str, fine: bool) -> None:
    assert accepts("PublicUrl", url) is fine


def test_an_apps_name_cannot_carry_markup() -> None:
    for name in ("<script>", 'a"b', "a&b", ""):
        assert not accepts("AppName", name)
    assert accepts("AppName", "Bob's app, ünï")


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("", True),
        ("https://id.example.com", True),
        ("https://id.example.com/", True),
        ("https://id.example.com:8443/realms/my-app_1", True),
        ("http://127.0.0.1:4800", True),
        ("http://127.0.0.1:4800/x", False),
        ("http://id.example.com", False),
        ("http://localhost:4800", False),
        ("http://127.0.0.1.evil.example:80", False),
        ("https://user@id.example.com", False),
        ("https://id.example.com?x=y", False),
        ("https://id.example.com#x", False),
        ("https://id.example.com\n", False),
        ("id.example.com", False),
    ],
)
def test_an_oauth_issuer_is_an_https_url_or_on_this_machine(url: str, fine: bool) -> None:
    assert accepts("McpOAuthIssuer", url) is fine


@pytest.mark.parametrize("name", ["McpOAuthFullScope", "McpOAuthReadScope"])
def test_a_scope_is_one_scope(name: str) -> None:
    for scope in ("mcp:full", "https://mcp.example.com/full", "api/mcp.read"):
        assert accepts(name, scope)
    for scope in ("", "two scopes", 'a"b', "a\\b", "\u00e9", "a\n"):
        assert not accepts(name, scope)


def _holds(condition: Any, values: dict[str, str]) -> Any:
    """A rule's condition, as CloudFormation evaluates it."""
    match condition:
        case {"Ref": name}:
            return values[name]
        case {"Fn::Not": [inner]}:
            return not _holds(inner, values)
        case {"Fn::Equals": [one, other]}:
            return _holds(one, values) == _holds(other, values)
        case {"Fn::Or": many}:
            return any(_holds(each, values) for each in many)
    return condition


def broken(**given: str) -> set[str]:
    """The rules that refuse a deployment with these parameters."""
    defaults = {name: about.get("Default", "") for name, about in template()["Parameters"].items()}
    values = defaults | given
    return {
        name
        for name, rule in template()["Rules"].items()
        if _holds(rule.get("RuleCondition", True), values)
        and not all(_holds(each["Assert"], values) for each in rule["Assertions"])
    }


def test_what_belongs_together_is_given_together() -> None:
    issuer, config = {"McpOAuthIssuer": "https://id.example"}, {"McpOAuthConfig": "x"}
    audience = {"McpOAuthAudience": "api://valet"}
    assert broken() == broken(**issuer, **config) == broken(**issuer, **config, **audience) == set()
    assert broken(**issuer) == {"McpOAuthNamesItsConfig"}
    assert broken(**config) == broken(**audience) == {"McpOAuthNamesItsIssuer"}
    assert broken(McpOAuthReadScope="mcp:full") == {"McpOAuthTellsItsScopesApart"}
    assert broken(JwtIssuer="https://id.example") == {"OwnIssuerNamesItsAudience"}
