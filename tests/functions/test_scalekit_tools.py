"""One tool for a user with Scalekit behind: what it refuses, loses or fails at, in our words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.hosted import CALENDAR_TOOL, MAIL_TOOL, Hosted
from tests.functions.lunch import LUNCH
from tests.functions.test_run_tool import audited
from tests.world import ALICE, CALENDAR, CONFIG, GMAIL

if TYPE_CHECKING:
    import io

    from tests.functions.support import Answer
    from tests.infra.scalekit_support import Scalekit

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit) -> Hosted:
    return Hosted(monkeypatch, scalekit).deployed()


def run(hosted: Hosted, tool: str = MAIL_TOOL, user: str = "alice", **event: Any) -> Answer:
    return hosted.call(
        "ensure_instance",
        "ANY /users/{user}/tools/{tool}",
        path={"user": user, "tool": tool},
        caller=events.iam(),
        **{"method": "POST"} | event,
    )


def outcome(hosted: Hosted, tool: str = MAIL_TOOL, **event: Any) -> dict[str, Any]:
    answer = run(hosted, tool, **event)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def executions(hosted: Hosted) -> list[dict[str, Any]]:
    rows = hosted.scalekit.http.get("/_test/log").json()
    return [row for row in rows if row["path"].endswith("/execute_tool")]


def fail(hosted: Hosted, status: int, **how: Any) -> None:
    fault = {"path": "/execute_tool", "status": status, "times": 9, **how}
    hosted.scalekit.control("config", fail=[fault])


def tool_error(hosted: Hosted, status: int) -> None:
    """What Scalekit answers when the provider refused with that status."""
    info = {"error_code": "TOOL_ERROR", "tool_error_info": {"tool_error_message": "prose-canary"}}
    fail(hosted, status, body={"code": 2, "message": "prose-canary", "details": [info]})


def test_a_tool_runs_at_scalekit_with_the_users_own_account(hosted: Hosted) -> None:
    hosted.connected()
    answer = outcome(hosted, body={"config": CONFIG, "arguments": {"max_results": 2}})
    messages = answer.pop("result")["messages"]
    assert len(messages) == 2
    assert answer == {
        "tool": MAIL_TOOL,
        "config": CONFIG,
        "is_error": False,
        "code": "ok",
        "message": None,
        "connect_url": None,
    }
    (sent,) = executions(hosted)
    assert json.loads(sent["body"]) == {
        "tool_name": MAIL_TOOL,
        "params": {"max_results": 2},
        "connector": GMAIL,
        "identifier": ALICE,
    }


def test_only_a_post_runs_a_tool(hosted: Hosted) -> None:
    hosted.connected()
    for method in ("GET", "PUT", "DELETE"):
        assert run(hosted, method=method).code == "not_found"
    assert not executions(hosted)


@pytest.mark.parametrize("body", [{}, {"config": CONFIG}])
def test_what_the_config_does_not_expose_is_unknown_and_not_asked_for(
    hosted: Hosted, body: dict[str, Any]
) -> None:
    hosted.connected()
    answer = run(hosted, "gmail_send_message", body=body)
    assert (answer.status, answer.code) == (400, "unknown_tool")
    assert "unknown tool 'gmail_send_message'" in answer.json["detail"]
    assert run(hosted, "gmail_fetch_mail", body=body).code == "unknown_tool"
    assert not executions(hosted)


def test_a_connection_without_a_list_exposes_all_its_tools(hosted: Hosted) -> None:
    assert hosted.put("all-mail", {GMAIL: None}).status == 200
    hosted.ensure(config="all-mail")
    hosted.connected()
    assert outcome(hosted, "gmail_list_labels")["config"] == "all-mail"


def test_a_config_or_an_instance_that_is_not_there_is_told_as_such(hosted: Hosted) -> None:
    assert run(hosted).code == "no_instance"
    hosted.ensure()
    assert run(hosted, body={"config": "email-calendar-asistant"}).code == "unknown_config"
    assert run(hosted, user="bob").code == "no_instance"
    hosted.put("second", {GMAIL: [MAIL_TOOL]})
    hosted.ensure(config="second")
    assert run(hosted).code == "ambiguous_config"


@pytest.mark.parametrize("status", [None, "PENDING_VERIFICATION", "EXPIRED", "DISCONNECTED"])
def test_an_account_that_is_not_active_answers_with_a_link_that_works(
    hosted: Hosted, status: str | None
) -> None:
    hosted.ensure()
    if status:
        hosted.connected()
        hosted.scalekit.control("account", connection=GMAIL, identifier=ALICE, status=status)
    answer = outcome(hosted)
    assert (answer["is_error"], answer["code"], answer["result"]) == (True, "not_connected", None)
    assert answer["connect_url"] in answer["message"]
    assert answer["message"].startswith("Gmail is not ready for this: ")
    assert hosted.start(answer["connect_url"].rsplit("/", 1)[1], GMAIL).status == 303


def test_another_users_account_is_out_of_reach(hosted: Hosted) -> None:
    hosted.connected("alice")
    hosted.ensure("bob")
    answer = run(hosted, user="bob")
    assert answer.json["code"] == "not_connected"


def test_a_connection_that_was_removed_is_said_and_not_asked_for(hosted: Hosted) -> None:
    hosted.ensure()
    hosted.parts.configs().delete_connection(GMAIL, owner="")
    assert outcome(hosted)["code"] == "connection_removed"
    assert not executions(hosted)


def test_wrong_arguments_are_a_result_for_the_model_that_chose_them(hosted: Hosted) -> None:
    hosted.connected()
    answer = outcome(hosted, body={"arguments": {"max_results": "canary"}})
    assert (answer["is_error"], answer["code"]) == (True, "invalid_arguments")
    assert "GET /tools" in answer["message"]
    assert "canary" not in answer["message"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "token_refused"),
        (403, "forbidden"),
        (429, "rate_limited"),
        (500, "provider_error"),
    ],
)
def test_a_failure_at_the_provider_is_a_result_and_is_not_repeated(
    hosted: Hosted, status: int, code: str
) -> None:
    """A 401 among them: that is the provider's about the user, not Scalekit's about us."""
    hosted.connected()
    tool_error(hosted, status)
    answer = outcome(hosted)
    assert (answer["is_error"], answer["code"]) == (True, code)
    assert (answer["connect_url"] is not None) == (status == 401)
    assert "canary" not in json.dumps(answer)
    assert len(executions(hosted)) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_call_whose_answer_is_lost_is_not_repeated(hosted: Hosted, *, after: bool) -> None:
    hosted.connected(connection=CALENDAR)
    fail(hosted, 503, after=after)
    answer = outcome(hosted, CALENDAR_TOOL, body={"arguments": LUNCH})
    assert (answer["is_error"], answer["code"]) == (True, "outcome_unknown")
    assert len(executions(hosted)) == 1


def test_a_call_that_was_not_sent_says_that_scalekit_is_away(hosted: Hosted) -> None:
    hosted.connected()
    hosted.api.client._kept = None
    hosted.scalekit.control("config", fail=[{"path": "/oauth/token", "status": 503}])
    answer = outcome(hosted)
    assert (answer["is_error"], answer["code"]) == (True, "scalekit_unavailable")
    assert not executions(hosted)


def test_an_account_that_cannot_be_looked_up_is_no_lost_call(hosted: Hosted) -> None:
    hosted.ensure()
    fault = {"path": "/connected_accounts", "status": 503, "times": 9}
    hosted.scalekit.control("config", fail=[fault])
    assert outcome(hosted)["code"] == "scalekit_unavailable"


def test_the_environments_own_limit_is_a_429_that_says_when(hosted: Hosted) -> None:
    hosted.connected()
    fail(hosted, 429, retry_after=30)
    answer = run(hosted)
    assert (answer.status, answer.code) == (429, "scalekit_rate_limited")
    assert answer.headers["retry-after"] == "60"


@pytest.mark.parametrize("status", [403, 404])
def test_what_only_an_operator_can_act_on_is_a_result_too(hosted: Hosted, status: int) -> None:
    hosted.connected()
    fail(hosted, status)
    assert outcome(hosted)["code"] == "scalekit_refused"


def test_each_run_leaves_one_record_without_content(hosted: Hosted, log: io.StringIO) -> None:
    hosted.connected()
    outcome(hosted, body={"arguments": {"query": "canary"}})
    run(hosted, "canary_tool", body={"config": CONFIG})
    tool_error(hosted, 403)
    outcome(hosted, body={"arguments": {"query": "canary"}})
    made, unknown, failed = audited(log)
    about = {"user": ALICE, "via": "iam", "access": "FULL", "config": CONFIG, "revision": 1}
    for record in (made, unknown, failed):
        assert {name: record[name] for name in about} == about
        assert record["instance"].startswith("ins_")
    assert [(r["tool"], r["outcome"]) for r in (made, unknown, failed)] == [
        (MAIL_TOOL, "ok"),
        ("(unknown)", "unknown_tool"),
        (MAIL_TOOL, "forbidden"),
    ]
    assert made["connection"] == GMAIL
    assert made["arguments_sha256"] == failed["arguments_sha256"]
    assert "canary" not in log.getvalue()


def test_a_body_is_held_to_the_same_rules(hosted: Hosted) -> None:
    hosted.connected()
    bodies: list[Any] = [[], {"config": ""}, {"arguments": None}, {"user": "canary"}]
    for body in bodies:
        assert run(hosted, body=body).code == "invalid_request"
    assert not executions(hosted)
