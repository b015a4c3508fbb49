"""An API request from the wire to its handler: method, token, scope, form, and only then work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import calendar, drafts, event_writes, gmail, labels, partial
from .call import HANDLERS, Call
from .discovery import Method, not_implemented
from .errors import ApiError, bad_request, scope_missing, unauthenticated

if TYPE_CHECKING:
    from starlette.requests import Request

    from .grants import Access
    from .world import Person, World

# Importing them fills the table of handlers.
MODULES = (gmail, drafts, labels, calendar, event_writes)


def answer(world: World, request: Request, host: str, path: str, raw: bytes) -> Any:
    """The body of the answer, or None for 204; an `ApiError` for anything else."""
    method, in_path = world.directory.match(request.method, host, path)
    token = _authenticate(world, request)
    if not method.scopes & set(token.scopes):
        raise scope_missing(host, method.id, method.scopes)
    params = {name: unquote(value) for name, value in in_path.items()}
    params |= method.read_query(list(request.query_params.multi_items()))
    body = method.read_body(raw, request.headers.get("content-type", ""))
    handler = HANDLERS.get(method.id)
    if handler is None or params.get("alt", "json") != "json":
        raise not_implemented(f"{method.id} with these parameters")
    person = world.people[token.email]
    _check_user(params, person)
    headers = dict(request.headers.items())
    found = handler(Call(world, person, frozenset(token.scopes), params, body, headers))
    return _shape(method, found, params)


def _authenticate(world: World, request: Request) -> Access:
    given = request.headers.getlist("authorization")
    if not given:
        raise unauthenticated(missing=True)
    scheme, _, value = given[0].partition(" ")
    token = world.grants.find_access(value) if scheme.lower() == "bearer" else None
    if token is None or len(given) > 1:
        raise unauthenticated(missing=False)
    return token


def _check_user(params: dict[str, Any], person: Person) -> None:
    user = params.get("userId", "me")
    if user not in {"me", person.email}:
        raise ApiError(403, "forbidden", f"Delegation denied for {person.email}")


def _shape(method: Method, found: Any, params: dict[str, Any]) -> Any:
    if found is None:
        return None
    method.check_answer(found)
    fields = params.get("fields")
    if fields is None:
        return found
    if not fields:
        raise bad_request("Invalid field selection", "invalidParameter")
    return partial.select(found, fields)
