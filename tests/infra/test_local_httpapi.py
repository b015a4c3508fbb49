"""The HTTP API of the emulator: what is read from the template, and what AWS adds to a request."""

import asyncio
from typing import Any

import pytest

from infra.local.httpapi_fidelity import Bucket, complete_event, throttle_limits
from infra.local.httpapi_import import stable_api_id
from infra.local.httpapi_plan import plan
from infra.local.httpapi_root import (
    BODY_LIMIT,
    HEADER_LIMIT,
    Disconnected,
    header_size,
    joined_headers,
    read_body,
)

INTEGRATION = {
    "x-amazon-apigateway-integration": {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": "arn:fn",
        "payloadFormatVersion": "2.0",
    }
}
BODY: dict[str, Any] = {
    "info": {"title": "the api"},
    "components": {
        "securitySchemes": {
            "UserJwt": {
                "type": "oauth2",
                "x-amazon-apigateway-authorizer": {
                    "type": "jwt",
                    "identitySource": "$request.header.Authorization",
                    "jwtConfiguration": {"issuer": "https://issuer", "audience": ["client"]},
                },
            },
            "AWS_IAM": {"x-amazon-apigateway-authtype": "awsSigv4"},
        }
    },
    "paths": {
        "/instances": {"post": {**INTEGRATION, "security": [{"UserJwt": []}]}},
        "/configs": {"get": {**INTEGRATION, "security": [{"AWS_IAM": []}]}},
        "/connect/{ticket}": {"get": {**INTEGRATION, "security": [{"NONE": []}]}},
        "/mcp/{key}": {"x-amazon-apigateway-any-method": INTEGRATION},
        "$default": {"x-amazon-apigateway-any-method": INTEGRATION},
    },
    "x-amazon-apigateway-cors": {"allowOrigins": ["https://app.example.com"]},
    "tags": [{"name": "stage", "x-amazon-apigateway-tag-value": "local"}],
}


def test_each_operation_of_the_body_becomes_a_route() -> None:
    keys = [item.route["routeKey"] for item in plan(BODY).routes]
    assert keys == [
        "POST /instances",
        "GET /configs",
        "GET /connect/{ticket}",
        "ANY /mcp/{key}",
        "$default",
    ]


def test_a_route_keeps_the_guard_that_the_body_names() -> None:
    kinds = {
        item.route["routeKey"]: (item.route["authorizationType"], item.authorizer)
        for item in plan(BODY).routes
    }
    assert kinds["POST /instances"] == ("JWT", "UserJwt")
    assert kinds["GET /configs"] == ("AWS_IAM", None)
    assert kinds["GET /connect/{ticket}"] == ("NONE", None)
    assert kinds["ANY /mcp/{key}"] == ("NONE", None)


def test_a_route_without_its_own_list_takes_the_default_guard() -> None:
    body = {**BODY, "security": [{"UserJwt": []}]}
    kinds = {item.route["routeKey"]: item.route["authorizationType"] for item in plan(body).routes}
    assert kinds["ANY /mcp/{key}"] == "JWT"


def test_a_route_guarded_by_an_unknown_authorizer_is_refused_not_opened() -> None:
    paths = {"/instances": {"get": {**INTEGRATION, "security": [{"Gone": []}]}}}
    with pytest.raises(ValueError, match="Gone"):
        plan({**BODY, "paths": paths})


def test_the_jwt_authorizer_keeps_issuer_and_audience() -> None:
    authorizer = plan(BODY).authorizers["UserJwt"]
    assert authorizer["jwtConfiguration"] == {"issuer": "https://issuer", "audience": ["client"]}
    assert authorizer["identitySource"] == ["$request.header.Authorization"]


def test_cors_tags_and_title_come_from_the_body() -> None:
    planned = plan(BODY)
    assert planned.cors == {"allowOrigins": ["https://app.example.com"]}
    assert planned.tags == {"stage": "local"}
    assert planned.title == "the api"


def test_an_api_keeps_its_id_when_the_emulator_starts_afresh() -> None:
    assert stable_api_id("mcp-valet-local", "Api") == stable_api_id("mcp-valet-local", "Api")
    assert stable_api_id("mcp-valet-local", "Api") != stable_api_id("another", "Api")
    assert len(stable_api_id("mcp-valet-local", "Api")) == 8


def event(**headers: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "headers": headers,
        "requestContext": {"http": {"sourceIp": "127.0.0.1"}, "domainName": "x"},
    }


def test_cookies_leave_the_headers_for_a_list_of_their_own() -> None:
    given = event(host="127.0.0.1:8400", cookie="a=1; b=2")
    complete_event(given)
    assert given["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in given["headers"]


def test_a_forged_forwarded_header_does_not_hide_the_peer() -> None:
    given = event(**{"host": "h", "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"})
    complete_event(given)
    assert given["headers"]["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
    assert given["headers"]["x-forwarded-proto"] == "http"


def test_the_domain_name_carries_no_port() -> None:
    given = event(host="127.0.0.1:8400")
    complete_event(given)
    assert given["requestContext"]["domainName"] == "127.0.0.1"
    assert given["headers"]["x-forwarded-port"] == "8400"


def test_a_bucket_lets_the_burst_through_and_then_the_rate() -> None:
    bucket = Bucket(rate=1, burst=2, tokens=2, filled_at=0)
    assert [bucket.take(0), bucket.take(0), bucket.take(0)] == [True, True, False]
    assert bucket.take(1)
    assert not bucket.take(1)


def test_a_routes_own_throttle_goes_before_the_stages() -> None:
    stage = {
        "defaultRouteSettings": {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200},
        "routeSettings": {"GET /x": {"ThrottlingRateLimit": 1}},
    }
    assert throttle_limits(stage, "GET /x") == (1, 200)
    assert throttle_limits(stage, "GET /y") == (100, 200)
    assert throttle_limits({}, "GET /y") is None


def scope(path: bytes = b"/", headers: list[tuple[bytes, bytes]] | None = None) -> dict[str, Any]:
    return {"method": "GET", "raw_path": path, "query_string": b"", "headers": headers or []}


def test_the_header_quota_counts_the_path_and_every_header() -> None:
    assert header_size(scope(b"/abc", [(b"a", b"12"), (b"b", b"3")])) == 3 + 4 + 3 + 2
    assert header_size(scope(b"/", [(b"a", b"x" * HEADER_LIMIT)])) > HEADER_LIMIT


def test_repeated_headers_are_joined_cookies_with_semicolons() -> None:
    headers = [(b"Accept", b"a"), (b"accept", b"b"), (b"cookie", b"x=1"), (b"cookie", b"y=2")]
    assert joined_headers(scope(headers=headers)) == {"accept": "a,b", "cookie": "x=1; y=2"}


def body_of(messages: list[dict[str, Any]], headers: dict[str, str] | None = None) -> bytes | None:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return asyncio.run(read_body(receive, headers or {}))


def test_a_body_in_pieces_arrives_whole() -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"c"},
    ]
    assert body_of(pieces) == b"abc"


def test_a_body_over_ten_megabytes_is_refused_by_what_it_declares() -> None:
    assert body_of([], {"content-length": str(BODY_LIMIT + 1)}) is None


def test_a_body_over_ten_megabytes_is_refused_even_when_it_declares_nothing() -> None:
    piece = {"type": "http.request", "body": b"x" * (BODY_LIMIT // 2 + 1), "more_body": True}
    assert body_of([piece, piece]) is None


def test_a_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(Disconnected):
        body_of([{"type": "http.disconnect"}])
