"""The fake Scalekit's API: as strict as its own descriptors, and wrong in the documented ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.scalekit_support import CALENDAR, CREDENTIALS, MAIL, refused

if TYPE_CHECKING:
    from tests.infra.scalekit_support import Json, Scalekit

INVALID = (400, "INVALID_ARGUMENT")
MISSING = (404, "RESOURCE_NOT_FOUND")

# What Scalekit documents, written down here apart from the descriptors that the fake reads.
DOCUMENTED = {
    ("POST", "/api/v1/mcp/configs"),
    ("GET", "/api/v1/mcp/configs"),
    ("GET", "/api/v1/mcp/configs/{config_id}"),
    ("PUT", "/api/v1/mcp/configs/{config_id}"),
    ("DELETE", "/api/v1/mcp/configs/{config_id}"),
    ("POST", "/api/v1/mcp/configs/{config_id}/connected_accounts"),
    ("POST", "/api/v1/mcp/configs/{mcp_config_id}/tokens"),
    ("POST", "/api/v1/mcp/connections/{key_id}/tokens"),
    ("POST", "/api/v1/mcp/instances"),
    ("GET", "/api/v1/mcp/instances"),
    ("GET", "/api/v1/mcp/instances/{instance_id}"),
    ("PATCH", "/api/v1/mcp/instances/{instance_id}"),
    ("DELETE", "/api/v1/mcp/instances/{instance_id}"),
    ("POST", "/api/v1/mcp/instances/{instance_id}:get_auth_state"),
    ("GET", "/api/v1/connected_accounts"),
    ("POST", "/api/v1/connected_accounts"),
    ("POST", "/api/v1/connected_accounts:delete"),
    ("GET", "/api/v1/connected_accounts/details"),
    ("POST", "/api/v1/connected_accounts/magic_link"),
    ("POST", "/api/v1/connected_accounts/user/verify"),
    ("POST", "/api/v1/connected_accounts/{id}:disconnect"),
    ("GET", "/api/v1/tools"),
    ("POST", "/api/v1/tools:search"),
    ("POST", "/api/v1/execute_tool"),
    ("GET", "/api/v1/connections/app"),
    ("GET", "/api/v1/connections/{connection_id}"),
}


def test_every_documented_path_is_served(scalekit: Scalekit) -> None:
    served = {(verb, path) for _, verb, path in scalekit.http.get("/_test/routes").json()}
    assert served >= DOCUMENTED


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "skc_1"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused_in_oauths_words(
    scalekit: Scalekit, change: dict[str, str], status: int, error: str
) -> None:
    answer = scalekit.http.post("/oauth/token", data=CREDENTIALS | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_an_access_token_says_when_it_ends_and_ends_then(scalekit: Scalekit) -> None:
    scalekit.control("config", api_token_life=100)
    assert scalekit.http.post("/oauth/token", data=CREDENTIALS).json()["expires_in"] == 100
    scalekit.sign_in()
    scalekit.ok("GET", "/mcp/configs")
    scalekit.control("config", clock_skew=101)
    assert refused(scalekit.call("GET", "/mcp/configs")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("bearer", ["", "Bearer x", "Basic eA=="])
def test_nothing_is_answered_without_an_access_token(scalekit: Scalekit, bearer: str) -> None:
    answer = scalekit.http.get("/api/v1/mcp/configs", headers={"authorization": bearer})
    assert refused(answer) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "config",
    [
        {"name": "My agent tools"},
        {"name": "x" * 101},
        {"name": ""},
        {},
        {"name": "a", "names": "b"},
        {"name": "a", "connection_tool_mappings": [{"tools": ["gmail_fetch_mails"]}]},
        {"name": "a", "connection_tool_mappings": [MAIL] * 26},
        {"name": "a", "connection_tool_mappings": [{"connection_name": "NONE"}]},
        {
            "name": "a",
            "connection_tool_mappings": [
                {"connection_name": "MY_GMAIL", "tools": ["gmail_send_mail"]}
            ],
        },
        {"name": 7},
        {"config": {"name": "a"}},
    ],
)
def test_a_config_that_breaks_a_rule_is_refused(scalekit: Scalekit, config: Json) -> None:
    assert refused(scalekit.call("POST", "/mcp/configs", config)) == INVALID
    assert scalekit.ok("GET", "/mcp/configs")["total_size"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/mcp/configs?page_size=31", None, INVALID),
        ("GET", "/mcp/configs?page_size=many", None, INVALID),
        ("GET", "/mcp/configs?page_size=1&page_size=2", None, INVALID),
        ("GET", "/mcp/configs?page_token=2", None, INVALID),
        ("GET", "/mcp/configs?name=a", None, INVALID),
        ("GET", "/mcp/configs?filter.nam=a", None, INVALID),
        ("GET", "/mcp/configs", {}, INVALID),
        ("POST", "/mcp/configs", [], INVALID),
        (
            "POST",
            "/connected_accounts/magic_link?state=s1",
            {"connector": "MY_GMAIL", "identifier": "u1"},
            INVALID,
        ),
        ("POST", "/mcp/instances", {"config_name": "none", "user_identifier": "u1"}, INVALID),
        ("POST", "/mcp/instances", {"config_id": "cfg_1", "user_identifier": "u1"}, INVALID),
        ("GET", "/mcp/instances/inst_1", None, MISSING),
        ("GET", "/mcp/configs/cfg_1", None, MISSING),
        ("POST", "/mcp/configs/cfg_1/tokens", {"identifier": "u1"}, MISSING),
        ("POST", "/mcp/configs/one/tokens", {"identifier": "u1"}, INVALID),
        (
            "POST",
            "/connected_accounts/magic_link",
            {"connector": "NONE", "identifier": "u"},
            MISSING,
        ),
        ("POST", "/connected_accounts/magic_link", {"connector": "MY_GMAIL"}, INVALID),
        ("POST", "/connected_accounts/magic_link", {"id": "conn_1"}, INVALID),
        ("GET", "/connected_accounts?page_size=100", None, INVALID),
        ("GET", "/tools?filter.query=ab", None, INVALID),
        ("GET", "/nothing", None, MISSING),
        ("PATCH", "/mcp/configs", {}, (501, "UNIMPLEMENTED")),
        ("POST", "/connected_accounts/org_wide/authorize", {}, (403, "PERMISSION_DENIED")),
        ("GET", "/connected_accounts/auth?id=ca_1", None, (501, "UNIMPLEMENTED")),
    ],
)
def test_what_the_descriptors_do_not_allow_is_refused(
    scalekit: Scalekit, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert refused(scalekit.call(method, path, body)) == expected


def test_a_broken_rule_is_named_with_its_field(scalekit: Scalekit) -> None:
    answer = scalekit.call("POST", "/mcp/configs", {"name": "My tools"}).json()
    (violation,) = answer["details"][0]["validation_error_info"]["field_violations"]
    assert (violation["field"], violation["constraint"]) == ("config.name", "string.pattern")


def test_a_config_is_created_found_updated_and_deleted(scalekit: Scalekit) -> None:
    body = {"name": "assistant", "description": "One", "connection_tool_mappings": [MAIL]}
    answer = scalekit.call("POST", "/mcp/configs", body)
    assert answer.status_code == 201
    made = answer.json()["config"]
    assert made["connection_tool_mappings"][0]["provider"] == "GMAIL"
    found = scalekit.ok("GET", "/mcp/configs", **{"filter.name": "ASSISTANT"})
    assert found["configs"] == [made]
    path = f"/mcp/configs/{made['id']}"
    changed = scalekit.ok("PUT", path, {"connection_tool_mappings": [CALENDAR]})["config"]
    assert [m["connection_name"] for m in changed["connection_tool_mappings"]] == ["MY_CALENDAR"]
    assert changed["description"] == "One"
    assert scalekit.ok("GET", path)["config"] == changed
    assert scalekit.ok("DELETE", path) == {}
    assert refused(scalekit.call("DELETE", path)) == MISSING


def test_a_second_config_of_a_name_is_refused(scalekit: Scalekit) -> None:
    scalekit.config()
    again = scalekit.call("POST", "/mcp/configs", {"name": "assistant"})
    assert refused(again) == (409, "DUPLICATE_IDENTIFIER")


def test_lists_come_in_pages(scalekit: Scalekit) -> None:
    names = [f"c{number:02}" for number in range(12)]
    for name in names:
        scalekit.config(name, MAIL)
    seen: list[str] = []
    token = ""
    while len(seen) < 20:
        found = scalekit.ok("GET", "/mcp/configs", page_size="5", page_token=token)
        seen += [config["name"] for config in found["configs"]]
        assert found["total_size"] == 12
        token = found["next_page_token"]
        if not token:
            break
    assert seen == names
    assert len(scalekit.ok("GET", "/mcp/configs")["configs"]) == 10, "a default that truncates"


def test_an_environment_may_have_no_urls_for_configs(scalekit: Scalekit) -> None:
    scalekit.control("config", server_urls=False)
    assert scalekit.config()["mcp_server_url"] == ""


def test_ensuring_twice_gives_the_same_instance_and_another_name_another(
    scalekit: Scalekit,
) -> None:
    scalekit.config()
    first = scalekit.instance()
    assert scalekit.instance() == first
    others = [scalekit.instance(user="u2"), scalekit.instance(name="other")]
    assert len({first["id"], *(other["id"] for other in others)}) == 3
    assert len({first["url"], *(other["url"] for other in others)}) == 3
    found = scalekit.ok("GET", "/mcp/instances", **{"filter.user_identifier": "u1"})
    assert found["total_size"] == 2


def test_the_auth_state_names_each_connection_and_makes_accounts_only_for_links(
    scalekit: Scalekit,
) -> None:
    config = scalekit.config()
    path = f"/mcp/instances/{scalekit.instance()['id']}:get_auth_state"
    for line in scalekit.ok("POST", path)["connections"]:
        assert line["connected_account_id"] == line["authentication_link"] == ""
    lines = scalekit.ok("POST", path, include_auth_links="true")["connections"]
    assert [line["connection_name"] for line in lines] == ["MY_GMAIL", "MY_CALENDAR"]
    assert {line["connected_account_status"] for line in lines} == {"PENDING_AUTH"}
    assert all(line["authentication_link"].startswith(scalekit.base) for line in lines)
    listed = scalekit.ok(
        "POST", f"/mcp/configs/{config['id']}/connected_accounts", {"identifier": "u1"}
    )
    ids = [line["connected_account_id"] for line in listed["connected_accounts"]]
    assert ids == [line["connected_account_id"] for line in lines]


def test_an_account_is_made_once_listed_disconnected_and_deleted(scalekit: Scalekit) -> None:
    body = {"connector": "MY_GMAIL", "identifier": "u1", "connected_account": {}}
    assert scalekit.call("POST", "/connected_accounts", body).status_code == 201
    assert refused(scalekit.call("POST", "/connected_accounts", body)) == (409, "ALREADY_EXISTS")
    scalekit.connect()
    listed = scalekit.ok("GET", "/connected_accounts", identifier="u1")["connected_accounts"]
    assert [(each["connector"], each["status"]) for each in listed] == [("MY_GMAIL", "ACTIVE")]
    scalekit.ok("POST", f"/connected_accounts/{listed[0]['id']}:disconnect", {})
    assert scalekit.status() == "DISCONNECTED"
    scalekit.ok("POST", "/connected_accounts:delete", {"id": listed[0]["id"]})
    assert scalekit.ok("GET", "/connected_accounts")["total_size"] == 0


def test_the_catalogue_can_be_asked_for_names_alone(scalekit: Scalekit) -> None:
    names = scalekit.ok("GET", "/tools", **{"filter.provider": "GMAIL", "filter.summary": "true"})[
        "tool_names"
    ]
    assert "gmail_fetch_mails" in names
    assert all(name.startswith("gmail_") for name in names)
    (tool,) = scalekit.ok("GET", "/tools", **{"filter.tool_name": "gmail_fetch_mails"})["tools"]
    assert tool["definition"]["input_schema"]["type"] == "object"
    assert tool["definition"]["annotations"]["read_only_hint"] is True
    found = scalekit.ok("GET", "/tools", **{"filter.query": "calendar create event"})["tools"]
    assert [each["definition"]["name"] for each in found] == ["googlecalendar_create_event"]


def test_a_search_tells_which_accounts_could_run_a_tool(scalekit: Scalekit) -> None:
    def readiness(**asked: str) -> list[str]:
        body = {"query": "fetch mails", "top_k": 1, **asked}
        (tool,) = scalekit.ok("POST", "/tools:search", body)["tools"]
        assert tool["name"] == "gmail_fetch_mails"
        return [each["readiness_state"].rpartition("STATE_")[2] for each in tool["connections"]]

    scalekit.link()
    assert readiness() == []
    assert readiness(identifier="u2") == []
    assert readiness(identifier="u1") == ["NEEDS_CONNECTION"]
    scalekit.connect()
    assert readiness(identifier="u1") == ["READY"]


def test_connections_are_listed_as_the_dashboard_has_them(scalekit: Scalekit) -> None:
    made = scalekit.control("connection", name="MAIL_2", provider="GMAIL", enabled=False)
    listed = scalekit.ok("GET", "/connections/app")["connections"]
    assert {(each["key_id"], each["enabled"]) for each in listed} == {
        ("MY_GMAIL", True),
        ("MY_CALENDAR", True),
        ("MAIL_2", False),
    }
    one = scalekit.ok("GET", f"/connections/{made['id']}")["connection"]
    assert one["oauth_config"]["redirect_uri"].endswith(f"/sso/v1/oauth/{made['id']}/callback")
    mapping = {"connection_name": "MAIL_2"}
    config = {"name": "a", "connection_tool_mappings": [mapping]}
    assert refused(scalekit.call("POST", "/mcp/configs", config)) == INVALID


def test_a_fault_runs_out_and_can_lose_the_answer_of_what_was_done(scalekit: Scalekit) -> None:
    limited = {"path": "/mcp/configs", "status": 429, "retry_after": 2}
    lost = {"path": "/mcp/configs", "method": "POST", "status": 503, "after": True}
    scalekit.control("config", fail=[limited, lost])
    first = scalekit.call("GET", "/mcp/configs")
    assert refused(first) == (429, "RATE_LIMITED")
    assert first.headers["retry-after"] == "2"
    assert refused(scalekit.call("POST", "/mcp/configs", {"name": "lost"})) == (503, "UNAVAILABLE")
    assert [c["name"] for c in scalekit.ok("GET", "/mcp/configs")["configs"]] == ["lost"]
    assert scalekit.http.post("/_test/config", json={"fial": []}).status_code == 400


def test_the_log_keeps_what_came(scalekit: Scalekit) -> None:
    scalekit.http.delete("/_test/log")
    scalekit.call("GET", "/mcp/configs", page_size="3")
    (row,) = scalekit.http.get("/_test/log").json()
    assert (row["method"], row["path"], row["query"], row["status"]) == (
        "GET",
        "/api/v1/mcp/configs",
        "page_size=3",
        200,
    )
