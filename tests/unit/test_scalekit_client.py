"""Calling Scalekit: one token, repeats where they are safe, and errors that say what to do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from tests.scalekit_support import ENV, SECRET, FakeSecret, Wire, query, refusal, said
from valet.errors import Misconfigured
from valet.scalekit.credentials import CredentialsSecret
from valet.scalekit.errors import (
    ScalekitAnswer,
    ScalekitBusy,
    ScalekitCredentials,
    ScalekitRefused,
    ScalekitUnavailable,
)
from valet.scalekit.transport import Answer, NoAnswer


def get(wire: Wire) -> object:
    return wire.client().call("listing things", "GET", "/things", repeatable=True)


def post(wire: Wire) -> object:
    return wire.client().call("making a thing", "POST", "/things", body={"a": 1})


def test_a_call_carries_a_token_that_the_clients_credentials_fetched() -> None:
    wire = Wire([said({"thing": 1, "not_known_to_us": 2})])
    assert get(wire) == {"thing": 1, "not_known_to_us": 2}
    asked, call = wire.calls
    assert (asked.method, asked.url) == ("POST", f"{ENV}/oauth/token")
    assert asked.body
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["skc_1"],
        "client_secret": ["canary-secret"],
    }
    assert (call.method, call.url) == ("GET", f"{ENV}/things")
    assert call.headers["authorization"] == "Bearer at-1"
    assert "canary" not in repr(asked)
    assert "at-1" not in repr(call)


def test_one_token_serves_until_a_minute_before_its_end() -> None:
    wire = Wire([said({}) for _ in range(4)])
    client = wire.client()
    for wire.seconds in (0.0, 1000.0, 3539.0, 3540.0):
        client.call("listing things", "GET", "/things")
    assert wire.bearers == ["Bearer at-1"] * 3 + ["Bearer at-2"]


def test_callers_at_once_share_one_fetch() -> None:
    everyone = threading.Barrier(8)
    wire = Wire([said({}) for _ in range(8)])
    client = wire.client()

    def call(_: int) -> None:
        everyone.wait()
        client.call("listing things", "GET", "/things")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    assert wire.tokens == 1


def test_a_token_that_is_refused_is_fetched_anew_once() -> None:
    wire = Wire([said({}, 401), said({"ok": True})])
    assert post(wire) == {"ok": True}
    assert wire.bearers == ["Bearer at-1", "Bearer at-2"]


def test_a_second_refusal_is_for_an_operator() -> None:
    with pytest.raises(ScalekitCredentials, match="SCALEKIT_CLIENT_SECRET"):
        post(Wire([said({}, 401), said({}, 401)]))


def test_a_secret_that_was_just_replaced_is_read_past_the_cache() -> None:
    secret = FakeSecret(newest={**SECRET, "SCALEKIT_CLIENT_ID": "skc_2"})
    wire = Wire([said({})], [said({"error": "invalid_client"}, 401)], secret=secret)
    get(wire)
    forms = [call.body or b"" for call in wire.calls if call.url.endswith("/oauth/token")]
    assert [b"skc_2" in form for form in forms] == [False, True]


def test_credentials_that_stay_refused_name_what_to_put_in() -> None:
    refused = [said({"error": "invalid_client"}, 401) for _ in range(2)]
    with pytest.raises(ScalekitCredentials, match="operator"):
        get(Wire(token_answers=[*refused]))


@pytest.mark.parametrize("failure", [NoAnswer(), said({}, 500), said({}, 502), said({}, 503)])
def test_what_is_the_same_twice_is_repeated_after_a_failure_without_a_verdict(
    failure: Answer | NoAnswer,
) -> None:
    wire = Wire([failure, failure, said({"ok": True})])
    assert get(wire) == {"ok": True}
    assert wire.paused == [0.3, 0.6]


@pytest.mark.parametrize("failure", [NoAnswer(), said({}, 500), said({}, 503)])
def test_what_may_have_happened_already_is_not_repeated(failure: Answer | NoAnswer) -> None:
    wire = Wire([failure])
    with pytest.raises(ScalekitUnavailable, match="try again in a minute"):
        post(wire)
    assert len(wire.sent) == 1


def test_a_tool_that_failed_at_its_provider_is_a_verdict_even_as_a_500() -> None:
    wire = Wire([refusal(500, "TOOL_ERROR")])
    with pytest.raises(ScalekitRefused) as refused:
        get(wire)
    assert (refused.value.http_status, refused.value.error_code) == (500, "TOOL_ERROR")


def test_it_gives_up_after_three_attempts() -> None:
    wire = Wire([NoAnswer() for _ in range(3)])
    with pytest.raises(ScalekitUnavailable):
        get(wire)


def test_a_limit_is_waited_for_when_the_time_allows() -> None:
    """Nothing was carried out, so that even a creation may be repeated."""
    wire = Wire([said({}, 429, retry_after="3"), said({"ok": True})])
    assert post(wire) == {"ok": True}
    assert wire.paused == [3.0]


@pytest.mark.parametrize("later", ["60", "12"])
def test_a_limit_that_lasts_longer_than_the_caller_is_told(later: str) -> None:
    wire = Wire([said({}, 429, retry_after=later)])
    with pytest.raises(ScalekitBusy, match="in a minute"):
        post(wire)
    assert wire.paused == []


@pytest.mark.parametrize("header", [None, "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", ""])
def test_a_limit_without_seconds_is_waited_for_a_moment(header: str | None) -> None:
    wire = Wire([said({}, 429, retry_after=header), said({})])
    post(wire)
    assert wire.paused == [0.3]


def test_a_call_ends_within_its_budget_whatever_happens() -> None:
    wire = Wire()

    def hang() -> Answer:
        wire.seconds += 8
        raise NoAnswer

    wire.answers = [hang, hang]
    with pytest.raises(ScalekitUnavailable):
        get(wire)
    assert wire.seconds < 18


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404, "RESOURCE_NOT_FOUND"),
        said({"error_code": "RESOURCE_NOT_FOUND", "message": "prose-canary"}, 404),
    ],
)
def test_a_refusal_passes_its_code_and_none_of_its_words(answer: Answer) -> None:
    with pytest.raises(ScalekitRefused) as refused:
        get(Wire([answer]))
    assert refused.value.not_found
    assert refused.value.error_code == "RESOURCE_NOT_FOUND"
    assert "404 RESOURCE_NOT_FOUND" in str(refused.value)
    assert "canary" not in str(refused.value)
    assert refused.value.code == "scalekit_refused"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error_code": "prose here"}', b"{" * 9999])
def test_an_error_of_another_form_is_told_by_its_status(body: bytes) -> None:
    with pytest.raises(ScalekitRefused, match=r"\(400\)") as refused:
        get(Wire([Answer(400, body)]))
    assert refused.value.error_code is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"1"])
def test_a_success_that_is_no_object_is_an_error(body: bytes) -> None:
    with pytest.raises(ScalekitAnswer, match="listing things lacks 'a JSON object'"):
        get(Wire([Answer(200, body)]))


@pytest.mark.parametrize("lacks", ["access_token", "expires_in"])
def test_a_token_answer_that_lacks_something_says_what(lacks: str) -> None:
    whole = {"access_token": "at", "expires_in": 60}
    whole.pop(lacks)
    with pytest.raises(ScalekitAnswer, match=lacks):
        get(Wire(token_answers=[said(whole)]))


def test_pages_are_followed_to_their_end() -> None:
    wire = Wire(
        [
            said({"things": [{"n": 1}, {"n": 2}], "next_page_token": "p2"}),
            said({"next_page_token": "p3"}),  # protobuf leaves an empty list out
            said({"things": [{"n": 3}], "next_page_token": ""}),
        ]
    )
    found = wire.client().pages("listing things", "/things", "things", {"page_size": "2"})
    assert [each["n"] for each in found] == [1, 2, 3]
    assert [query(call).get("page_token") for call in wire.sent] == [None, ["p2"], ["p3"]]


def test_pages_that_name_themselves_as_the_next_end() -> None:
    wire = Wire([said({"things": [], "next_page_token": "p2"}) for _ in range(2)])
    assert list(wire.client().pages("listing things", "/things", "things", {})) == []


@pytest.mark.parametrize("things", [{}, {"a": 1}, [1], "x"])
def test_a_list_that_is_none_is_an_error(things: object) -> None:
    wire = Wire([said({"things": things})])
    if not things:
        assert list(wire.client().pages("listing things", "/things", "things", {})) == []
        return
    with pytest.raises(ScalekitAnswer, match="things"):
        list(wire.client().pages("listing things", "/things", "things", {}))


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.scalekit.dev",
        "https://acme.scalekit.dev/path",
        "https://user@acme.scalekit.dev",
        "http://127.0.0.1:4800",
        "https://",
        "",
    ],
)
def test_credentials_go_to_an_https_origin_or_nowhere(url: str) -> None:
    secret = FakeSecret({**SECRET, "SCALEKIT_ENV_URL": url})
    with pytest.raises(Misconfigured, match="SCALEKIT_ENV_URL") as refused:
        CredentialsSecret(secret).get()
    assert refused.value.code == "scalekit_missing"
    assert secret.fresh_reads == 1


def test_a_stand_in_on_this_machine_is_taken_where_it_is_allowed() -> None:
    secret = FakeSecret({**SECRET, "SCALEKIT_ENV_URL": "http://127.0.0.1:4800/"})
    assert CredentialsSecret(secret, loopback=True).get().env_url == "http://127.0.0.1:4800"


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_that_lacks_a_name_is_for_an_operator(name: str) -> None:
    lacking = {key: value for key, value in SECRET.items() if key != name}
    with pytest.raises(Misconfigured, match="Scalekit secret"):
        CredentialsSecret(FakeSecret(lacking)).get()
