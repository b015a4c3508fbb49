"""Who may not: every closed route against every wrong credential, and nothing is done."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api import problem
from tests.e2e.consent import GMAIL, connect, start
from tests.e2e.deployed import Credentials, aws
from tests.e2e.people import CONFIG
from tests.infra.template_support import deployed_functions, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.google import Google
    from tests.e2e.people import User


def _routes(deployment: Deployment) -> dict[str, str]:
    functions = deployed_functions(deployment.backend)
    return {route: caller for name in functions for route, caller in routes(name).items()}


@dataclass(frozen=True)
class Services:
    """Two backends: one may call the API, one may not."""

    allowed: Credentials
    other: Credentials


def _tampered(token: str) -> str:
    """The same claims under a signature that is not theirs."""
    head, claims, signature = token.split(".")
    return f"{head}.{claims}.{signature[:-8]}{'A' * 8}"


def _unsigned(token: str) -> str:
    """alg none."""
    return f"eyJhbGciOiJub25lIn0.{token.split('.')[1]}."


_WRONG: dict[str, Callable[[User, Services], dict[str, Any]]] = {
    "nothing": lambda _, __: {},
    "a made-up token": lambda _, __: {"token": "not.a.token"},
    "a tampered token": lambda user, _: {"token": _tampered(user.token)},
    "an unsigned token": lambda user, _: {"token": _unsigned(user.token)},
    "an ID token": lambda user, _: {"token": user.id_token},
    "a wrong signature": lambda _, services: {"signed": replace(services.allowed, secret="x" * 40)},
    "a service without permission": lambda _, services: {"signed": services.other},
    "an unknown access key": lambda _, __: {"signed": Credentials("AKIAUNKNOWN", "test")},
}
# One that is right for the other kind of route.
_MISTAKEN: dict[str, Callable[[User, Services], dict[str, Any]]] = {
    "iam": lambda user, _: {"token": user.token},
    "jwt": lambda _, services: {"signed": services.allowed},
}


@pytest.fixture(scope="module")
def services(deployment: Deployment) -> Iterator[Services]:
    iam, names = aws("iam"), [f"e2e-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    made = []
    for name in names:
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    arn = f"arn:aws:execute-api:us-east-1:000000000000:{deployment.outputs['ApiId']}/*"
    may = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName=names[0], PolicyName="invoke", PolicyDocument=policy)
    yield Services(*made)
    iam.delete_user_policy(UserName=names[0], PolicyName="invoke")
    for name, credentials in zip(names, made, strict=True):
        iam.delete_access_key(UserName=name, AccessKeyId=credentials.key)
        iam.delete_user(UserName=name)


@pytest.fixture
def mine(deployment: Deployment, user: User, new_config: Callable[..., str]) -> dict[str, str]:
    """What the routes' placeholders stand for: all of it is there, so that it could be harmed."""
    connect(user, "MY_CALENDAR")
    return {
        "instance": user.ensure()["id"],
        # Per-user URLs of Scalekit's take no tokens.
        "token": user.token_for_mcp()["id"] if deployment.backend == "native" else "tok_none",
        "config": new_config(gmail=["gmail_fetch_mails"]),
    }


def _of(deployment: Deployment, user: User, mine: dict[str, str]) -> list[str]:
    """What the table holds about the user and the config."""
    texts = (json.dumps(item, sort_keys=True, default=repr) for item in deployment.items())
    return sorted(text for text in texts if user.key in text or mine["config"] in text)


def _send(api: Api, route: str, user: User, mine: dict[str, str], how: dict[str, Any]) -> int:
    method, path = route.replace("ANY ", "POST ").split()
    identity = mine["instance"] if "instances" in path else "unknown-authorization"
    name = "MY_CALENDAR" if "connections" in path else mine["config"]
    filled = {"user": user.id, "id": identity, "name": name, "token_id": mine["token"]}
    path = path.format_map(filled | {"revision": "1", "tool": "gmail_fetch_mails"})
    body: object = {"config": CONFIG} if path.endswith("/instances") else {}
    if method == "PUT":
        body = {"connections": [{"connection": GMAIL}]}
    elif method != "POST":
        body = None
    return api.send(method, path, body, **how).status_code


@pytest.mark.parametrize("credential", [*_WRONG, "the other kind"])
def test_a_wrong_credential_opens_no_route_and_does_nothing(
    credential: str,
    api: Api,
    user: User,
    mine: dict[str, str],
    services: Services,
    deployment: Deployment,
) -> None:
    before = _of(deployment, user, mine)
    got = {}
    for route, caller in _routes(deployment).items():
        if caller != "none":
            how = _WRONG.get(credential) or _MISTAKEN[caller]
            got[route] = _send(api, route, user, mine, how(user, services))
    # API Gateway refuses all of them but the ID token, which only the function can tell.
    by_jwt = 403 if credential == "an ID token" else 401
    assert got == {
        route: {"jwt": by_jwt, "iam": 403}[caller]
        for route, caller in _routes(deployment).items()
        if caller != "none"
    }
    assert _of(deployment, user, mine) == before


def test_a_service_with_permission_is_let_in(services: Services, user: User, api: Api) -> None:
    path = f"/users/{user.id}/instances"
    assert api.send("GET", path, signed=services.allowed).json() == {"instances": []}


def test_an_id_token_is_told_from_an_access_token(user: User, api: Api) -> None:
    answer = api.send("POST", "/instances", {"config": CONFIG}, token=user.id_token)
    assert problem(answer) == (403, "forbidden")
    assert "access token" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/tokens"), ("GET", "/tokens")],
)
def test_somebody_elses_instance_is_not_found(
    method: str, suffix: str, user: User, other: User, api: Api
) -> None:
    made = user.ensure()
    path = f"/instances/{made['id']}{suffix}"
    stranger = other.call(method, path)
    nobody = other.call(method, f"/instances/ins_{'0' * 32}{suffix}")
    by_service = api.as_service(method, f"/users/{other.id}{path}")
    assert problem(stranger) == problem(by_service) == (404, "not_found")
    assert stranger.json() == nobody.json()
    assert user.ensure()["url"] == made["url"]


def test_a_user_lists_only_what_is_theirs(user: User, other: User) -> None:
    connect(user)
    assert other.call("GET", "/instances").json() == {"instances": []}
    assert {each["status"] for each in other.connections().values()} == {"PENDING_AUTH"}
    assert problem(other.call("DELETE", f"/connections/{GMAIL}")) == (404, "not_found")
    assert user.connections()[GMAIL]["status"] == "ACTIVE"


def test_a_user_cannot_name_another_user(user: User, other: User) -> None:
    for body in ({"config": CONFIG, "user": other.id}, {"config": CONFIG, "user_id": other.id}):
        assert problem(user.call("POST", "/instances", body)) == (400, "invalid_request")
    user.call("GET", f"/instances?user={other.id}", headers={"x-user": other.id})
    assert user.call("GET", f"/users/{other.id}/instances").status_code == 403
    assert other.call("GET", "/instances").json() == {"instances": []}


def test_a_link_by_itself_verifies_nothing(
    api: Api, user: User, google: Google, deployment: Deployment
) -> None:
    returning = start(api, user.ensure()["connect_url"]).allow()
    authorization = returning.authorization()
    assert api.send("POST", f"/authorizations/{authorization}/verify").status_code == 401
    if deployment.backend == "native":  # Scalekit exchanges the code before anybody is verified
        assert google.token_requests(code=returning.query["code"]) == []
    assert user.connections()[GMAIL]["status"] == "PENDING_VERIFICATION"


def test_the_gateways_refusal_says_nothing_about_the_inside(api: Api) -> None:
    for method, path in (("GET", "/instances"), ("GET", "/configs")):
        answer = api.send(method, path)
        assert re.fullmatch(r'\{"message":\s*"(Unauthorized|Forbidden)"\}', answer.text)
