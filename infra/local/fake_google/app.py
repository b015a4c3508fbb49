"""The HTTP side: the first path segment is the real host, and the rest is the path there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import api, authorize, control, tokens
from .errors import ApiError, OAuthError, not_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .faults import Fault
    from .world import World

_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_FORM = "application/x-www-form-urlencoded"
_AUTHORIZE = "accounts.google.com/o/oauth2/v2/auth"
_TOKEN = "oauth2.googleapis.com/token"  # noqa: S105  # a path
_REVOKE = "oauth2.googleapis.com/revoke"
_USERINFO = "openidconnect.googleapis.com/v1/userinfo"
_OAUTH = (_AUTHORIZE, _TOKEN, _REVOKE, _USERINFO)
_PUBLISHED: dict[str, Callable[[World], dict[str, Any]]] = {
    "accounts.google.com/.well-known/openid-configuration": lambda _: tokens.configuration(),
    "www.googleapis.com/oauth2/v3/certs": lambda world: world.signer.jwks(),
}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline';"
    " frame-ancestors 'none'; base-uri 'none'",
    "cache-control": "no-store",
}


def build(world: World) -> Starlette:
    """The ASGI application for one world."""

    async def google(request: Request) -> Response:
        raw = await request.body()
        place = _place(request)
        row = _log(world, request, place, raw)
        fault = world.settings.take_fault(place)
        if fault and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        response = _with_fault(world, request, place, raw, fault)
        row["status"] = response.status_code
        return response

    return Starlette(routes=[*control.routes(world), Route("/{path:path}", google, methods=_VERBS)])


def _with_fault(
    world: World, request: Request, place: str, raw: bytes, fault: Fault | None
) -> Response:
    if fault is None or not fault.status:
        return _respond(world, request, place, raw)
    if fault.after:
        _respond(world, request, place, raw)
    body, headers = fault.error(oauth=place in _OAUTH)
    if isinstance(body, str):
        return Response(body, fault.status, headers)
    return JSONResponse(body, fault.status, headers)


def _respond(world: World, request: Request, place: str, raw: bytes) -> Response:
    with world.lock:
        try:
            return _route(world, request, place, raw)
        except ApiError as error:
            if error.code == 304:
                return Response(status_code=304)
            return JSONResponse(error.body(), error.code, error.headers)
        except OAuthError as error:
            return JSONResponse(error.body(), error.status, {"cache-control": "no-store"})


def _route(world: World, request: Request, place: str, raw: bytes) -> Response:
    if place == _AUTHORIZE:
        return _authorize(world, request, raw)
    if place in _OAUTH:
        return JSONResponse(
            _oauth(world, request, place, raw), headers={"cache-control": "no-store"}
        )
    if place in _PUBLISHED and request.method == "GET":
        return JSONResponse(_PUBLISHED[place](world))
    host, _, path = place.partition("/")
    if host not in world.directory.hosts:
        raise not_found(f"The fake Google does not answer for {host}.")
    found = api.answer(world, request, host, path, raw)
    return Response(status_code=204) if found is None else _json(found)


def _authorize(world: World, request: Request, raw: bytes) -> Response:
    query = list(request.query_params.multi_items())
    if request.method == "POST":
        response = authorize.answer(world, query, _form(request, raw))
    elif request.method == "GET":
        response = authorize.show(world, query)
    else:
        raise ApiError(405, "methodNotAllowed", "Method not allowed")
    response.headers.update(_PAGE_HEADERS)
    return response


def _oauth(world: World, request: Request, place: str, raw: bytes) -> dict[str, Any]:
    authorization = request.headers.get("authorization", "")
    if place == _USERINFO:
        return tokens.userinfo(world, authorization.partition(" ")[2])
    if request.method != "POST":
        raise OAuthError(405, "invalid_request", "Method not allowed")
    form = _form(request, raw)
    if place == _REVOKE:
        return tokens.revoke(world, form)
    return tokens.exchange(world, form, authorization)


def _form(request: Request, raw: bytes) -> list[tuple[str, str]]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if raw and kind != _FORM:
        raise OAuthError(400, "invalid_request", f"Unsupported content type: {kind}")
    try:
        return parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=bool(raw))
    except ValueError as wrong:
        raise OAuthError(400, "invalid_request", "Malformed form.") from wrong


def _json(found: dict[str, Any]) -> Response:
    etag = found.get("etag")
    headers = {"etag": etag} if isinstance(etag, str) else {}
    return JSONResponse(found, headers={"vary": "Origin", **headers})


def _place(request: Request) -> str:
    """Host and path as they were sent: an encoded slash must not become a separator."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace").partition("?")[0].removeprefix("/")


def _log(world: World, request: Request, place: str, raw: bytes) -> dict[str, Any]:
    host, _, path = place.partition("/")
    row = {
        "host": host,
        "method": request.method,
        "path": f"/{path}",
        "query": request.url.query,
        "headers": [list(pair) for pair in request.headers.items()],
        "body": raw.decode("utf-8", "backslashreplace"),
        "status": 0,
    }
    world.log.append(row)
    return row
