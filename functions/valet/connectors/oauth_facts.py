"""Reads a provider's OAuth facts, and refuses those that could not work or would not be safe.

All faults are named at once, so that whoever adds a provider sees them in one go.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from valet.connectors.models import OAuthProvider, Userinfo
from valet.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# No plain http, no user or fragment, and no query: ours is appended.
_URL = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

# What each flow sets itself: data that could say it again could switch PKCE or the state off.
_OURS = frozenset({"client_id", "redirect_uri", "scope"})
_OURS_TO_AUTHORIZE = _OURS | {
    "response_type",
    "response_mode",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
}
_OURS_TO_REDEEM = _OURS | {
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
}


def read_provider(data: Mapping[str, Any]) -> OAuthProvider:
    """A provider from its data file.

    Raises:
        Misconfigured: naming everything that is wrong with it.
    """
    facts = {key: value for key, value in data.items() if key != "errors"}
    if faults := [*_keys(facts, OAuthProvider), *_values(facts)] or [*_together(facts)]:
        raise Misconfigured(f"provider {data.get('name')!r}: {'; '.join(faults)}")
    userinfo = facts.get("userinfo")
    return OAuthProvider(
        **facts
        | {
            "base_scopes": tuple(facts["base_scopes"]),
            "userinfo": Userinfo(**userinfo) if userinfo else None,
        }
    )


def _keys(facts: Mapping[str, Any], kind: type[OAuthProvider | Userinfo]) -> Iterator[str]:
    known = {field.name: field for field in fields(kind)}
    for name in facts:
        if name not in known:
            yield f"unknown key {name!r}"
    for name, field in known.items():
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and name not in facts:
            yield f"{name!r} is missing"


def _values(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, (holds, rule) in _RULES.items():
        if name in facts and not holds(facts[name]):
            yield f"{name!r} must be {rule}"


def _together(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts["id_token"] and "openid" not in facts["base_scopes"]:
        yield "'id_token' needs 'openid' among 'base_scopes'"
    if facts["id_token"] and facts.get("userinfo"):
        yield "'userinfo' is for providers without 'id_token'"
    if facts["rotates_refresh_tokens"] and not facts["offline"]:
        yield "'rotates_refresh_tokens' needs 'offline'"


def _matching(pattern: re.Pattern[str], *, empty: bool = False) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, str) and (bool(pattern.fullmatch(value)) or (empty and not value))
    )


def _one_of(*values: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in values, f"one of {', '.join(values)}"


def _params(reserved: frozenset[str]) -> tuple[Callable[[Any], bool], str]:
    def holds(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and all(isinstance(entry, str) for entry in value.values())
            and not reserved & value.keys()
        )

    return holds, f"an object of strings without {', '.join(sorted(reserved))}"


def _is_userinfo(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and not [*_keys(value, Userinfo)]
        and _matching(_URL)(value["url"])
        and all(isinstance(name, str) and name for name in value.values())
    )


def _is_scopes(value: Any) -> bool:
    return isinstance(value, list) and all(map(_matching(_SCOPE), value))


def _is_lifetime(value: Any) -> bool:
    return type(value) is int and value > 0


_AN_URL = (_matching(_URL), "an https URL without user, query or fragment")
_A_FLAG = (lambda value: isinstance(value, bool), "true or false")
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_matching(_NAME), "a short lower-case name"),
    "issuer": _AN_URL,
    "authorize_url": _AN_URL,
    "token_url": _AN_URL,
    "revoke_url": (_matching(_URL, empty=True), f"{_AN_URL[1]}, or empty"),
    "scope_prefix": (_matching(_SCOPE, empty=True), "the start of a scope, or empty"),
    "base_scopes": (_is_scopes, "a list of scopes"),
    "authorize_params": _params(_OURS_TO_AUTHORIZE),
    "pkce": _one_of("S256"),
    "client_auth": _one_of("client_secret_post", "client_secret_basic", "none"),
    "iss_parameter": _one_of("required", "optional"),
    "id_token": _A_FLAG,
    "offline": _A_FLAG,
    "rotates_refresh_tokens": _A_FLAG,
    "revokes_whole_grant": _A_FLAG,
    "userinfo": (_is_userinfo, "an object with an https 'url', 'subject' and perhaps 'email'"),
    "token_params": _params(_OURS_TO_REDEEM),
    "lifetime_seconds": (_is_lifetime, "a number of seconds"),
}
