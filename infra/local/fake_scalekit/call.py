"""The table of the API methods that the fake implements, and how lists are cut into pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import invalid

if TYPE_CHECKING:
    from .world import World

type Json = dict[str, Any]
type Handler = Callable[["World", Json], Json]

HANDLERS: dict[str, Handler] = {}
CREATED = {"McpService.CreateMcpConfig", "ConnectedAccountService.CreateConnectedAccount"}


def handles(method: str) -> Callable[[Handler], Handler]:
    """Registers what answers a method; requests and answers are its messages as JSON."""

    def register(handler: Handler) -> Handler:
        HANDLERS[method] = handler
        return handler

    return register


def page[T](given: Json, items: list[T], default: int = 10) -> tuple[list[T], Json]:
    """One page of a list, and the three fields that every list answers beside it."""
    size = given["page_size"] or default
    start = _offset(given["page_token"])
    ahead = start + size < len(items)
    more = {
        "next_page_token": _token(start + size) if ahead else "",
        "prev_page_token": _token(max(0, start - size)) if start else "",
        "total_size": len(items),
    }
    return items[start : start + size], more


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def _offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["offset"])
    except (binascii.Error, ValueError, KeyError, TypeError) as wrong:
        raise invalid("page_token is not one that this API gave") from wrong
