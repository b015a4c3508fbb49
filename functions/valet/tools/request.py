"""Builds a provider request from its template.

Percent-encoding does not make a path segment safe: `..` encodes to itself and HTTP clients
resolve it, which turns `DELETE …/events/..` into the deletion of a calendar. So each value must
match a pattern, and the finished path must equal its template segment by segment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from valet.errors import Misconfigured
from valet.tools.provider import ProviderRequest
from valet.tools.results import InvalidArguments
from valet.tools.template import MISSING, Scope, fill, lookup

if TYPE_CHECKING:
    from valet.connectors.models import RequestTemplate

_PLACE = re.compile(r"\{([a-z_.]+)\}")
_SEGMENT = re.compile(r"[A-Za-z0-9._~:%-]+")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,200}"')


def build_request(template: RequestTemplate, scope: Scope) -> ProviderRequest:
    """The request, filled from the scope.

    Raises:
        InvalidArguments: a value would change the path, or cannot be sent.
    """
    body = fill(template.body, scope)
    return ProviderRequest(
        method=template.method,
        host=template.host,
        path=_path(template, scope),
        query=_query(template, scope),
        json=None if body is MISSING else body,
        headers=_precondition(template, scope),
    )


def _path(template: RequestTemplate, scope: Scope) -> str:
    wanted = template.path.split("/")
    values = [_segment(part, template, scope) for part in wanted]
    path = "/".join(quote(value, safe=":") for value in values)
    _check_path(path, values)
    return path


def _segment(part: str, template: RequestTemplate, scope: Scope) -> str:
    place = _PLACE.fullmatch(part)
    if not place:
        return part
    name = place[1]
    value = lookup(scope, name)
    pattern = template.patterns.get(name)
    if pattern is None:
        raise Misconfigured(f"the path of a tool has no pattern for {name}")
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise InvalidArguments(f"{name}: is no valid id.")
    return value


def _check_path(path: str, values: list[str]) -> None:
    """The path splits into exactly the intended segments, none of which a client would resolve."""
    segments = path.split("/")
    as_intended = [unquote(segment) for segment in segments] == values and segments[0] == ""
    safe = all(
        _SEGMENT.fullmatch(segment) and unquote(segment) not in {".", ".."}
        for segment in segments[1:]
    )
    if not (as_intended and safe):
        raise InvalidArguments("An id would change the path of the request.")


def _query(template: RequestTemplate, scope: Scope) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for name, part in template.query.items():
        value = fill(part, scope)
        if value is MISSING:
            continue
        pairs += [(name, _text(item)) for item in (value if isinstance(value, list) else [value])]
    return tuple(pairs)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _precondition(template: RequestTemplate, scope: Scope) -> tuple[tuple[str, str], ...]:
    if template.if_match is None:
        return ()
    etag = fill(template.if_match, scope)
    # Without an etag the write would be unconditional, and the provider's header is foreign text.
    if not isinstance(etag, str) or not _ETAG.fullmatch(etag):
        raise InvalidArguments("The provider gave no usable version to change; read it again.")
    return (("If-Match", etag),)
