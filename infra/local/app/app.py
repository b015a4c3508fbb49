"""The demo app's routes: sign in, see the MCP URL, connect, verify, disconnect.

The browser holds a session id and nothing else. The user's token, and the id of an authorization
that waits for a sign-in, stay on the server.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from . import pages
from .people import PEOPLE
from .valet import Problem, Valet

type Endpoint = Callable[[Request], Awaitable[Response]]

COOKIE = "demo_session"
_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{pages.STYLE_HASH}';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_WHAT_TO_DO = {
    "user_denied": "You chose not to allow access. Connect again when you want to.",
    "provider_error": "The provider could not finish. Try to connect again in a moment.",
}


@dataclass
class Session:
    """What the server remembers of a browser."""

    email: str = ""
    token: str = ""
    authorization: str = ""  # waits for a sign-in
    replacing: str = ""  # an authorization that waits for "use this account instead"
    note: pages.Note | None = None  # shown once


@dataclass
class DemoApp:
    """`sign_in` gives the API's token for an email address; it may block."""

    valet: Valet
    sign_in: Callable[[str], str]
    sessions: dict[str, Session] = field(default_factory=dict)

    async def home(self, request: Request) -> Response:
        session = self._session(request)
        if not session.token:
            return _page(pages.sign_in(PEOPLE, waiting=False))
        note, session.note = session.note, None
        try:
            found = await self.valet.instance(session.token)
        except Problem as problem:
            return self._failed(session, problem)
        return _page(pages.instance(session.email, found, note))

    async def enter(self, request: Request) -> Response:
        email = await _field(request, "email")
        if email not in PEOPLE:
            return Response("Unknown person", 400)
        token = await asyncio.to_thread(self.sign_in, email)
        waiting = self._session(request).authorization
        self.sessions.pop(request.cookies.get(COOKIE, ""), None)
        # A new id at sign-in: one that was planted before it gives access to nothing.
        key = secrets.token_urlsafe(32)
        session = self.sessions[key] = Session(email, token)
        if waiting:
            session.note = await self._verified(session, waiting)
        return _remember(_go("/verify" if waiting else "/"), key)

    async def leave(self, request: Request) -> Response:
        self.sessions.pop(request.cookies.get(COOKIE, ""), None)
        return _go("/")

    async def verify(self, request: Request) -> Response:
        """Where the consent ends. The id leaves the address bar before anything is shown."""
        key = request.cookies.get(COOKIE, "")
        if key not in self.sessions:
            key = secrets.token_urlsafe(32)
        session = self.sessions.setdefault(key, Session())
        error = request.query_params.get("error")
        authorization = request.query_params.get("authorization_id")
        if error:
            session.note = ("Nothing was connected", _WHAT_TO_DO.get(error, ""), False)
        elif authorization and session.token:
            session.note = await self._verified(session, authorization)
        elif authorization:
            session.authorization = authorization
        else:
            return self._result(session)
        return _remember(_go("/verify"), key)

    async def replace(self, request: Request) -> Response:
        """The user means it: the other account of the provider takes the first one's place."""
        session = self._session(request)
        waiting, session.replacing = session.replacing, ""
        if waiting:
            session.note = await self._verified(session, waiting, replace=True)
        return _go("/verify")

    async def disconnect(self, request: Request) -> Response:
        session = self._session(request)
        name = await _field(request, "connection")
        try:
            await self.valet.disconnect(session.token, name)
            session.note = (f"{name} is disconnected", "", True)
        except Problem as problem:
            session.note = (problem.title, problem.detail, False)
        return _go("/")

    def _result(self, session: Session) -> Response:
        if session.authorization:
            return _page(pages.sign_in(PEOPLE, waiting=True))
        note, session.note = session.note, None
        if note is None:
            return _go("/")
        return _page(pages.result(session.email, note, replaceable=bool(session.replacing)))

    async def _verified(
        self, session: Session, authorization: str, *, replace: bool = False
    ) -> pages.Note:
        try:
            done = await self.valet.verify(session.token, authorization, replace=replace)
        except Problem as problem:
            if problem.code == "different_account":
                session.replacing = authorization
                return ("This is another account", problem.detail.partition(":")[0] + ".", False)
            return (problem.title, problem.detail, False)
        lacks = ", ".join(done.get("missing_scopes", ()))
        detail = f"Some tools stay off: you did not allow {lacks}." if lacks else ""
        return (f"{done['connection']} is connected", detail, True)

    def _failed(self, session: Session, problem: Problem) -> Response:
        if problem.status == 401:
            session.token = ""
            return _page(pages.sign_in(PEOPLE, waiting=False), 401)
        note = (problem.title, problem.detail, False)
        return _page(pages.result(session.email, note), problem.status)

    def _session(self, request: Request) -> Session:
        return self.sessions.get(request.cookies.get(COOKIE, ""), Session())


def build(app: DemoApp, origin: str) -> Starlette:
    """The ASGI application, served at `origin`."""
    ends = {
        "/sign-in": app.enter,
        "/sign-out": app.leave,
        "/disconnect": app.disconnect,
        "/replace": app.replace,
    }
    return Starlette(
        routes=[
            Route("/", app.home),
            Route("/verify", app.verify),
            *(Route(path, _from_here(end, origin), methods=["POST"]) for path, end in ends.items()),
        ],
        # A name that is made to point at loopback must not reach a session.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def _from_here(end: Endpoint, origin: str) -> Endpoint:
    """Only this app's own forms may change anything."""

    async def guarded(request: Request) -> Response:
        site = request.headers.get("sec-fetch-site")
        ours = site == "same-origin" if site else request.headers.get("origin") == origin
        return await end(request) if ours else Response("Not from another site", 403)

    return guarded


async def _field(request: Request, name: str) -> str:
    values = parse_qs((await request.body()).decode("utf-8", "replace")).get(name, [])
    return values[0] if values else ""


def _page(content: str, status: int = 200) -> Response:
    return HTMLResponse(content, status, _HEADERS)


def _go(path: str) -> Response:
    return RedirectResponse(path, 303, _HEADERS)


def _remember(response: Response, key: str) -> Response:
    # Lax, not Strict: the way back from the provider is a navigation from another site.
    response.set_cookie(COOKIE, key, httponly=True, samesite="lax", max_age=3600)
    return response
