"""Services that invoke ensure_instance by itself, without the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import canaries
from tests.e2e.deployed import Deployment, aws
from tests.e2e.people import CONFIG

if TYPE_CHECKING:
    from tests.e2e.people import User


def _invoke(deployment: Deployment, payload: object) -> dict[str, Any]:
    answer = aws("lambda").invoke(
        FunctionName=deployment.outputs["EnsureInstanceFunctionName"],
        Payload=json.dumps(payload).encode(),
    )
    assert "FunctionError" not in answer
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    canaries.remember_json(found)
    return found


def test_a_direct_call_answers_what_the_api_does(deployment: Deployment, user: User) -> None:
    made = _invoke(deployment, {"config": CONFIG, "user": user.id})
    ensured = user.ensure()
    varying = {"connect_url", "connect_url_expires_at"}
    assert made.keys() == ensured.keys()
    assert {k: v for k, v in made.items() if k not in varying} == {
        k: v for k, v in ensured.items() if k not in varying
    }


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"config": "email-calendar-asistant", "user": "u"}, "unknown_config"),
        ({"config": CONFIG}, "invalid_request"),
        ({"config": CONFIG, "user": ""}, "bad_user"),
        ({"config": CONFIG, "user": "a\nb"}, "bad_user"),
        ({"config": CONFIG, "user": "a" * 257}, "bad_user"),
        ({"config": CONFIG, "user": 5}, "invalid_request"),
        ({"config": CONFIG, "user": "u", "admin": True}, "invalid_request"),
        ([], "invalid_request"),
        ("x", "invalid_request"),
        (None, "invalid_request"),
        ({"requestContext": {}}, "not_found"),
    ],
)
def test_a_wrong_direct_call_is_answered_with_a_problem(
    payload: object, code: str, deployment: Deployment
) -> None:
    answer = _invoke(deployment, payload)
    said = json.loads(answer["body"]) if "body" in answer else answer
    assert said["code"] == code
    assert "url" not in said


def test_a_direct_call_cannot_pretend_to_come_from_the_api(
    deployment: Deployment, user: User
) -> None:
    user.ensure()
    event = {
        "version": "2.0",
        "routeKey": "GET /instances",
        "rawPath": "/instances",
        "requestContext": {"authorizer": {"iam": {"userId": user.id}}},
        "pathParameters": {"user": user.id},
        "headers": {},
    }
    assert _invoke(deployment, event)["statusCode"] == 403
