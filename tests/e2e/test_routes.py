"""Every route of the template answers its right caller, over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.deployment import PARAMETERS
from tests.e2e import wire
from tests.e2e.api import problem
from tests.e2e.consent import GMAIL, connect, press, start, told
from tests.e2e.deployed import ROOT, Deployment
from tests.e2e.people import CONFIG, User
from tests.infra.template_support import FUNCTIONS, routes

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.e2e.api import Api


@dataclass(frozen=True)
class Scene:
    """One user, and both doors to what is theirs."""

    api: Api
    user: User
    config: str  # one that may be changed

    def own(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.user.call(method, path, body)

    def service(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.api.as_service(method, f"/users/{self.user.id}{path}", body)


type Door = Callable[[Scene, str, str, object], httpx.Response]


def ensures(scene: Scene, door: Door) -> None:
    first = door(scene, "POST", "/instances", {"config": CONFIG}).json()
    assert re.fullmatch(r"ins_[0-9a-f]{32}", first["id"])
    assert first["url"].startswith(f"{scene.api.url}/mcp/mvk_")
    assert first["connections"][0] == {
        "connection": GMAIL,
        "connector": "gmail",
        "status": "PENDING_AUTH",
    }
    assert first["tools"][0] == {
        "name": "gmail_fetch_mails",
        "connection": GMAIL,
        "ready": False,
        "reason": "not_connected",
    }
    second = door(scene, "POST", "/instances", {"config": CONFIG}).json()
    assert (second["id"], second["url"]) == (first["id"], first["url"])
    assert second["connect_url"] != first["connect_url"]


def lists_instances(scene: Scene, door: Door) -> None:
    made = scene.user.ensure()
    found = door(scene, "GET", "/instances", None).json()["instances"]
    assert [(each["id"], each["url"]) for each in found] == [(made["id"], made["url"])]


def gets_an_instance(scene: Scene, door: Door) -> None:
    made = scene.user.ensure()
    found = door(scene, "GET", f"/instances/{made['id']}", None).json()
    assert found == {name: made[name] for name in found}
    assert "connect_url" not in found


def deletes_an_instance(scene: Scene, door: Door) -> None:
    made = scene.user.ensure()
    assert door(scene, "DELETE", f"/instances/{made['id']}", None).status_code == 204
    assert door(scene, "DELETE", f"/instances/{made['id']}", None).status_code == 404
    again = scene.user.ensure()
    assert again["id"] != made["id"]
    assert again["url"] != made["url"]


def rotates(scene: Scene, door: Door) -> None:
    made = scene.user.ensure()
    rotated = door(scene, "POST", f"/instances/{made['id']}/rotate", None).json()
    assert rotated["id"] == made["id"]
    assert rotated["url"] != made["url"]
    assert scene.user.ensure()["url"] == rotated["url"]


def issues_a_token(scene: Scene, door: Door) -> None:
    path = f"/instances/{scene.user.ensure()['id']}/tokens"
    made = door(scene, "POST", path, {"expires_in_seconds": 60, "access": "READ_ONLY"}).json()
    assert re.fullmatch(r"mvt_[\w-]{98}", made["token"])
    assert (made["access"], made["url"]) == ("READ_ONLY", f"{scene.api.url}/mcp")
    assert wire.list_tools(made["url"], token=made["token"]) == ["gmail_fetch_mails"]


def lists_tokens(scene: Scene, door: Door) -> None:
    made = scene.user.token_for_mcp()
    path = f"/instances/{scene.user.ensure()['id']}/tokens"
    (listed,) = door(scene, "GET", path, None).json()["tokens"]
    assert listed == {name: made[name] for name in ("id", "access", "created_at", "expires_at")}


def revokes_a_token(scene: Scene, door: Door) -> None:
    made = scene.user.token_for_mcp()
    path = f"/instances/{scene.user.ensure()['id']}/tokens/{made['id']}"
    assert wire.post(scene.api, made["url"], "tools/list", token=made["token"]).status_code == 200
    assert door(scene, "DELETE", path, None).status_code == 204
    assert wire.post(scene.api, made["url"], "tools/list", token=made["token"]).status_code == 401
    assert door(scene, "DELETE", path, None).status_code == 404


def verifies(scene: Scene, door: Door) -> None:
    started = start(scene.api, scene.user.ensure()["connect_url"])
    authorization = started.allow().authorization()
    answer = door(scene, "POST", f"/authorizations/{authorization}/verify", {})
    assert answer.json() == {
        "connection": GMAIL,
        "connector": "gmail",
        "title": "Gmail",
        "status": "ACTIVE",
        "scopes": answer.json()["scopes"],
        "missing_scopes": [],
    }


def lists_connections(scene: Scene, door: Door) -> None:
    connect(scene.user)
    found = door(scene, "GET", "/connections", None).json()["connections"]
    statuses = {each["connection"]: each["status"] for each in found}
    assert statuses == {"MY_GMAIL": "ACTIVE", "MY_CALENDAR": "PENDING_AUTH"}


def disconnects(scene: Scene, door: Door) -> None:
    connect(scene.user)
    answer = door(scene, "DELETE", f"/connections/{GMAIL}", None)
    assert answer.json() == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": True}
    assert scene.user.connections()[GMAIL]["status"] == "DISCONNECTED"


def erases_a_user(scene: Scene) -> None:
    connect(scene.user)
    made = scene.user.ensure()
    answer = scene.service("DELETE", "").json()
    assert answer["revoked"] == ["google"]
    assert (answer["erased"]["accounts"], answer["erased"]["instances"]) == (1, 1)
    assert wire.post(scene.api, made["url"], "tools/list").status_code == 404
    ticket = made["connect_url"].removeprefix(scene.api.url)
    assert scene.api.send("GET", ticket).status_code == 410
    assert scene.own("GET", "/instances").json() == {"instances": []}
    statuses = {each["status"] for each in scene.user.connections().values()}
    assert statuses == {"PENDING_AUTH"}
    assert scene.service("DELETE", "").json()["revoked"] == []


def puts_a_config(scene: Scene) -> None:
    wanted = {
        "description": "Reads",
        "connections": [{"connection": GMAIL, "tools": ["gmail_list_labels"]}],
    }
    answer = scene.api.as_service("PUT", f"/configs/{scene.config}", wanted).json()
    assert (answer["name"], answer["description"], answer["revision"]) == (
        scene.config,
        "Reads",
        2,
    )
    assert answer["connections"] == [
        {
            "connection": GMAIL,
            "connector": "gmail",
            "removed": False,
            "tools": ["gmail_list_labels"],
            "tool_count": 1,
            "all_tools": False,
        }
    ]


def gets_a_config(scene: Scene) -> None:
    answer = scene.api.as_service("GET", f"/configs/{scene.config}").json()
    assert (answer["name"], answer["revision"]) == (scene.config, 1)


def lists_configs(scene: Scene) -> None:
    found = scene.api.as_service("GET", "/configs").json()["configs"]
    assert {scene.config, CONFIG} <= {config["name"] for config in found}


def deletes_a_config(scene: Scene) -> None:
    scene.user.ensure(scene.config)
    assert scene.api.as_service("DELETE", f"/configs/{scene.config}").json() == {
        "name": scene.config,
        "removed_tools": ["gmail_fetch_mails"],
        "instances_losing_tools": 1,
    }
    assert scene.api.as_service("GET", f"/configs/{scene.config}").status_code == 404


def lists_revisions(scene: Scene) -> None:
    puts_a_config(scene)
    found = scene.api.as_service("GET", f"/configs/{scene.config}/revisions").json()["revisions"]
    assert [(each["revision"], each["current"]) for each in found] == [(2, True), (1, False)]


def restores_a_revision(scene: Scene) -> None:
    puts_a_config(scene)
    scene.user.ensure(scene.config)
    restore = f"/configs/{scene.config}/revisions/1/restore"
    answer = scene.api.as_service("POST", restore).json()
    assert answer["revision"] == 3
    assert answer["connections"][0]["tools"] == ["gmail_fetch_mails"]
    assert answer["removed_tools"] == ["gmail_list_labels"]
    assert answer["instances_losing_tools"] == 1
    assert scene.api.as_service("POST", restore).json() == answer


def lists_tools(scene: Scene) -> None:
    def ask(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = scene.api.as_service("GET", f"/tools{query}").json()["tools"]
        return found

    every, gmail = ask(""), ask("?connector=gmail")
    assert gmail == [tool for tool in every if tool["connector"] == "gmail"]
    assert len(every) > len(gmail) > 20
    found = ask("?q=list+mail&read_only=true&connector=gmail")
    assert 0 < len(found) < len(gmail)
    assert all(tool["input_schema"]["type"] == "object" for tool in found)
    (one,) = ask("?name=gmail_send_mail&schemas=false")
    assert (one["name"], "input_schema" in one) == ("gmail_send_message", False)
    for wrong, code in {
        "conector=gmail": "unknown_parameter",
        "connector=gmial": "unknown_connector",
        "q=a&q=b": "bad_query",
    }.items():
        assert problem(scene.api.as_service("GET", f"/tools?{wrong}")) == (400, code)


def shows_the_connect_page(scene: Scene) -> None:
    page = scene.api.send("GET", scene.user.ensure()["connect_url"].removeprefix(scene.api.url))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Connect your accounts to Demo app" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"


def starts_a_consent(scene: Scene) -> None:
    answer = press(scene.api, scene.user.ensure()["connect_url"], GMAIL)
    assert answer.status_code == 303
    assert re.fullmatch(
        r"__Host-valet_[0-9a-f]{16}=[\w-]{43}; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax",
        answer.headers["set-cookie"],
    )
    assert answer.headers["location"].startswith(
        "http://127.0.0.1:4700/accounts.google.com/o/oauth2/v2/auth?"
    )


def takes_the_callback(scene: Scene) -> None:
    started = start(scene.api, scene.user.ensure()["connect_url"])
    answer = started.allow().arrive()
    assert sorted(told(answer)) == ["authorization_id", "connection"]
    assert answer.headers["set-cookie"].startswith(
        f"{started.cookie.partition('=')[0]}=; Max-Age=0"
    )


def runs_a_tool(scene: Scene) -> None:
    connect(scene.user)
    body = {"arguments": {"max_results": 2}}
    answer = scene.service("POST", "/tools/gmail_fetch_mails", body).json()
    assert (answer["code"], answer["is_error"], answer["config"]) == ("ok", False, CONFIG)
    assert len(answer["result"]["messages"]) == 2


def runs_no_tool_by_another_method(scene: Scene) -> None:
    connect(scene.user)
    for method in ("GET", "PUT", "DELETE"):
        answer = scene.service(method, "/tools/gmail_fetch_mails")
        assert problem(answer) == (404, "not_found")


def serves_mcp(scene: Scene) -> None:
    answer = wire.post(scene.api, scene.user.ensure()["url"], "tools/list")
    names = [tool["name"] for tool in answer.json()["result"]["tools"]]
    assert names == ["gmail_fetch_mails", "googlecalendar_create_event"]


def serves_mcp_to_a_bearer(scene: Scene) -> None:
    made = scene.user.token_for_mcp()
    assert wire.list_tools(made["url"], token=made["token"]) == wire.list_tools(
        scene.user.ensure()["url"]
    )


def tells_what_to_bring(scene: Scene, place: str) -> None:
    told = scene.api.send("GET", f"/.well-known/oauth-protected-resource{place}")
    assert told.json() == {
        "resource": f"{scene.api.url}/mcp",
        "authorization_servers": [PARAMETERS["McpOAuthIssuer"]],
        "scopes_supported": ["mcp:full", "mcp:read"],
        "bearer_methods_supported": ["header"],
    }


def _through(door: Door, case: Callable[[Scene, Door], None]) -> Callable[[Scene], None]:
    return lambda scene: case(scene, door)


_FOR_ONE_USER: dict[str, Callable[[Scene, Door], None]] = {
    "POST {}/instances": ensures,
    "GET {}/instances": lists_instances,
    "GET {}/instances/{id}": gets_an_instance,
    "DELETE {}/instances/{id}": deletes_an_instance,
    "POST {}/instances/{id}/rotate": rotates,
    "POST {}/instances/{id}/tokens": issues_a_token,
    "GET {}/instances/{id}/tokens": lists_tokens,
    "DELETE {}/instances/{id}/tokens/{token_id}": revokes_a_token,
    "POST {}/authorizations/{id}/verify": verifies,
    "GET {}/connections": lists_connections,
    "DELETE {}/connections/{name}": disconnects,
}
_DOORS: dict[str, Door] = {"": Scene.own, "/users/{user}": Scene.service}
_CASES: dict[str, Callable[[Scene], None]] = {
    "GET /configs": lists_configs,
    "PUT /configs/{name}": puts_a_config,
    "GET /configs/{name}": gets_a_config,
    "DELETE /configs/{name}": deletes_a_config,
    "GET /configs/{name}/revisions": lists_revisions,
    "POST /configs/{name}/revisions/{revision}/restore": restores_a_revision,
    "GET /tools": lists_tools,
    "DELETE /users/{user}": erases_a_user,
    "POST /users/{user}/tools/{tool}": runs_a_tool,
    "ANY /users/{user}/tools/{tool}": runs_no_tool_by_another_method,
    "GET /connect/{ticket}": shows_the_connect_page,
    "POST /connect/{ticket}/{connection}": starts_a_consent,
    "GET /oauth/callback/{connection}": takes_the_callback,
    "ANY /mcp/{key}": serves_mcp,
    "ANY /mcp": serves_mcp_to_a_bearer,
    "GET /.well-known/oauth-protected-resource/mcp": lambda s: tells_what_to_bring(s, "/mcp"),
    "GET /.well-known/oauth-protected-resource": lambda s: tells_what_to_bring(s, ""),
} | {
    route.replace("{}", prefix, 1): _through(door, case)
    for route, case in _FOR_ONE_USER.items()
    for prefix, door in _DOORS.items()
}


def test_every_route_of_the_template_and_of_the_readme_has_a_case_here() -> None:
    of_template = {route for function in FUNCTIONS for route in routes(function)}
    rows = re.findall(
        r"^\| (GET|PUT|POST|DELETE|ANY) \| (/\S+) \|", (ROOT / "README.md").read_text(), re.M
    )
    assert set(_CASES) == of_template == {f"{method} {path}" for method, path in rows}


# The answer has something of our own server, of our catalogue or of our vault in it.
_OF_NATIVE = set(routes("mcp_server")) - {"POST /users/{user}/tools/{tool}"} | {
    *("GET /tools", "POST /instances", "POST /users/{user}/instances"),
    *("POST /connect/{ticket}/{connection}", "DELETE /users/{user}"),
    *(f"{prefix}/connections/{{name}}" for prefix in ("DELETE ", "DELETE /users/{user}")),
    *(r for r in routes("ensure_instance") if "/tokens" in r),
    *(r for r in routes("ensure_instance") if r.endswith("/rotate")),
}


@pytest.mark.parametrize("route", _CASES)
def test_a_route_does_what_it_is_for(
    route: str, api: Api, user: User, new_config: Callable[..., str], deployment: Deployment
) -> None:
    if deployment.backend != "native" and route in _OF_NATIVE:
        pytest.skip("held to native's answer; Scalekit's: see tests/functions/test_scalekit_*")
    _CASES[route](Scene(api, user, new_config(gmail=["gmail_fetch_mails"])))


def test_both_doors_lead_to_the_same_instance(api: Api, user: User) -> None:
    by_service = api.as_service("POST", f"/users/{user.id}/instances", {"config": CONFIG}).json()
    assert user.ensure()["id"] == by_service["id"]


def test_only_the_apps_origin_may_call_from_a_browser(api: Api) -> None:
    def preflight(origin: str) -> dict[str, Any]:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        return dict(api.send("OPTIONS", "/instances", headers=headers).headers)

    assert preflight("http://127.0.0.1:8500")["access-control-allow-origin"] == (
        "http://127.0.0.1:8500"
    )
    assert "access-control-allow-origin" not in preflight("http://127.0.0.1:8501")


def test_a_path_that_no_route_has_is_not_found(api: Api) -> None:
    for path in ("/", "/instance", "/configs/a/b", "/mcp/", "/users//instances"):
        assert api.send("GET", path).status_code == 404, path
