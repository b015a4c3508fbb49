"""What strangers send: always an answer that says what is wrong, never a crash, nothing written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.test_routes import all_routes, event_for
from tests.world import CONFIG, GMAIL

if TYPE_CHECKING:
    from tests.functions.support import Bundle

LONG = "x" * 300

# Bodies that no route takes, as they arrive: text, or base64 as API Gateway makes of binary.
NOT_JSON: dict[str, dict[str, Any]] = {
    "no JSON": {"text": "config=email"},
    "half of it": {"text": '{"config": "x"'},
    "two values": {"text": "{} {}"},
    "NaN": {"text": '{"config": NaN}'},
    "infinity": {"text": '{"config": -Infinity}'},
    "number out of range": {"text": '{"config": 1e999}'},
    "integer of 5000 digits": {"text": '{"config": ' + "9" * 5000 + "}"},
    "duplicate keys": {"text": '{"config": "x", "config": "y"}'},
    "lone surrogate": {"text": '{"config": "\\ud800"}'},
    "lone surrogate as key": {"text": '{"\\ud800": 1}'},
    "raw control character": {"text": '{"config": "a\x00b"}'},
    "depth 65": {"text": '{"config": ' + "[" * 65 + "]" * 65 + "}"},
    "depth 30000": {"text": "[" * 30_000},
    "invalid UTF-8": {"raw": b'{"config": "\xff"}'},
    "byte order mark": {"raw": b"\xef\xbb\xbf{}"},
    "UTF-16": {"raw": '{"config": "x"}'.encode("utf-16")},
}
NOT_OURS: dict[str, Any] = {
    "null": "null",
    "array": "[]",
    "array of objects": '[{"config": "x"}]',
    "string": '"config"',
    "number": "1",
    "true": "true",
}
TAKES_A_BODY = sorted(
    route for route in all_routes() if route.startswith(("PUT", "POST /instances", "POST /auth"))
)


def refused(bundle: Bundle, route: str, **body: Any) -> Any:
    """The answer to a body, which must leave everything as it was."""
    function, caller = all_routes()[route]
    event = event_for(bundle, route)
    event.pop("body", None)
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    who = {"jwt": events.jwt(), "iam": events.iam(), "none": None}[caller]
    answer = bundle.call(function, route, **event, **body, caller=who)
    assert bundle.world.table.items == before
    assert not bundle.world.provider.calls
    return answer


@pytest.mark.parametrize("route", TAKES_A_BODY)
@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_strict_json_is_refused(bundle: Bundle, route: str, name: str) -> None:
    answer = refused(bundle, route, **NOT_JSON[name])
    assert (answer.status, answer.code) == (400, "bad_json")


@pytest.mark.parametrize("route", TAKES_A_BODY)
@pytest.mark.parametrize("name", NOT_OURS)
def test_json_that_is_no_object_is_refused(bundle: Bundle, route: str, name: str) -> None:
    answer = refused(bundle, route, text=NOT_OURS[name])
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("route", TAKES_A_BODY)
@pytest.mark.parametrize("size", [64 * 1024 + 1, 2_000_000])
@pytest.mark.parametrize("form", ["text", "raw"])
def test_a_body_beyond_the_limit_is_refused_by_its_size(
    bundle: Bundle, route: str, size: int, form: str
) -> None:
    text = '{"config": "' + "x" * size + '"}'
    answer = refused(bundle, route, **{form: text if form == "text" else text.encode()})
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("route", TAKES_A_BODY)
@pytest.mark.parametrize("text", ["a", "!!!!", "é" * 4, "YQ", "Y Q ="])
def test_a_body_that_is_not_the_base64_it_claims_is_refused(
    bundle: Bundle, route: str, text: str
) -> None:
    function, caller = all_routes()[route]
    who = {"jwt": events.jwt(), "iam": events.iam()}[caller]
    event = events.http(route, **event_for(bundle, route), caller=who)
    event |= {"body": text, "isBase64Encoded": True}
    answer = bundle.send(function, event)
    assert (answer.status, answer.code) == (400, "bad_json")


WRONG_INSTANCES = {
    "nothing": {},
    "wrong type": {"config": 1},
    "null": {"config": None},
    "list": {"config": [CONFIG]},
    "empty": {"config": ""},
    "unknown field": {"config": CONFIG, "connections": []},
    "mass assignment": {"config": CONFIG, "status": "ACTIVE"},
    "too long": {"config": "x" * 2001},
    "key of 300": {"config": CONFIG, LONG: 1},
}
UNKNOWN_CONFIGS = {
    "300 characters": LONG,
    "control characters": "email\x00\x1b[31m",
    "key delimiter": "a#b",
    "other script": "\u0435mail-calendar-assistant",
    "path": "../configs",
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("name", WRONG_INSTANCES)
def test_ensure_names_the_field_that_is_wrong_and_not_its_value(bundle: Bundle, name: str) -> None:
    answer = refused(bundle, "POST /instances", body=WRONG_INSTANCES[name])
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert "ACTIVE" not in answer.body


@pytest.mark.parametrize("name", UNKNOWN_CONFIGS)
def test_a_config_name_that_cannot_exist_is_just_unknown(bundle: Bundle, name: str) -> None:
    answer = refused(bundle, "POST /instances", body={"config": UNKNOWN_CONFIGS[name]})
    assert (answer.status, answer.code) == (400, "unknown_config")
    assert not any(ord(ch) < 32 for ch in answer.json["detail"])


@pytest.mark.parametrize(
    "grace", [-1, 86_401, 1.5, "60", True, None, 10**18], ids=lambda value: repr(value)
)
def test_a_grace_that_is_not_0_to_24_hours_is_refused(bundle: Bundle, grace: object) -> None:
    answer = refused(bundle, "POST /instances/{id}/rotate", body={"grace_seconds": grace})
    assert (answer.status, answer.code) == (400, "invalid_request")


WRONG_CONFIGS: dict[str, Any] = {
    "no connections": ({"connections": []}, "no_connections"),
    "connections missing": ({"description": "x"}, "invalid_request"),
    "connections of the wrong type": ({"connections": {GMAIL: None}}, "invalid_request"),
    "name in the body": ({"name": "x", "connections": []}, "invalid_request"),
    "tools of the wrong type": (
        {"connections": [{"connection": GMAIL, "tools": "gmail_fetch_mails"}]},
        "invalid_request",
    ),
    "tools with a number": (
        {"connections": [{"connection": GMAIL, "tools": [1]}]},
        "invalid_request",
    ),
    "no tools": ({"connections": [{"connection": GMAIL, "tools": []}]}, "empty_tools"),
    "unknown tool": (
        {"connections": [{"connection": GMAIL, "tools": ["gmail_fetch_mail"]}]},
        "unknown_tool",
    ),
    "unknown tool of 300": (
        {"connections": [{"connection": GMAIL, "tools": [LONG]}]},
        "unknown_tool",
    ),
    "unknown connection": ({"connections": [{"connection": "MY_GMIAL"}]}, "unknown_connection"),
    "connection of 300": ({"connections": [{"connection": LONG}]}, "unknown_connection"),
    "connection twice": (
        {"connections": [{"connection": GMAIL}, {"connection": GMAIL}]},
        "duplicate_connection",
    ),
    "tool twice": (
        {"connections": [{"connection": GMAIL, "tools": ["gmail_fetch_mails"] * 2}]},
        "duplicate_tool",
    ),
    "26 connections": (
        {"connections": [{"connection": GMAIL}] * 26},
        "too_many_connections",
    ),
    "long description": (
        {"description": "x" * 1001, "connections": [{"connection": GMAIL}]},
        "description_too_long",
    ),
}


@pytest.mark.parametrize("name", WRONG_CONFIGS)
def test_a_config_that_makes_no_sense_is_refused_with_its_own_code(
    bundle: Bundle, name: str
) -> None:
    body, code = WRONG_CONFIGS[name]
    answer = refused(bundle, "PUT /configs/{name}", body=body)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("name", ["", " ", "A", "a b", "-a", "a/b", "é", "a\x00", "x" * 101, LONG])
def test_a_bad_config_name_is_refused(bundle: Bundle, name: str) -> None:
    answer = bundle.call(
        "create_config",
        "PUT /configs/{name}",
        path={"name": name},
        caller=events.iam(),
        body={"connections": [{"connection": GMAIL}]},
    )
    assert (answer.status, answer.code) == (400, "bad_name")


ODD_SEGMENTS = {
    "300 characters": LONG,
    "beyond any key": "x" * 5000,
    "control characters": "a\x00\r\nb",
    "dots": "..",
    "key delimiter": "INSTANCE#ins_00",
    "not ASCII": "\u00fc" * 1200,
    "lone surrogate": "\ud800",
    "blank": " ",
}
TAKES_A_PATH = sorted(
    route for route in all_routes() if "{" in route and not route.startswith("PUT")
)


@pytest.mark.parametrize("route", TAKES_A_PATH)
@pytest.mark.parametrize("name", ODD_SEGMENTS)
def test_an_odd_path_segment_is_answered_and_changes_nothing(
    bundle: Bundle, route: str, name: str
) -> None:
    function, caller = all_routes()[route]
    who = {"jwt": events.jwt(), "iam": events.iam(), "none": None}[caller]
    names = [part[1:-1] for part in route.replace("/", " ").split() if part.startswith("{")]
    path = {part: "alice" if part == "user" else ODD_SEGMENTS[name] for part in names}
    event = {"path": path, "caller": who, "headers": {"sec-fetch-site": "same-origin"}}
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    if route == "GET /users/{user}/instances" or route == "GET /users/{user}/connections":
        path["user"] = ODD_SEGMENTS[name]
        answer = bundle.call(function, route, **event)
        assert answer.status in (200, 400)
        return
    body = {"config": CONFIG} if route.endswith("/instances") else None
    if body:
        path["user"] = ODD_SEGMENTS[name]
    answer = bundle.call(function, route, **event, body=body)
    if answer.status == 200:
        return  # a user may be called so
    assert answer.status in (400, 404, 410)
    assert answer.code
    assert bundle.world.table.items == before


ODD_QUERIES = ["%ff", "a=%ff", "&" * 100, "a=1&" * 60, "=", "%00", "connector=" + "x" * 8000]


@pytest.mark.parametrize("query", ODD_QUERIES)
def test_an_odd_query_is_answered(bundle: Bundle, query: str) -> None:
    tools = bundle.call("create_config", "GET /tools", query=query, caller=events.iam())
    assert tools.status in (200, 400)
    back = bundle.consent().back(query, headers={"accept": "application/json"})
    assert back.status == 400
    assert back.code in ("bad_query", "state_invalid")


@pytest.mark.parametrize(
    "query",
    ["connector=gmial", "connector=", "connector=gmail&connector=gmail", "connector=../gmail"],
)
def test_a_catalogue_of_no_connector_is_refused(bundle: Bundle, query: str) -> None:
    answer = bundle.call("create_config", "GET /tools", query=query, caller=events.iam())
    assert answer.status == 400
    assert answer.code in ("bad_query", "unknown_connector")


DIRECT: dict[str, Any] = {
    "empty": {},
    "null": None,
    "list": [],
    "string": "requestContext",
    "number": 7,
    "no user": {"config": CONFIG},
    "no config": {"user": "alice"},
    "unknown field": {"config": CONFIG, "user": "alice", "grace": 1},
    "unknown field, not Unicode": {"config": CONFIG, "user": "alice", "\ud800": 1},
    "wrong types": {"config": [CONFIG], "user": 7},
    "unknown config": {"config": "email-calendar-asistant", "user": "alice"},
    "config, not Unicode": {"config": "\ud800", "user": "alice"},
    "empty user": {"config": CONFIG, "user": ""},
    "user with a control character": {"config": CONFIG, "user": "a\nb"},
    "user, not Unicode": {"config": CONFIG, "user": "\ud800"},
    "long user": {"config": CONFIG, "user": "x" * 257},
}


@pytest.mark.parametrize("name", DIRECT)
def test_a_wrong_direct_call_is_answered_with_a_problem(bundle: Bundle, name: str) -> None:
    before = dict(bundle.world.table.items)
    answer = bundle.invoke("ensure_instance", DIRECT[name])
    assert set(answer) == {"type", "title", "status", "code", "detail"}
    assert answer["status"] == 400
    json.dumps(answer).encode()
    assert bundle.world.table.items == before


def test_an_event_of_another_source_is_refused_by_every_function(bundle: Bundle) -> None:
    """S3, SNS, a schedule: nothing that is no request gets as far as a route."""
    event = {"Records": [{"eventSource": "aws:sns", "Sns": {"Message": "{}"}}]}
    assert bundle.send("create_config", event).status == 404
    assert bundle.send("oauth_callback", event).status == 404
    assert bundle.send("mcp_server", event).status == 404
    assert bundle.invoke("ensure_instance", event)["status"] == 400


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml;q=0.9,*/*"])
def test_a_browser_gets_a_page_where_others_get_a_problem(bundle: Bundle, accept: str) -> None:
    path = {"ticket": "unknown"}
    page = bundle.call(
        "oauth_callback", "GET /connect/{ticket}", path=path, headers={"accept": accept}
    )
    assert page.status == 410
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "This link has expired" in page.body
    told = bundle.call("oauth_callback", "GET /connect/{ticket}", path=path)
    assert (told.status, told.code) == (410, "link_expired")
