"""Every route against every kind of caller, from the functions' own tables of routes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

import mcp_server
from tests import events
from tests.functions.support import Bundle
from tests.infra.template_support import FUNCTIONS
from tests.world import CONFIG, GMAIL

if TYPE_CHECKING:
    from collections.abc import Callable

type Case = Callable[[Bundle], dict[str, Any]]


def instance(bundle: Bundle) -> dict[str, Any]:
    return {"path": {"id": bundle.ensure()["id"]}}


def session_token(bundle: Bundle) -> dict[str, Any]:
    token = bundle.token()
    return {"path": {"id": token["instance"], "token_id": token["id"]}}


def authorization(bundle: Bundle) -> dict[str, Any]:
    return {"path": {"id": bundle.consent().authorization()}}


def connection(bundle: Bundle) -> dict[str, Any]:
    bundle.connected()
    return {"path": {"name": GMAIL}}


def opened(bundle: Bundle) -> dict[str, Any]:
    return {"path": {"ticket": bundle.ensure()["connect_url"].rsplit("/", 1)[1]}}


def started(bundle: Bundle) -> dict[str, Any]:
    path = opened(bundle)["path"] | {"connection": GMAIL}
    return {"path": path, "headers": {"sec-fetch-site": "same-origin"}}


def returned(bundle: Bundle) -> dict[str, Any]:
    browser = bundle.consent()
    return {
        "path": {"connection": GMAIL},
        "query": f"code=c&iss=https://accounts.google.com&state={browser.asked['state']}",
        "cookies": browser.cookies,
    }


def a_tool(bundle: Bundle) -> dict[str, Any]:
    bundle.ensure()
    return {"path": {"tool": "gmail_fetch_mails"}}


def nothing(_: Bundle) -> dict[str, Any]:
    return {}


# What makes each route succeed for its right caller, alice. A new route without a line here fails.
FOR_ALICE: dict[str, Case] = {
    "POST {}/instances": lambda _: {"body": {"config": CONFIG}},
    "GET {}/instances": nothing,
    "GET {}/instances/{id}": instance,
    "DELETE {}/instances/{id}": instance,
    "POST {}/instances/{id}/rotate": instance,
    "POST {}/instances/{id}/tokens": instance,
    "GET {}/instances/{id}/tokens": instance,
    "DELETE {}/instances/{id}/tokens/{token_id}": session_token,
    "POST {}/authorizations/{id}/verify": authorization,
    "GET {}/connections": nothing,
    "DELETE {}/connections/{name}": connection,
}
CASES: dict[str, Case] = {
    "GET /configs": nothing,
    "PUT /configs/{name}": lambda _: {
        "path": {"name": "other"},
        "body": {"connections": [{"connection": GMAIL}]},
    },
    "GET /configs/{name}": lambda _: {"path": {"name": CONFIG}},
    "DELETE /configs/{name}": lambda _: {"path": {"name": CONFIG}},
    "GET /configs/{name}/revisions": lambda _: {"path": {"name": CONFIG}},
    "POST /configs/{name}/revisions/{revision}/restore": lambda _: {
        "path": {"name": CONFIG, "revision": "1"}
    },
    "GET /tools": lambda _: {"query": "connector=gmail"},
    "GET /connect/{ticket}": opened,
    "POST /connect/{ticket}/{connection}": started,
    "GET /oauth/callback/{connection}": returned,
    "DELETE /users/{user}": nothing,
    "POST /users/{user}/tools/{tool}": a_tool,
} | {
    route.replace("{}", prefix): case
    for route, case in FOR_ALICE.items()
    for prefix in ("", "/users/{user}")
}

# With Scalekit it runs tools; on native mcp_server's POST comes before it, and nothing is left.
IDLE = "ANY /users/{user}/tools/{tool}"

CALLERS = {
    "jwt": events.jwt(),
    "iam": events.iam(),
    "none": None,
    "jwt and iam": events.jwt() | events.iam(),
    "lambda": {"lambda": {"user": "alice"}},
    "jwt and lambda": events.jwt() | {"lambda": {"user": "alice"}},
}


def all_routes() -> dict[str, tuple[str, str]]:
    """Route key to function and kind of caller, but for the idle one."""
    return {
        route: (function, about.caller)
        for function in FUNCTIONS
        if function != "mcp_server"
        for route, about in importlib.import_module(function).ROUTES.items()
        if route != IDLE
    } | dict.fromkeys(mcp_server.IAM_ROUTES, ("mcp_server", "iam"))


def event_for(bundle: Bundle, route: str) -> dict[str, Any]:
    event = CASES[route](bundle)
    if "{user}" in route:
        event["path"] = event.get("path", {}) | {"user": "alice"}
    return event


def test_every_route_has_a_case() -> None:
    assert set(CASES) == set(all_routes())


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", sorted(CASES))
def test_a_route_answers_its_own_kind_of_caller_and_no_other(
    bundle: Bundle, route: str, who: str
) -> None:
    function, caller = all_routes()[route]
    event = event_for(bundle, route)
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    answer = bundle.call(function, route, **event, caller=CALLERS[who])
    if who == caller:
        assert answer.status in (200, 204, 303), answer.body
    else:
        assert answer.status == 403
        assert answer.code == "forbidden"
        assert bundle.world.table.items == before


@pytest.mark.parametrize("who", CALLERS)
def test_who_runs_a_tool_by_another_method_than_post_finds_nothing(
    bundle: Bundle, who: str
) -> None:
    path = {"user": "alice", "tool": "gmail_fetch_mails"}
    for method in ("GET", "POST"):
        answer = bundle.call("ensure_instance", IDLE, path=path, caller=CALLERS[who], method=method)
        assert answer.code == ("not_found" if who == "iam" else "forbidden")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("route", ["$default", "GET /nowhere", "", "HEAD /connect/{ticket}"])
def test_a_route_that_is_not_the_functions_own_is_not_found(
    bundle: Bundle, function: str, route: str
) -> None:
    event = events.http("GET /nowhere", caller=events.jwt()) | {"routeKey": route}
    if function == "mcp_server":
        del event["requestContext"]["authorizer"]
    assert bundle.send(function, event).status == 404


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "ensure_instance"])
def test_an_event_without_a_route_is_not_found(bundle: Bundle, function: str) -> None:
    """Whoever may invoke a function directly gets no further than through the API."""
    event = events.http("GET /nowhere")
    del event["routeKey"]
    assert bundle.send(function, event).status == 404


FOREIGN = {
    "GET {}/instances/{id}": (404, "not_found"),
    "DELETE {}/instances/{id}": (404, "not_found"),
    "POST {}/instances/{id}/rotate": (404, "not_found"),
    "POST {}/instances/{id}/tokens": (404, "not_found"),
    "GET {}/instances/{id}/tokens": (404, "not_found"),
    "DELETE {}/instances/{id}/tokens/{token_id}": (404, "not_found"),
    "POST {}/authorizations/{id}/verify": (403, "wrong_user"),
    "DELETE {}/connections/{name}": (404, "not_found"),
}
OWN_ONLY = ("POST {}/instances", "GET {}/instances", "GET {}/connections")


def test_every_route_about_one_user_is_tried_by_another() -> None:
    assert set(FOREIGN) | set(OWN_ONLY) == set(FOR_ALICE)


@pytest.mark.parametrize(("prefix", "kind"), [("", "jwt"), ("/users/{user}", "iam")])
@pytest.mark.parametrize("pattern", FOREIGN)
def test_someone_elses_things_cannot_be_reached(
    bundle: Bundle, pattern: str, prefix: str, kind: str
) -> None:
    route = pattern.replace("{}", prefix)
    event = event_for(bundle, route)
    if kind == "iam":
        event["path"]["user"] = "bob"
    caller = events.jwt("bob") if kind == "jwt" else events.iam()
    answer = bundle.call(all_routes()[route][0], route, **event, caller=caller)
    assert (answer.status, answer.code) == FOREIGN[pattern]
    for secret in ("alice", *event["path"].values()):
        if secret not in ("bob", GMAIL):
            assert secret not in answer.body


@pytest.mark.parametrize("pattern", OWN_ONLY)
def test_lists_hold_the_callers_own_things_only(bundle: Bundle, pattern: str) -> None:
    alices = bundle.ensure("alice")
    bundle.connected("alice")
    route = pattern.replace("{}", "")
    function = all_routes()[route][0]
    answer = bundle.call(function, route, **CASES[route](bundle), caller=events.jwt("bob"))
    assert alices["id"] not in answer.body
    assert alices["url"] not in answer.body
    assert '"ACTIVE"' not in answer.body


@pytest.mark.parametrize(
    "route", ["POST /instances", "POST /instances/{id}/rotate", "POST /instances/{id}/tokens"]
)
@pytest.mark.parametrize("name", ["user", "user_id", "identifier", "sub", "tenant", "status"])
def test_a_frontend_cannot_name_a_user_in_the_body(bundle: Bundle, route: str, name: str) -> None:
    event = event_for(bundle, route)
    event["body"] = event.get("body", {}) | {name: "bob"}
    answer = bundle.call("ensure_instance", route, **event, caller=events.jwt())
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert name in answer.json["detail"]
    assert "bob" not in answer.json["detail"]


def test_a_verification_cannot_name_its_user_in_the_body(bundle: Bundle) -> None:
    authorization_id = bundle.consent().authorization()
    answer = bundle.verify(authorization_id, body={"user": "alice"})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert bundle.verify(authorization_id).status == 200, "a refused body must not spend it"


@pytest.mark.parametrize(
    "user",
    ["", "x" * 257, "a\x00b", "a\nb", "a\x7f", "\ud800"],
    ids=["empty", "long", "nul", "newline", "delete", "surrogate"],
)
@pytest.mark.parametrize("kind", ["jwt", "iam"])
def test_a_user_that_is_no_proper_name_is_refused(bundle: Bundle, kind: str, user: str) -> None:
    route, event = "GET /instances", {"caller": events.jwt(user)}
    if kind == "iam":
        route = "GET /users/{user}/instances"
        event = {"caller": events.iam(), "path": {"user": user}}
    answer = bundle.call("ensure_instance", route, **event)
    assert (answer.status, answer.code) == (400, "bad_user")


def test_users_are_told_apart_to_the_byte(bundle: Bundle) -> None:
    names = ["bob", "bobby", "Bob", "bob ", "bob#x", "b\u00f6b", "bo\u0308b", "x" * 256]
    ids = [bundle.ensure(name)["id"] for name in names]
    assert len(set(ids)) == len(names)


def test_a_service_and_the_user_meet_on_the_same_instance(bundle: Bundle) -> None:
    own = bundle.ensure("alice@example.com")
    path = {"user": "alice@example.com", "id": own["id"]}
    route = "GET /users/{user}/instances/{id}"
    answer = bundle.call("ensure_instance", route, path=path, caller=events.iam())
    assert answer.json["url"] == own["url"]


def test_an_id_token_is_not_an_access_token(bundle: Bundle) -> None:
    caller = events.jwt(token_use="id")
    answer = bundle.call("ensure_instance", "GET /instances", caller=caller)
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"email": "alice@example.com", "email_verified": "true"}, 200),
        ({"email": "alice@example.com", "email_verified": "false"}, 403),
        ({"email": "alice@example.com"}, 403),
        ({"email_verified": "true"}, 400),
    ],
)
def test_an_email_identifies_a_user_only_once_it_is_verified(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, claims: dict[str, str], status: int
) -> None:
    monkeypatch.setenv("USER_CLAIM", "email")
    caller = events.jwt(**claims)
    assert bundle.call("ensure_instance", "GET /instances", caller=caller).status == status
