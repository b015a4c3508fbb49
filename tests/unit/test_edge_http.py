"""The HTTP edge by itself: cookies, queries, headers, and who is asked who they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field

from tests import events
from valet.bodies import Body
from valet.errors import BadRequest, Busy, UnknownName, ValetError
from valet.http import (
    Request,
    Response,
    Route,
    http_handler,
    json_response,
    problem_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def request(**event: Any) -> Request:
    return Request(events.http("GET /x", **event), None)


def test_cookies_are_split_at_their_first_equals_sign() -> None:
    event = {"cookies": ["a=1", "b=x=y", "c=", "d", " e=2"]}
    assert Request(event, None).cookies == {"a": "1", "b": "x=y", "c": "", "d": "", "e": "2"}
    assert Request({}, None).cookies == {}


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("a=1&a=2", {"a": ["1", "2"]}),
        ("a=1,2", {"a": ["1,2"]}),
        ("a=", {"a": [""]}),
        ("a=%2B+x", {"a": ["+ x"]}),
        ("a=1;b=2", {"a": ["1;b=2"]}),
    ],
)
def test_a_query_keeps_every_value_apart(query: str, values: dict[str, list[str]]) -> None:
    """API Gateway's own parsing joins repeated ones by commas."""
    assert request(query=query).query == values


@pytest.mark.parametrize("query", ["a=%ff", "&".join(f"a{n}=1" for n in range(51))])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        _ = request(query=query).query


def test_a_request_does_not_print_its_event() -> None:
    shown = repr(Request(events.http("GET /x", headers={"authorization": "Bearer canary"}), None))
    assert "canary" not in shown


class Sample(Body):
    number: int
    words: list[str] = Field(default_factory=list)


@pytest.mark.parametrize(
    "value",
    [
        {"number": "1"},
        {"number": 1.0},
        {"number": True},
        {"number": None},
        {"number": 1, "words": "x"},
        {"number": 1, "words": [1]},
        {"number": 1, "words": ("x" * 2001,)},
        {"number": 1, "other": 1},
        {},
        [],
        None,
        "x",
    ],
    ids=repr,
)
def test_a_body_is_not_guessed_at(value: object) -> None:
    with pytest.raises(BadRequest) as raised:
        Sample.read(value)
    assert raised.value.code == "invalid_request"


def test_what_is_wrong_is_told_by_field_and_never_by_value() -> None:
    with pytest.raises(BadRequest) as raised:
        Sample.read({"number": "canary-1", "words": ["ok", 7], "other": "canary-2"})
    text = str(raised.value)
    assert text.startswith("number: ")
    assert "words.1: " in text
    assert "other: " in text
    assert "canary" not in text


def test_what_is_wrong_is_told_briefly() -> None:
    with pytest.raises(BadRequest) as raised:
        Sample.read({f"{n}{'x' * 3000}": 1 for n in range(50)})
    assert len(str(raised.value)) <= 1000


def test_fixed_headers_can_be_narrowed_and_cookies_stay_apart() -> None:
    answer = Response(cookies=("a=1", "b=2"), headers={"referrer-policy": "same-origin"}).to_event()
    assert answer["headers"]["referrer-policy"] == "same-origin"
    assert answer["headers"]["cache-control"] == "no-store"
    assert answer["cookies"] == ["a=1", "b=2"]
    assert "multiValueHeaders" not in answer


def test_answers_are_compact_utf_8() -> None:
    assert json_response({"a": ["\u00e9"]}).body == '{"a":["\u00e9"]}'


@pytest.mark.parametrize(
    "error", [BadRequest("x"), Busy("y"), UnknownName("tool", "a", ["b"]), ValetError("z")]
)
def test_a_problem_is_rfc_9457_with_our_code(error: ValetError) -> None:
    body = problem_body(error)
    assert body["type"] == "about:blank"
    assert body["status"] == int(error.status)
    assert body["title"] == error.status.phrase
    assert body["code"] == error.code
    assert body["detail"] == str(error)
    json.dumps(body)


def raising(error: Exception) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        raise error

    return answer


def test_an_error_that_nobody_raised_on_purpose_fails_the_invocation() -> None:
    """API Gateway answers a bare 500, and the alarm counts it."""
    handler = http_handler({"GET /x": Route("none", raising(RuntimeError("bug")))})
    with pytest.raises(RuntimeError):
        handler(events.http("GET /x"), events.Context())


def test_an_error_raised_on_purpose_is_answered() -> None:
    handler = http_handler({"GET /x": Route("none", raising(Busy("try again")))})
    answer = handler(events.http("GET /x"), events.Context())
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["detail"] == "try again"
