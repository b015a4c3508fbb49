"""The browser's leg: from an authentication link to the provider, back, and on to the app."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from . import links, pages
from .google import ExchangeFailed, Tokens
from .seed import redirect_uri
from .world import Account, AuthRequest, Connection, Flow, Link, new_secret

if TYPE_CHECKING:
    from starlette.requests import Request

    from .world import World

FLOW_LIFE = 600  # from the link to the provider's answer, and again from there to the verification
_COOKIE = "scalekit_flow"


def open_link(world: World, token: str) -> Response:
    """GET of a link: at once to the provider, once and in time."""
    link = world.state.links.get(token)
    if link is None or link.opened or link.expires_at <= world.now():
        return _page(410, "session expired or invalid", "This link is over. Ask for a new one.")
    link.opened = True
    account = world.state.accounts[link.account]
    account.status, account.updated_at = "PENDING_AUTH", world.now()
    connection = world.state.connections[account.connection]
    state, cookie = new_secret(), new_secret()
    world.state.flows[state] = Flow(link, cookie, world.now() + FLOW_LIFE)
    callback = redirect_uri(world.base, connection.id)
    there = world.google.authorize_url(callback, connection.provider.scopes, state)
    response = RedirectResponse(there, status_code=302)
    path = urlsplit(callback).path  # one for each connection: two tabs do not disturb each other
    response.set_cookie(_COOKIE, cookie, path=path, httponly=True, samesite="lax")
    return response


def callback(world: World, request: Request, connection_id: str) -> Response:
    """The provider's answer. Failures end on a page of Scalekit's: the app is not told."""
    query = request.query_params
    flow = world.state.flows.pop(query.get("state", ""), None)
    if flow is None or not _same_browser(world, flow, request):
        return _page(400, "session expired or invalid", "Start again from the app.")
    account = world.state.accounts[flow.link.account]
    connection = world.state.connections[account.connection]
    if connection.id != connection_id:
        return _page(400, "invalid_request", "This answer is for another connection.")
    if "error" in query:
        return _page(400, query["error"], "The provider did not give access.")
    tokens = _exchange(world, connection, query.get("code", ""))
    if tokens is None:
        return _page(400, "failed_to_exchange_token", "The provider gave no tokens.")
    if world.state.settings.verify_mode == "USER_VERIFY_MODE_NONE":
        links.activate(world, account, tokens)
        return RedirectResponse(world.base + links.SUCCESS, status_code=302)
    return _ask_the_app(world, flow.link, account, tokens)


def success() -> Response:
    return _page(200, "Connected", "You can close this page.")


def _same_browser(world: World, flow: Flow, request: Request) -> bool:
    given = request.cookies.get(_COOKIE, "")
    return secrets.compare_digest(given, flow.cookie) and flow.expires_at > world.now()


def _exchange(world: World, connection: Connection, code: str) -> Tokens | None:
    try:
        return world.google.exchange(code, redirect_uri(world.base, connection.id), world.now())
    except ExchangeFailed:
        return None


def _ask_the_app(world: World, link: Link, account: Account, tokens: Tokens) -> Response:
    if link.user_verify_url is None:
        said = "user_verify_url not configured for verification redirect"
        return _page(400, "failed_to_exchange", said)
    account.status, account.updated_at = "PENDING_VERIFICATION", world.now()
    identity = new_secret()
    world.state.auth_requests[identity] = AuthRequest(
        account.id, account.identifier, tokens, world.now() + FLOW_LIFE
    )
    told = {"auth_request_id": identity} | ({"state": link.state} if link.state else {})
    parts = urlsplit(link.user_verify_url)
    query = "&".join(filter(None, (parts.query, urlencode(told))))
    return RedirectResponse(urlunsplit(parts._replace(query=query)), status_code=302)


def _page(status: int, headline: str, said: str) -> Response:
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return HTMLResponse(pages.page(headline, said), status, headers)
