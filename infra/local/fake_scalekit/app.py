"""The HTTP side: the API by its descriptors, the token endpoint, the browser's pages, MCP."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from infra.local.fake_google.errors import OAuthError

from . import (
    accounts,
    configs,
    connections,
    consent,
    control,
    instances,
    links,
    mcp_server,
    session_tokens,
    tools,
)
from .call import CREATED, HANDLERS
from .errors import ApiError, by_http
from .gateway import error_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from .faults import Fault
    from .world import World

# Importing them fills the table of handlers.
MODULES = (accounts, configs, connections, instances, links, session_tokens, tools)
_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build(world: World) -> Starlette:
    """The ASGI application for one world."""
    manager = mcp_server.manager(world)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    async def scalekit(request: Request) -> Response:
        return await run_in_threadpool(_answer, world, request, await request.body())

    async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refused = await run_in_threadpool(_admit, world, request)
        if refused is None:
            await manager.handle_request(scope, receive, send)
        else:
            await refused(scope, receive, send)

    catch_all = Route("/{path:path}", scalekit, methods=_VERBS)
    return Starlette(
        routes=[*control.routes(world), Mount("/mcp", app=mcp), catch_all], lifespan=lifespan
    )


def _answer(world: World, request: Request, raw: bytes) -> Response:
    with world.lock:
        row = _log(world, request, raw)
        fault = world.state.settings.take_fault(request.method, request.url.path)
        response = None
        if fault is None or fault.after:
            response = _respond(world, request, raw)
        if fault is not None:
            response = _failure(fault)
        assert response is not None
        row["status"] = response.status_code
        return response


def _admit(world: World, request: Request) -> Response | None:
    """Let an MCP request through, with whom it is for in its state, or say no."""
    with world.lock:
        row = _log(world, request, b"")
        fault = world.state.settings.take_fault(request.method, request.url.path)
        if fault is not None:
            row["status"] = fault.status
            return _failure(fault)
        authorization = request.headers.get("authorization", "")
        try:
            request.state.served = mcp_server.find(world, request.scope["path"], authorization)
        except mcp_server.Refused as refused:
            row["status"] = refused.status
            headers = {"www-authenticate": "Bearer"} if refused.status == 401 else {}
            return Response(status_code=refused.status, headers=headers)
        return None


def _respond(world: World, request: Request, raw: bytes) -> Response:
    path = request.url.path
    try:
        if path.startswith("/api/"):
            return _api(world, request, raw)
        if path == "/oauth/token":
            return _token(world, request, raw)
        return _page(world, request)
    except ApiError as error:
        return JSONResponse(error_body(error), error.http)
    except OAuthError as error:
        return JSONResponse(error.body(), error.status, {"cache-control": "no-store"})


def _api(world: World, request: Request, raw: bytes) -> Response:
    session_tokens.check_api_token(world, request.headers.get("authorization", ""))
    sent: bytes = request.scope["raw_path"]
    # As it was sent: an encoded slash must not become a separator.
    method, in_path = world.directory.match(request.method, sent.decode("ascii", "replace"))
    if not method.for_clients:
        raise ApiError("PERMISSION_DENIED", f"{method.name} is not for client credentials")
    _check_type(request, raw)
    handler = HANDLERS.get(method.name)
    if handler is None:
        raise ApiError("UNIMPLEMENTED", f"the fake Scalekit does not answer {method.name}")
    named = {name: unquote(value) for name, value in in_path.items()}
    given = method.read(named, list(request.query_params.multi_items()), raw)
    answer = method.answer(handler(world, given))
    return JSONResponse(answer, 201 if method.name in CREATED else 200)


def _check_type(request: Request, raw: bytes) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if raw and kind != "application/json":
        raise ApiError("INVALID_ARGUMENT", f"unsupported content type: {kind}")


def _token(world: World, request: Request, raw: bytes) -> Response:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method != "POST" or kind != "application/x-www-form-urlencoded":
        raise OAuthError(400, "invalid_request", "POST a form.")
    pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) < len(pairs):
        raise OAuthError(400, "invalid_request", "A parameter is given twice.")
    issued = session_tokens.issue_api_token(world, form)
    return JSONResponse(issued, headers={"cache-control": "no-store"})


def _page(world: World, request: Request) -> Response:
    path = request.url.path
    if request.method != "GET":
        return Response(status_code=405)
    if path == "/keys":
        return JSONResponse(world.signer.jwks())
    if path == links.SUCCESS:
        return consent.success()
    if path.startswith(links.MAGIC_LINK):
        return consent.open_link(world, path.removeprefix(links.MAGIC_LINK))
    match path.split("/"):
        case ["", "sso", "v1", "oauth", connection, "callback"]:
            return consent.callback(world, request, connection)
    return Response(status_code=404)


def _failure(fault: Fault) -> Response:
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    if fault.body is None:
        body: Any = error_body(by_http(fault.status, "injected by a test"))
    else:
        body = fault.body
    return JSONResponse(body, fault.status, headers)


def _log(world: World, request: Request, raw: bytes) -> dict[str, Any]:
    row = {
        "method": request.method,
        "path": request.scope["path"],
        "query": request.url.query,
        "headers": [list(pair) for pair in request.headers.items()],
        "body": raw.decode("utf-8", "backslashreplace"),
        "status": 0,
    }
    world.state.log.append(row)
    return row
