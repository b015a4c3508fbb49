"""One call of an API method, and the table of the methods that the fake implements."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import bad_request

if TYPE_CHECKING:
    from .world import Person, World

type Json = dict[str, Any]
type Handler = Callable[["Call"], Json | None]

HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True)
class Call:
    """A request that is authenticated, allowed and well formed."""

    world: World
    person: Person
    scopes: frozenset[str]
    params: Json  # path and query
    body: Json
    headers: dict[str, str]


def handles(*methods: str) -> Callable[[Handler], Handler]:
    """Registers a handler; an answer of None is 204."""

    def register(handler: Handler) -> Handler:
        for method in methods:
            HANDLERS[method] = handler
        return handler

    return register


def page[T](call: Call, items: list[T], default: int, most: int) -> tuple[list[T], Json]:
    """One page of a list, and `nextPageToken` if there is more.

    The token is bound to the query that it continues, so that a client cannot get away with
    changing one but not the other.
    """
    size = max(1, min(int(call.params.get("maxResults", default)), most))
    query = sorted((k, str(v)) for k, v in call.params.items() if k not in {"pageToken", "fields"})
    bound = hashlib.sha256(repr((call.person.email, query)).encode()).hexdigest()[:8]
    start = _offset(call.params.get("pageToken"), bound)
    rest = items[start : start + size]
    if start + size >= len(items):
        return rest, {}
    token = base64.urlsafe_b64encode(f"{bound}:{start + size}".encode()).decode()
    return rest, {"nextPageToken": token}


def _offset(token: str | None, bound: str) -> int:
    if token is None:
        return 0
    try:
        head, _, offset = base64.urlsafe_b64decode(token).decode().partition(":")
        if head == bound:
            return int(offset)
    except ValueError:
        pass
    raise bad_request("Invalid pageToken", "invalid")
