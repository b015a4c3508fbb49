"""Google's partial answers: `fields`, such as `messages(id,threadId),nextPageToken`."""

from __future__ import annotations

import re
from typing import Any

from .errors import ApiError, bad_request

type Mask = dict[str, "Mask"]  # an empty mask keeps everything below

_TOKEN = re.compile(r"[A-Za-z0-9_*-]+|[(),/]")


def select(value: Any, fields: str) -> Any:
    """The value with only what `fields` names."""
    if "".join(_TOKEN.findall(fields)) != fields or not fields:
        raise _wrong(fields)
    tokens = _TOKEN.findall(fields)
    mask = _list(tokens)
    if tokens:
        raise _wrong(fields)
    return _keep(value, mask)


def _list(tokens: list[str]) -> Mask:
    mask: Mask = {}
    while True:
        name = tokens.pop(0) if tokens else ""
        if not name or name in "(),/":
            raise _wrong(name)
        mask.setdefault(name, {}).update(_below(tokens))
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _below(tokens: list[str]) -> Mask:
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        name = tokens.pop(0) if tokens else ""
        return {name: _below(tokens)}
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        mask = _list(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise _wrong("(")
        return mask
    return {}


def _keep(value: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_keep(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _keep(item, mask[name]) for name, item in value.items() if name in mask}


def _wrong(what: str) -> ApiError:
    return bad_request(f"Invalid field selection {what}", "invalidParameter")
