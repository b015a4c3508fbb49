"""Requests that are wrong in themselves: a stable code, a sentence that helps, nothing done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api import problem
from tests.e2e.consent import GMAIL, connect, start
from tests.e2e.people import CONFIG, User

if TYPE_CHECKING:
    from tests.e2e.api import Api

_MAIL = [{"connection": GMAIL, "tools": ["gmail_fetch_mails"]}]
_LONG = "a" * 300


@dataclass(frozen=True)
class Case:
    """A request's body (as JSON, or as bytes that are none) and how it is refused."""

    what: str
    body: object
    status: int
    code: str
    says: str = ""


_ENSURE = [
    Case(
        "a near miss",
        {"config": "email-calender-assistant"},
        400,
        "unknown_config",
        f"did you mean '{CONFIG}'?",
    ),
    Case("no near miss", {"config": "zzzzzzzzzz"}, 400, "unknown_config", CONFIG),
    Case("no name", {}, 400, "invalid_request", "config: Field required"),
    Case("an empty name", {"config": ""}, 400, "invalid_request", "config: "),
    Case("a long name", {"config": _LONG}, 400, "unknown_config"),
    Case("an endless name", {"config": "a" * 5000}, 400, "invalid_request"),
    Case("control characters", {"config": "a\r\nx\0\x1b[31m"}, 400, "unknown_config"),
    Case(
        "a number", {"config": 5}, 400, "invalid_request", "config: Input should be a valid string"
    ),
    Case("null", {"config": None}, 400, "invalid_request"),
    Case("an unknown field", {"config": CONFIG, "admin": True}, 400, "invalid_request", "admin: "),
    Case("a list", [CONFIG], 400, "invalid_request"),
    Case("no JSON", b"{config", 400, "bad_json"),
    Case("a key twice", b'{"config": "a", "config": "b"}', 400, "bad_json"),
    Case("no number", b'{"config": NaN}', 400, "bad_json"),
    Case("half a surrogate pair", b'{"config": "\\ud800"}', 400, "bad_json"),
    Case("deep nesting", b"[" * 20_000 + b"]" * 20_000, 400, "bad_json"),
    Case(
        "deep nesting in an object", b'{"config":' * 9_000 + b"1" + b"}" * 9_000, 413, "too_large"
    ),
    Case("two megabytes", b'{"config": "' + b"a" * 2_000_000 + b'"}', 413, "too_large"),
]

_PUT = [
    Case(
        "a near miss",
        [{"connection": GMAIL, "tools": ["gmail_fetch_mail"]}],
        400,
        "unknown_tool",
        "did you mean 'gmail_fetch_mails'?",
    ),
    Case(
        "an unknown connection",
        [{"connection": "MY_GMAI"}],
        400,
        "unknown_connection",
        "did you mean 'MY_GMAIL'?",
    ),
    Case(
        "another connector's tool",
        [{"connection": "MY_CALENDAR", "tools": ["gmail_fetch_mails"]}],
        400,
        "unknown_tool",
    ),
    Case("no connections", [], 400, "no_connections"),
    Case("no tools", [{"connection": GMAIL, "tools": []}], 400, "empty_tools"),
    Case("a connection twice", _MAIL * 2, 400, "duplicate_connection"),
    Case(
        "a tool twice",
        [{"connection": GMAIL, "tools": ["gmail_fetch_mails"] * 2}],
        400,
        "duplicate_tool",
    ),
    Case("a string for a list", "MY_GMAIL", 400, "invalid_request"),
    Case(
        "a misspelt field",
        [{"connection": GMAIL, "tool": []}],
        400,
        "invalid_request",
        "connections.0.tool: ",
    ),
]


def _sent(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize("case", _ENSURE, ids=lambda case: case.what)
def test_a_wrong_ensure_is_refused_and_makes_nothing(case: Case, user: User) -> None:
    answer = user.call("POST", "/instances", content=_sent(case.body))
    assert problem(answer) == (case.status, case.code)
    assert case.says in answer.json()["detail"]
    assert answer.json()["detail"].isprintable()
    assert len(answer.content) < 2000
    assert user.call("GET", "/instances").json() == {"instances": []}


@pytest.mark.parametrize("case", _PUT, ids=lambda case: case.what)
def test_a_wrong_config_is_refused_and_not_declared(case: Case, api: Api) -> None:
    answer = api.as_service("PUT", "/configs/e2e-refused", {"connections": case.body})
    assert problem(answer) == (case.status, case.code)
    assert case.says in answer.json()["detail"]
    assert api.as_service("GET", "/configs/e2e-refused").status_code == 404


@pytest.mark.parametrize("name", ["Upper", "-dash", "%C3%A4", "a%20b", "a%00b", "a%0Ab", _LONG])
def test_a_bad_config_name_is_refused(name: str, api: Api) -> None:
    answer = api.as_service("PUT", f"/configs/{name}", {"connections": _MAIL})
    assert problem(answer) == (400, "bad_name")
    assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize("user_id", ["a" * 257, "a%00b", "a%0Ab", "%7F"])
def test_a_bad_user_name_is_refused(user_id: str, api: Api) -> None:
    answer = api.as_service("POST", f"/users/{user_id}/instances", {"config": CONFIG})
    assert problem(answer) == (400, "bad_user")


def test_user_names_are_taken_to_the_byte(api: Api) -> None:
    names = ["a%20b", "a%23b", "A", "a", "%C3%A4", "a%CC%88", "%E2%80%8Ba"]
    ids = set()
    for name in names:
        path = f"/users/e2e-{name}/instances"
        made = api.as_service("POST", path, {"config": CONFIG}).json()
        assert [i["id"] for i in api.as_service("GET", path).json()["instances"]] == [made["id"]]
        ids.add(made["id"])
    assert len(ids) == len(names)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"grace_seconds": -1}, "invalid_request"),
        ({"grace_seconds": 86_401}, "invalid_request"),
        ({"grace_seconds": "60"}, "invalid_request"),
        ({"grace_seconds": 1.5}, "invalid_request"),
        ({"grace": 60}, "invalid_request"),
    ],
)
def test_a_wrong_rotation_is_refused_and_keeps_the_url(
    body: dict[str, object], code: str, user: User
) -> None:
    made = user.ensure()
    answer = user.call("POST", f"/instances/{made['id']}/rotate", body)
    assert problem(answer) == (400, code)
    assert user.ensure()["url"] == made["url"]


@pytest.mark.parametrize(
    "instance", ["x", "ins_", f"ins_{'G' * 32}", f"ins_{'0' * 3000}", "a%00", "..", "%2e%2e%2f"]
)
def test_an_instance_that_cannot_be_is_not_found(instance: str, user: User) -> None:
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = user.call(method, f"/instances/{instance}{suffix}")
        assert answer.status_code == 404, (method, answer.text)


def test_what_does_not_exist_is_not_found(user: User, api: Api) -> None:
    assert problem(api.as_service("GET", "/configs/e2e-none")) == (404, "not_found")
    assert problem(api.as_service("DELETE", "/configs/e2e-none")) == (404, "not_found")
    assert problem(user.call("DELETE", "/connections/NONE")) == (404, "not_found")
    assert problem(user.call("DELETE", f"/connections/{_LONG}")) == (404, "not_found")
    assert problem(user.verify("none")) == (404, "authorization_unknown")
    assert problem(user.verify("a" * 3000)) == (404, "authorization_unknown")


def test_an_unknown_connector_is_answered_with_the_nearest(api: Api) -> None:
    answer = api.as_service("GET", "/tools?connector=gmial")
    assert problem(answer) == (400, "unknown_connector")
    assert "did you mean 'gmail'?" in answer.json()["detail"]
    assert problem(api.as_service("GET", "/tools?connector=gmail&connector=x")) == (
        400,
        "bad_query",
    )


def test_a_verification_that_names_a_user_is_refused_and_not_spent(user: User, api: Api) -> None:
    authorization = start(api, user.ensure()["connect_url"]).allow().authorization()
    wrong: list[object] = [{"user": user.id}, {"replace_account": "yes"}, []]
    for body in wrong:
        assert problem(user.verify(authorization, body)) == (400, "invalid_request")
    assert user.verify(authorization, {}).status_code == 200


def test_disconnecting_twice_says_that_nothing_is_connected(user: User) -> None:
    connect(user)
    assert user.call("DELETE", f"/connections/{GMAIL}").status_code == 200
    assert problem(user.call("DELETE", f"/connections/{GMAIL}")) == (404, "not_found")


def test_a_config_in_use_that_is_deleted_ends_its_servers(
    user: User, api: Api, new_config: object
) -> None:
    assert callable(new_config)
    config = new_config(gmail=["gmail_fetch_mails"])
    made = user.ensure(config)
    assert api.as_service("DELETE", f"/configs/{config}").status_code == 200
    assert problem(user.call("GET", f"/instances/{made['id']}"))[0] == 404
    ticket = made["connect_url"].removeprefix(api.url)
    assert problem(api.send("GET", ticket)) == (410, "link_expired")
