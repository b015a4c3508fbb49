"""Session tokens: asked for by the user or a service, brought to /mcp, and to nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.test_mcp_server import HEADERS, LIST, MESSAGES, key_of
from tests.world import CONFIG, GMAIL
from valet.models import ConnectionTools
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.support import Answer, Bundle

CHALLENGE = 'Bearer realm="mcp"'
INVALID = f'{CHALLENGE}, error="invalid_token"'
TOKENS = "/instances/{id}/tokens"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def names(answer: Answer) -> list[str]:
    return [tool["name"] for tool in answer.json["result"]["tools"]]


def revoke(bundle: Bundle, token: Any) -> Answer:
    path = {"id": token["instance"], "token_id": token["id"]}
    route = f"DELETE {TOKENS}/{{token_id}}"
    return bundle.call("ensure_instance", route, path=path, caller=events.jwt())


def test_a_token_comes_with_its_end_its_access_and_where_to_bring_it(bundle: Bundle) -> None:
    made = bundle.token(expires_in_seconds=60, access="READ_ONLY")
    assert made == {
        "id": made["id"],
        "token": made["token"],
        "url": "https://valet.example/mcp",
        "access": "READ_ONLY",
        "created_at": "2026-11-23T09:00:00Z",
        "expires_at": "2026-11-23T09:01:00Z",
        "instance": made["instance"],
    }
    assert made["token"].startswith("mvt_")


def test_an_hour_of_full_access_is_what_is_given_unasked(bundle: Bundle) -> None:
    made = bundle.token()
    assert (made["access"], made["expires_at"]) == ("FULL", "2026-11-23T10:00:00Z")


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in_seconds": 59},
        {"expires_in_seconds": 86_401},
        {"expires_in_seconds": "3600"},
        {"expires_in_seconds": 3600.5},
        {"expires_in_seconds": True},
        {"expires_in_seconds": None},
        {"access": "read_only"},
        {"access": "ADMIN"},
        {"access": 1},
        {"access": None},
        {"access": ["FULL"]},
        {"token": "mvt_mine"},
    ],
    ids=repr,
)
def test_what_no_token_can_be_is_refused_with_the_field_that_is_wrong(
    bundle: Bundle, body: dict[str, Any]
) -> None:
    path = {"id": bundle.ensure()["id"]}
    answer = bundle.call(
        "ensure_instance", f"POST {TOKENS}", path=path, caller=events.jwt(), body=body
    )
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert next(iter(body)) in answer.json["detail"]


def test_a_service_makes_lists_and_revokes_tokens_for_the_user_it_names(bundle: Bundle) -> None:
    path = {"user": "alice", "id": bundle.ensure()["id"]}

    def service(route: str, **more: str) -> Answer:
        route = route.replace(TOKENS, f"/users/{{user}}{TOKENS}")
        return bundle.call("ensure_instance", route, path=path | more, caller=events.iam())

    made = service(f"POST {TOKENS}").json
    assert bundle.bearer(made["token"], LIST).status == 200
    listed = service(f"GET {TOKENS}").json
    shown = ("id", "access", "created_at", "expires_at")
    assert listed == {"tokens": [{name: made[name] for name in shown}]}
    assert service(f"DELETE {TOKENS}/{{token_id}}", token_id=made["id"]).status == 204
    assert service(f"GET {TOKENS}").json == {"tokens": []}
    assert bundle.bearer(made["token"], LIST).status == 401


def test_a_token_opens_the_same_tools_with_the_same_grants_as_the_url(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    token = bundle.token()["token"]
    key = key_of(bundle.ensure()["url"])
    assert bundle.bearer(token, LIST) == bundle.mcp(key, LIST)
    result = bundle.bearer(token, call("gmail_fetch_mails")).json["result"]
    assert result["structuredContent"]["messages"] == []
    assert [secret.reveal() for secret in bundle.provider.tokens] == ["at-1"]


def test_a_warm_call_is_one_read(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    token = bundle.token()["token"]
    for _ in range(2):
        bundle.world.table.requests.clear()
        bundle.bearer(token, call("gmail_fetch_mails"))
    assert bundle.world.table.requests == ["get_many"]


def test_read_only_access_neither_sees_nor_calls_what_writes(bundle: Bundle) -> None:
    bundle.world.exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails", "gmail_send_mail")))
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    token = bundle.token(access="READ_ONLY")["token"]
    assert names(bundle.bearer(token, LIST)) == ["gmail_fetch_mails"]
    mail = {"to": "bob@example.com", "subject": "x", "body": "y"}
    for tool in ("gmail_send_mail", "gmail_send_message"):
        refused = bundle.bearer(token, call(tool, **mail)).json["error"]
        assert (refused["code"], "Unknown tool" in refused["message"]) == (-32602, True)
    assert not bundle.provider.requests
    assert not bundle.bearer(token, call("gmail_fetch_mails")).json["result"].get("isError")
    full = bundle.bearer(bundle.token()["token"], LIST)
    assert names(full) == ["gmail_fetch_mails", "gmail_send_mail"]


def bad(bundle: Bundle) -> dict[str, str]:
    """Bearers behind which there is nothing, each for another reason."""
    revoked, deleted = bundle.token(), bundle.token("erin")
    assert revoke(bundle, revoked).status == 204
    bundle.call(
        "ensure_instance",
        "DELETE /instances/{id}",
        path={"id": deleted["instance"]},
        caller=events.jwt("erin"),
    )
    over = bundle.token("dave", expires_in_seconds=60)
    bundle.world.now.advance(seconds=60)
    good = bundle.token()["token"]
    assert bundle.bearer(good, LIST).status == 200
    return {
        "unknown": "x",
        "revoked": revoked["token"],
        "of a deleted instance": deleted["token"],
        "over": over["token"],
        "prefix alone": "mvt_",
        "one character changed": good[:40] + ("A" if good[40] != "A" else "B") + good[41:],
        "cut": good[:-1],
        "longer": good + "A",
        "padded": good + "=",
        "URL key": key_of(bundle.ensure()["url"]),
        "URL key in a token's clothes": "mvt_" + key_of(bundle.ensure()["url"])[4:],
        "JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.",
        "10 KB": "mvt_" + "A" * 10_000,
    }


@pytest.mark.parametrize("message", [LIST, {}, [], "text", None], ids=repr)
def test_all_bad_tokens_get_the_same_answer_to_the_byte(bundle: Bundle, message: Any) -> None:
    answers = {name: bundle.bearer(token, message) for name, token in bad(bundle).items()}
    unknown = answers["unknown"]
    assert unknown.status == 401
    assert unknown.headers == HEADERS | {"WWW-Authenticate": INVALID}
    for name, answer in answers.items():
        assert answer == unknown, name


def test_a_bad_token_costs_no_write_and_one_that_is_not_well_signed_no_read(
    bundle: Bundle,
) -> None:
    tokens = bad(bundle)
    for name, token in tokens.items():
        bundle.world.table.requests.clear()
        bundle.bearer(token, LIST)
        read = {"revoked": ["get_many"], "of a deleted instance": ["get"]}.get(name, [])
        assert bundle.world.table.requests == read, name


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "{}",
        "Basic {}",
        "DPoP {}",
        "Bearer {}, Bearer {}",
        "Bearer {} {}",
        "Bearer {},x",
        "Bearer \u00a0{}",
        'Bearer token="{}"',
        "bearer:{}",
    ],
)
def test_what_is_not_one_bearer_is_none(bundle: Bundle, authorization: str) -> None:
    token = bundle.token()["token"]
    headers = {"authorization": authorization.replace("{}", token)}
    answer = bundle.bearer(None, LIST, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert answer == bundle.bearer(None, LIST)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_name_of_the_scheme_is_read_in_any_case(bundle: Bundle, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {bundle.token()['token']}"}
    assert bundle.bearer(None, LIST, headers=headers).status == 200


@pytest.mark.parametrize("name", ["access_token", "token", "key", "x"])
def test_a_query_is_refused_beside_every_credential(bundle: Bundle, name: str) -> None:
    token = bundle.token()["token"]
    key = key_of(bundle.ensure()["url"])
    query = f"{name}={token}"
    by_url = events.http(
        "ANY /mcp/{key}",
        path={"key": key},
        query=query,
        method="POST",
        headers={"content-type": "application/json"},
        body=LIST,
    )
    answers = [
        bundle.bearer(None, LIST, query=query),
        bundle.bearer(token, LIST, query=query),
        bundle.send("mcp_server", by_url),
    ]
    assert [answer.status for answer in answers] == [400, 400, 400]
    assert all(token not in answer.body for answer in answers)
    assert "WWW-Authenticate" not in answers[0].headers


def test_a_token_in_a_cookie_or_in_the_body_is_not_heard(bundle: Bundle) -> None:
    token = bundle.token()["token"]
    cookies = {"access_token": token, "authorization": f"Bearer {token}"}
    message = LIST | {"access_token": token, "params": {"_meta": {"authorization": token}}}
    assert bundle.bearer(None, message, cookies=cookies).status == 401


def test_a_token_beside_a_urls_key_is_refused_though_both_are_good(bundle: Bundle) -> None:
    token, key = bundle.token()["token"], key_of(bundle.ensure()["url"])
    assert bundle.mcp(key, LIST, authorization=f"Bearer {token}").status == 400


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "OPTIONS"])
def test_other_methods_are_refused_as_at_a_url(bundle: Bundle, method: str) -> None:
    for token in (bundle.token()["token"], "x"):
        event = events.http("ANY /mcp", method=method, headers={"authorization": f"Bearer {token}"})
        answer = bundle.send("mcp_server", event)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_another_users_token_leads_to_their_grants_only(bundle: Bundle) -> None:
    bundle.connected("alice")
    result = bundle.bearer(bundle.token("bob")["token"], call("gmail_fetch_mails")).json["result"]
    assert result["isError"] is True
    assert not bundle.provider.requests


@pytest.mark.parametrize("ended", ["instance", "user", "config"])
def test_a_token_ends_with_what_it_is_for(bundle: Bundle, ended: str) -> None:
    token = bundle.token()
    assert bundle.bearer(token["token"], LIST).status == 200
    ends: dict[str, Callable[[], Any]] = {
        "instance": lambda: bundle.call(
            "ensure_instance",
            "DELETE /instances/{id}",
            path={"id": token["instance"]},
            caller=events.jwt(),
        ),
        "user": lambda: bundle.call(
            "oauth_callback", "DELETE /users/{user}", path={"user": "alice"}, caller=events.iam()
        ),
        "config": lambda: bundle.call(
            "create_config", "DELETE /configs/{name}", path={"name": CONFIG}, caller=events.iam()
        ),
    }
    assert ends[ended]().status in (200, 204)
    bundle.world.now.advance(seconds=30)  # how late a config's end may reach a warm function
    assert bundle.bearer(token["token"], LIST).status == 401
