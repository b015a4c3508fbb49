"""POST /users/{user}/tools/{tool}: one tool for a user, on the path that MCP takes, without MCP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.lunch import CREATE, EVENTS, LUNCH, MADE
from tests.world import CALENDAR, CONFIG, GMAIL
from valet.models import ConnectionTools
from valet.native.limits import READS
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    import io

    from tests.functions.support import Answer, Bundle

FETCH = "gmail_fetch_mails"
MESSAGES = "/gmail/v1/users/me/messages"


def run(bundle: Bundle, tool: str = FETCH, user: str = "alice", **event: Any) -> Answer:
    return bundle.call(
        "mcp_server",
        "POST /users/{user}/tools/{tool}",
        path={"user": user, "tool": tool},
        caller=events.iam(),
        **event,
    )


def outcome(bundle: Bundle, tool: str = FETCH, **event: Any) -> dict[str, Any]:
    answer = run(bundle, tool, **event)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def second_config(bundle: Bundle, *tools: str, user: str = "alice") -> None:
    mapping = [ConnectionTools(GMAIL, tools)]
    bundle.world.configs.put("second", "", mapping, owner="", replaces=True)
    bundle.ensure(user, "second")


def audited(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line[0] == "{"]
    return [line for line in lines if "arguments_sha256" in line]


def mcp(bundle: Bundle, tool: str, arguments: dict[str, Any]) -> Any:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    params = {"name": tool, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return bundle.mcp(key, message).json["result"]


def test_a_tool_runs_with_the_users_own_grant_and_answers_its_result(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    answer = outcome(bundle, body={"config": CONFIG, "arguments": {"query": "from:bob"}})
    assert answer == {
        "tool": FETCH,
        "config": CONFIG,
        "is_error": False,
        "code": "ok",
        "result": mcp(bundle, FETCH, {"query": "from:bob"})["structuredContent"],
        "message": None,
        "connect_url": None,
    }
    assert ("q", "from:bob") in bundle.provider.requests[0].query
    assert [token.reveal() for token in bundle.provider.tokens] == ["at-1", "at-1"]


def test_the_config_may_be_left_out_where_one_exposes_the_tool(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    second_config(bundle, "gmail_list_labels")
    bodies: list[Any] = [None, {}, {"arguments": {}}]
    for body in bodies:
        assert outcome(bundle, body=body)["config"] == CONFIG
    assert outcome(bundle, "gmail_list_labels")["config"] == "second"


def test_the_config_has_to_be_named_where_several_expose_the_tool(bundle: Bundle) -> None:
    bundle.ensure()
    second_config(bundle, FETCH)
    answer = run(bundle)
    assert (answer.status, answer.code) == (400, "ambiguous_config")
    assert "'email-calendar-assistant', 'second'" in answer.json["detail"]
    assert outcome(bundle, body={"config": "second"})["config"] == "second"


@pytest.mark.parametrize("body", [{}, {"config": CONFIG}])
@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("gmail_fetch_mail", "did you mean 'gmail_fetch_mails'?"),
        ("gmail_send_message", "unknown tool 'gmail_send_message'"),
        ("x" * 5000, "known are gmail_fetch_mails, googlecalendar_create_event"),
        ("../configs", "unknown tool '../configs'"),
    ],
)
def test_what_the_config_does_not_expose_is_unknown_whatever_the_catalogue_has(
    bundle: Bundle, body: dict[str, Any], tool: str, says: str
) -> None:
    bundle.connected()
    answer = run(bundle, tool, body=body)
    assert (answer.status, answer.code) == (400, "unknown_tool")
    assert says in answer.json["detail"]
    assert not bundle.provider.requests


def test_an_unknown_config_is_answered_with_the_nearest(bundle: Bundle) -> None:
    bundle.ensure()
    answer = run(bundle, body={"config": "email-calendar-asistant"})
    assert (answer.status, answer.code) == (400, "unknown_config")
    assert f"did you mean '{CONFIG}'?" in answer.json["detail"]


@pytest.mark.parametrize("body", [{}, {"config": CONFIG}])
def test_a_user_without_an_instance_is_told_how_to_get_one(
    bundle: Bundle, body: dict[str, Any]
) -> None:
    bundle.ensure("bob")
    answer = run(bundle, body=body)
    assert (answer.status, answer.code) == (404, "no_instance")
    assert "POST /users/{user}/instances" in answer.json["detail"]


def test_a_deleted_instance_or_config_runs_nothing(bundle: Bundle) -> None:
    made = bundle.ensure()
    route = "DELETE /instances/{id}"
    bundle.call("ensure_instance", route, path={"id": made["id"]}, caller=events.jwt())
    assert run(bundle).code == "no_instance"
    bundle.ensure()
    bundle.world.configs.delete(CONFIG, owner="")
    bundle.world.now.advance(seconds=30)
    assert run(bundle, body={"config": CONFIG}).code == "unknown_config"
    assert run(bundle).code == "unknown_tool"


def test_an_account_that_is_not_connected_answers_with_a_link_that_works(bundle: Bundle) -> None:
    bundle.ensure()
    answer = outcome(bundle)
    assert (answer["is_error"], answer["code"], answer["result"]) == (True, "not_connected", None)
    assert answer["connect_url"] in answer["message"]
    ticket = answer["connect_url"].rsplit("/", 1)[1]
    assert bundle.start(ticket, GMAIL).status == 303


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (403, "forbidden"), (503, "provider_unavailable")]
)
def test_a_failure_of_the_tool_is_a_result_with_a_stable_code(
    bundle: Bundle, status: int, code: str
) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(status, {"error": {"message": "canary"}})
    answer = outcome(bundle)
    assert (answer["is_error"], answer["code"]) == (True, code)
    assert answer["message"]
    assert "canary" not in json.dumps(answer)


def test_a_pause_that_the_provider_asks_for_is_passed_on(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(429, {}, retry_after=17)
    answer = run(bundle)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "17"


def test_wrong_arguments_are_a_result_for_the_model_that_chose_them(bundle: Bundle) -> None:
    bundle.connected()
    answer = outcome(bundle, body={"arguments": {"max_results": "canary"}})
    assert (answer["is_error"], answer["code"]) == (True, "invalid_arguments")
    assert "max_results" in answer["message"]
    assert "canary" not in answer["message"]
    assert not bundle.provider.requests


def test_a_write_is_done_once_whether_it_comes_by_mcp_or_by_a_service(bundle: Bundle) -> None:
    bundle.connected(connection=CALENDAR)
    bundle.provider.answers[EVENTS] = ProviderResponse(200, MADE)
    first = outcome(bundle, CREATE, body={"arguments": LUNCH})
    assert first["code"] == "ok"
    assert first["result"]["event"]["id"] == "abcde"
    assert outcome(bundle, CREATE, body={"arguments": LUNCH})["code"] == "already_done"
    assert "not repeated" in mcp(bundle, CREATE, LUNCH)["content"][0]["text"]
    assert len([r for r in bundle.provider.requests if r.method == "POST"]) == 1


def test_a_run_is_audited_as_a_call_over_mcp_is_and_says_how_it_came(
    bundle: Bundle, log: io.StringIO
) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    outcome(bundle, body={"arguments": {"query": "canary"}})
    mcp(bundle, FETCH, {"query": "canary"})
    run(bundle, "gmail_send_message", body={"config": CONFIG})
    by_service, by_mcp, refused = audited(log)
    varying = {"via", "timestamp", "location", "correlation_id", "_aws"}
    varying |= {"ToolLatency", "milliseconds"}  # the clock's
    assert (by_service["via"], by_mcp["via"]) == ("iam", "url")
    assert {k: v for k, v in by_service.items() if k not in varying} == {
        k: v for k, v in by_mcp.items() if k not in varying
    }
    assert (refused["outcome"], refused["via"]) == ("unknown_tool", "iam")
    assert "canary" not in log.getvalue()


def test_loops_of_services_are_stopped_as_those_of_agents_are(bundle: Bundle) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    assert {outcome(bundle)["code"] for _ in range(READS.calls)} == {"ok"}
    bundle.world.now.advance(seconds=18)
    refused = run(bundle)
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "42"
    assert len(bundle.provider.requests) == READS.calls


def test_another_users_grant_is_out_of_reach(bundle: Bundle) -> None:
    bundle.connected("alice")
    bundle.ensure("bob")
    assert outcome(bundle, user="bob")["code"] == "not_connected"
    assert not bundle.provider.requests


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "body: must be an object"),
        ("x", "body: must be an object"),
        ({"config": None}, "config: must be"),
        ({"config": ""}, "config: must be"),
        ({"config": ["canary"]}, "config: must be"),
        ({"arguments": []}, "arguments: must be an object"),
        ({"arguments": None}, "arguments: must be an object"),
        ({"argument": {}}, "argument: no such field"),
        ({"user": "canary"}, "user: no such field"),
        ({"connection": "canary"}, "connection: no such field"),
    ],
)
def test_a_body_is_not_guessed_at(bundle: Bundle, body: Any, says: str) -> None:
    bundle.connected()
    answer = run(bundle, body=body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert says in answer.json["detail"]
    assert "canary" not in answer.json["detail"]
    assert not bundle.provider.requests


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": 1, "a": 2}', '{"arguments": {"a": 1e999}}'])
def test_what_is_no_strict_json_is_refused(bundle: Bundle, text: str) -> None:
    answer = run(bundle, text=text)
    assert (answer.status, answer.code) == (400, "bad_json")


def test_a_mail_as_long_as_mcp_takes_it_fits_and_a_longer_body_does_not(bundle: Bundle) -> None:
    bundle.ensure()
    second_config(bundle, "gmail_send_message")
    mail = {"to": "bob@example.com", "subject": "s", "body": "x" * 500_000}
    assert outcome(bundle, "gmail_send_message", body={"arguments": mail})["code"] == (
        "not_connected"
    )
    mail["body"] = "x" * (1024 * 1024)
    answer = run(bundle, "gmail_send_message", body={"arguments": mail})
    assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("tool", ["a\u0000b", "\ud800", "", " gmail_fetch_mails"])
def test_a_tools_name_of_any_form_is_answered(bundle: Bundle, tool: str) -> None:
    bundle.ensure()
    assert run(bundle, tool).status in (400, 404)


def test_an_unexpected_failure_fails_the_invocation_and_is_audited(
    bundle: Bundle, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> ProviderResponse:
        raise RuntimeError("ya29.secret")

    bundle.connected()
    monkeypatch.setattr(bundle.provider, "send", fails)
    with pytest.raises(RuntimeError):
        run(bundle)
    assert audited(log)[0]["outcome"] == "internal_error"
