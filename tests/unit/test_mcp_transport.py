"""The HTTP around a message: methods, origins, media types, sizes, and what every answer has."""

from __future__ import annotations

import json

import pytest

from tests.unit.mcp_support import MODERN, Answer, World, message
from valet.mcp.transport import MAX_BODY, HttpRequest, HttpResponse, not_found

LIST = message("tools/list")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "post"])
def test_any_method_but_post_gets_405_and_is_told_which_one_is_right(method: str) -> None:
    answer = World().send(b"", method=method)
    assert answer.status == 405
    assert answer.http.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "https://app.example.evil",
        "https://app.example:1.evil",
        "https://app.example:8443",
        "https://app.example/",
        "https://evil.app.example",
        "http://app.example",
        "https://app.example@evil.example",
        "https://app.example, https://evil.example",
        "HTTPS://APP.EXAMPLE",
    ],
)
def test_a_foreign_origin_is_refused_before_anything_runs(origin: str) -> None:
    world = World()
    answer = world.send(message("tools/call", {"name": "echo"}), origin=origin)
    assert answer.fault == (403, -32600)
    assert not world.toolbox.calls


def test_an_allowed_origin_and_an_absent_one_are_served() -> None:
    assert World().send(LIST, origin="https://app.example").result
    assert World().send(LIST).result


def test_no_origin_is_allowed_unless_it_is_named() -> None:
    assert World(origins=frozenset()).send(LIST, origin="https://app.example").status == 403


def test_no_answer_invites_another_origin() -> None:
    for answer in (
        World().send(LIST, origin="https://app.example"),
        World().send(b"", method="OPTIONS", origin="https://app.example"),
    ):
        assert not [name for name in answer.http.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/jsonp",
        "application/json-patch+json",
        "text/plain, application/json",
        "application/json; charset=utf-16",
        "application/json; charset = utf-16",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(content_type: str) -> None:
    answer = World().send(LIST, **{"content-type": content_type})
    assert answer.fault == (415, -32600)


def test_a_body_without_any_content_type_is_refused() -> None:
    request = HttpRequest("POST", {}, json.dumps(LIST).encode())
    refused = World().server.precheck(request)
    assert refused is not None
    assert refused.status == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'],
)
def test_json_in_utf_8_is_taken_however_it_is_spelled(content_type: str) -> None:
    assert World().send(LIST, **{"content-type": content_type}).result


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "text/html", "", "application/json;q=0, text/event-stream"]
)
def test_a_client_that_takes_no_json_is_refused(accept: str) -> None:
    assert World().send(LIST, accept=accept).fault == (406, -32600)


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "application/*;q=0.5", "text/event-stream, */*; q=0.1"]
)
def test_a_client_that_takes_json_among_others_is_served(accept: str) -> None:
    answer = World().send(LIST, accept=accept)
    assert answer.result
    assert answer.http.headers["Content-Type"] == "application/json"


def test_a_body_above_the_cap_is_refused_unread() -> None:
    padding = " " * (MAX_BODY - len(json.dumps(LIST)))
    assert World().send(json.dumps(LIST) + padding).result
    assert World().send(json.dumps(LIST) + padding + " ").fault == (413, -32700)


def test_every_answer_stays_out_of_caches_and_referrers() -> None:
    world = World()
    answers = [
        world.send(LIST),
        world.send(b"", method="GET"),
        world.send(b"{"),
        world.send({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        world.modern("tools/list"),
        Answer(not_found()),
    ]
    for answer in answers:
        assert answer.http.headers["Cache-Control"] == "no-store"
        assert answer.http.headers["Referrer-Policy"] == "no-referrer"
        assert answer.http.headers["X-Content-Type-Options"] == "nosniff"


def test_no_session_is_ever_opened_and_a_claimed_one_changes_nothing() -> None:
    plain = World().legacy("tools/list")
    claimed = World().send(
        LIST, mcp_protocol_version="2025-11-25", mcp_session_id="s1", last_event_id="7"
    )
    assert claimed.http == plain.http
    opened = World().legacy("initialize", {"protocolVersion": "2025-11-25"})
    assert not [name for name in opened.http.headers if "session" in name.lower()]


def test_a_bad_url_gets_one_same_404_that_no_request_can_colour() -> None:
    assert not_found() == not_found()
    answer = Answer(not_found())
    assert answer.fault == (404, -32600)
    assert answer.json["id"] is None


def test_the_early_check_refuses_what_handling_would_and_passes_the_rest() -> None:
    world = World()
    good = HttpRequest("POST", {"content-type": "application/json"}, json.dumps(LIST).encode())
    assert world.server.precheck(good) is None
    bad = HttpRequest("GET", {}, b"")
    refused = world.server.precheck(bad)
    assert isinstance(refused, HttpResponse)
    assert refused == world.answer(bad)


@pytest.mark.parametrize("version", [None, "2025-03-26", "2025-06-18", "2025-11-25", MODERN])
def test_a_notification_is_taken_without_a_body_in_every_revision(version: str | None) -> None:
    headers = {} if version is None else {"mcp_protocol_version": version}
    for method in ("notifications/initialized", "notifications/cancelled", "x/y"):
        answer = World().send({"jsonrpc": "2.0", "method": method}, **headers)
        assert (answer.status, answer.http.body) == (202, "")
        assert "Content-Type" not in answer.http.headers
