"""/connect, /oauth/callback, /authorizations, /connections: users grant access or take it back."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from valet.bodies import Body
from valet.connectors.catalog import title
from valet.errors import Forbidden, ValetError
from valet.http import (
    FOR_ONE_USER,
    Request,
    Response,
    Route,
    http_handler,
    json_response,
    logger,
    problem,
)
from valet.models import AccountStatus
from valet.native.authorizations import WrongUser
from valet.native.readiness import missing_scopes
from valet.native.vault import SealBroken
from valet.native.verification import DifferentAccount
from valet.pages import connect_page, problem_page
from valet.settings import settings
from valet.wiring import backend
from valet.wiring.shared import endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valet.models import Account, McpConfig


class Verify(Body):
    """Who verifies is said by the credential, never by a field."""

    replace_account: bool = False


def connect(request: Request) -> Response:
    ticket = request.path("ticket")
    return connect_page(settings().app_name, ticket, backend().consent().page(ticket))


def start(request: Request) -> Response:
    _refuse_other_sites(request)
    started = backend().consent().start(request.path("ticket"), request.path("connection"))
    cookie = (
        f"{started.cookie_name}={started.cookie_value}; Max-Age={started.max_age_seconds}; "
        "Path=/; Secure; HttpOnly; SameSite=Lax"
    )
    return _see_other(started.authorize_url, cookie)


def callback(request: Request) -> Response:
    returned = (
        backend().callbacks().receive(request.path("connection"), request.query, request.cookies)
    )
    told = {"authorization_id": returned.authorization_id, "error": returned.error}
    query = urlencode(
        {"connection": returned.connection} | {k: v for k, v in told.items() if v is not None}
    )
    cookie = f"{returned.cookie_name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    return _see_other(f"{settings().require('verify_url')}?{query}", cookie)


def verify(request: Request) -> Response:
    replace = request.parse(Verify).replace_account
    try:
        account = (
            backend()
            .verification()
            .verify(request.path("id"), request.user_key, replace_account=replace)
        )
    except WrongUser as refused:
        logger.warning("authorization rejected", reason="wrong_user", connection=refused.connection)
        raise
    except DifferentAccount:
        if request.caller == "jwt":
            raise
        raise DifferentAccount(None, None) from None  # the addresses are for the user's eyes
    return json_response(account_view(account, backend().configs().all()))


def list_connections(request: Request) -> Response:
    found = backend().accounts().of(request.user_key, backend().configs().connections())
    declared = backend().configs().all()
    views = [
        account_view(account, declared) | account_name(request, account)
        for account in found.values()
    ]
    return json_response({"connections": views})


def delete_connection(request: Request) -> Response:
    ended = backend().disconnect().disconnect(request.user_key, request.path("name"))
    return json_response(
        {"connection": ended.connection, "status": "DISCONNECTED", "revoked": ended.revoked}
    )


def delete_user(request: Request) -> Response:
    erased = backend().erase().erase(request.user_key)
    logger.info("user erased", user=request.user_key, counts=erased.counts)
    return json_response({"erased": erased.counts, "revoked": erased.revoked})


def account_view(account: Account, declared: Sequence[McpConfig]) -> dict[str, Any]:
    return {
        "connection": account.connection,
        "connector": account.connector,
        "title": title(account.connector),
        "status": account.status.value,
        "scopes": sorted(account.scopes),
        "missing_scopes": missing_scopes(declared, account),
    }


def account_name(request: Request, account: Account) -> dict[str, Any]:
    """Which account of the provider it is: for its user's eyes, not for a service's."""
    if request.caller != "jwt" or account.status is not AccountStatus.ACTIVE:
        return {}
    try:
        return {"account": backend().grants().email(account)}
    except SealBroken as error:
        logger.error("seal broken", connection=account.connection, user=account.user)
        return {"account": None, "problem": error.code}


def refuse(request: Request, error: ValetError) -> Response:
    """A page for a browser, problem+json for everyone else."""
    wants_page = "text/html" in (request.header("accept") or "")
    return problem_page(error) if wants_page else problem(request, error)


def _refuse_other_sites(request: Request) -> None:
    """Only our own page may start a consent, not a form on somebody else's site."""
    site, origin = request.header("sec-fetch-site"), request.header("origin")
    ours = site == "same-origin" if site else origin in (None, endpoint().url())
    if not ours:
        raise Forbidden("open the connect link and use its button", code="cross_site")


def _see_other(url: str, cookie: str) -> Response:
    # 303, never 307: the browser must not repeat the method or the body at the next site.
    return Response(HTTPStatus.SEE_OTHER, headers={"location": url}, cookies=(cookie,))


ROUTES = {
    "GET /connect/{ticket}": Route("none", connect),
    "POST /connect/{ticket}/{connection}": Route("none", start),
    "GET /oauth/callback/{connection}": Route("none", callback),
    "DELETE /users/{user}": Route("iam", delete_user),
} | {
    f"{method} {prefix}{path}": Route(caller, answer)
    for caller, prefix in FOR_ONE_USER
    for method, path, answer in (
        ("POST", "/authorizations/{id}/verify", verify),
        ("GET", "/connections", list_connections),
        ("DELETE", "/connections/{name}", delete_connection),
    )
}

handler = http_handler(ROUTES, refuse)
