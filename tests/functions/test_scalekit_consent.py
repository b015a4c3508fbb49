"""Consent with Scalekit behind: one browser, one user, once, and its word only after ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests import events
from tests.functions.hosted import Hosted
from tests.world import ALICE, CALENDAR, GMAIL, URL

if TYPE_CHECKING:
    from tests.functions.support import Answer
    from tests.infra.scalekit_support import Scalekit

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit) -> Hosted:
    return Hosted(monkeypatch, scalekit).deployed()


def ticket(hosted: Hosted, user: str = "alice") -> str:
    return str(hosted.ensure(user)["connect_url"].rsplit("/", 1)[1])


def verifications(hosted: Hosted) -> list[dict[str, Any]]:
    rows = hosted.scalekit.http.get("/_test/log").json()
    return [row for row in rows if row["path"].endswith("/user/verify")]


def test_a_user_is_connected_when_the_app_has_verified_them(hosted: Hosted) -> None:
    told = hosted.returned()
    assert told["connection"] == GMAIL
    assert hosted.statuses() == {GMAIL: "PENDING_VERIFICATION", CALENDAR: "PENDING_AUTH"}
    answer = hosted.verify(told["authorization_id"])
    assert answer.status == 200, answer.body
    assert answer.json == {
        "connection": GMAIL,
        "connector": "gmail",
        "title": "Gmail",
        "status": "ACTIVE",
        "scopes": [],
        "missing_scopes": [],
    }
    assert hosted.statuses()[GMAIL] == "ACTIVE"
    (told_of,) = hosted.events.told
    assert (told_of.status, told_of.user) == ("ACTIVE", ALICE)


def test_a_link_is_minted_on_click_and_not_by_looking(hosted: Hosted) -> None:
    path = {"ticket": ticket(hosted)}
    for _ in range(3):
        page = hosted.call("oauth_callback", "GET /connect/{ticket}", path=path)
        assert page.status == 200
    assert hosted.state()["links"] == {}
    policy = page.headers["content-security-policy"]
    targets = sorted([hosted.scalekit.base, hosted.scalekit.google])
    assert f"form-action 'self' {' '.join(targets)};" in policy
    started = hosted.start(path["ticket"])
    assert urlsplit(started.headers["location"]).path.startswith("/magicLink/")
    (link,) = hosted.state()["links"].values()
    assert link["user_verify_url"] == f"{URL}/oauth/callback/{GMAIL}"
    assert "HttpOnly" in started.cookies[0]


def test_a_forwarded_link_connects_nobody_and_scalekit_is_not_asked(hosted: Hosted) -> None:
    told = hosted.returned("alice")
    refused = hosted.verify(told["authorization_id"], "bob")
    assert (refused.status, refused.code) == (403, "wrong_user")
    assert verifications(hosted) == []
    late = hosted.verify(told["authorization_id"], "alice")
    assert (late.status, late.code) == (409, "authorization_used")
    assert hosted.statuses()[GMAIL] == "PENDING_VERIFICATION"
    (event,) = hosted.events.told
    assert (event.type.value, event.reason) == ("AuthorizationRejected", "wrong_user")


def test_a_service_names_the_user_by_its_path(hosted: Hosted) -> None:
    told = hosted.returned("alice")
    path = {"id": told["authorization_id"], "user": "alice"}
    route = "POST /users/{user}/authorizations/{id}/verify"
    answer = hosted.call("oauth_callback", route, path=path, caller=events.iam())
    assert answer.json["status"] == "ACTIVE"


def test_another_browser_is_refused(hosted: Hosted) -> None:
    started = hosted.start(ticket(hosted))
    answer = hosted.arrives(started, cookies={})
    assert (answer.status, answer.code) == (400, "wrong_browser")


def test_an_answer_is_taken_once(hosted: Hosted) -> None:
    started = hosted.start(ticket(hosted))
    queries: list[str] = []

    def arrive(query: str) -> Answer:
        cookie = started.cookies[0].partition(";")[0].split("=", 1)
        return hosted.call(
            "oauth_callback",
            "GET /oauth/callback/{connection}",
            path={"connection": GMAIL},
            query=query,
            cookies=dict([cookie]),
        )

    back = hosted.scalekit.consent(started.headers["location"])
    queries.append(urlsplit(back.headers["location"]).query)
    assert arrive(queries[0]).status == 303
    assert arrive(queries[0]).code == "authorization_used"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "unknown"}, "state_invalid"),
        ({"auth_request_id": ""}, "state_invalid"),
        ({"auth_request_id": "x" * 1001}, "state_invalid"),
        ({"auth_request_id": ["a", "b"]}, "state_invalid"),
        ({"error": "access_denied"}, "state_invalid"),
    ],
)
def test_an_answer_that_is_none_is_refused(
    hosted: Hosted, changes: dict[str, Any], code: str
) -> None:
    started = hosted.start(ticket(hosted))
    (link,) = hosted.state()["links"].values()
    query = urlencode({"state": link["state"], "auth_request_id": "r"} | changes, doseq=True)
    assert hosted.arrives(started, query=query).code == code


@pytest.mark.parametrize(
    ("error", "told"), [("access_denied", "user_denied"), ("prose", "provider_error")]
)
def test_a_failure_that_scalekit_tells_reaches_the_app_in_a_closed_word(
    hosted: Hosted, error: str, told: str
) -> None:
    started = hosted.start(ticket(hosted))
    (link,) = hosted.state()["links"].values()
    query = urlencode({"state": link["state"], "error": error})
    answer = hosted.arrives(started, query=query)
    said = parse_qs(urlsplit(answer.headers["location"]).query)
    assert said == {"connection": [GMAIL], "error": [told]}


def test_an_answer_for_another_connection_is_refused(hosted: Hosted) -> None:
    started = hosted.start(ticket(hosted))
    answer = hosted.arrives(started, path={"connection": CALENDAR})
    assert answer.code == "state_invalid"


def test_a_link_works_once_for_a_connection(hosted: Hosted) -> None:
    used = ticket(hosted)
    assert hosted.arrives(hosted.start(used)).status == 303
    again = hosted.start(used)
    assert (again.status, again.code) == (409, "link_used")
    assert hosted.start(used, CALENDAR).status == 303


def test_an_authorization_ends_after_five_minutes(hosted: Hosted) -> None:
    told = hosted.returned()
    hosted.now.advance(minutes=5)
    answer = hosted.verify(told["authorization_id"])
    assert (answer.status, answer.code) == (410, "authorization_expired")
    assert verifications(hosted) == []


def test_one_that_scalekit_has_forgotten_is_over(hosted: Hosted) -> None:
    told = hosted.returned()
    hosted.scalekit.control("config", clock_skew=601)
    answer = hosted.verify(told["authorization_id"])
    assert (answer.status, answer.code) == (410, "authorization_expired")
    assert hosted.verify(told["authorization_id"]).code == "authorization_used"


@pytest.mark.parametrize("after", [True, False], ids=["answer lost", "not carried out"])
def test_an_outage_while_verifying_is_no_verdict(hosted: Hosted, after: bool) -> None:
    told = hosted.returned()
    fault = {"method": "POST", "path": "/user/verify", "status": 503, "times": 1, "after": after}
    hosted.scalekit.control("config", fail=[fault])
    down = hosted.verify(told["authorization_id"])
    assert (down.status, down.code) == (502, "scalekit_unavailable")
    answer = hosted.verify(told["authorization_id"])
    assert (answer.status, answer.json["status"]) == (200, "ACTIVE")


def test_what_verifies_is_not_at_rest_here(hosted: Hosted) -> None:
    told = hosted.returned()
    (request_id,) = hosted.state()["auth_requests"]
    kept = repr(hosted.table.items)
    assert request_id not in kept
    assert told["authorization_id"] not in kept


def test_an_unknown_authorization_is_not_found(hosted: Hosted) -> None:
    assert hosted.verify("unknown").code == "authorization_unknown"


def test_connections_are_listed_and_taken_back(hosted: Hosted) -> None:
    hosted.connected()
    listed = hosted.call("oauth_callback", "GET /connections", caller=events.jwt("alice")).json
    assert [(c["connection"], c["status"], c.get("account")) for c in listed["connections"]] == [
        (CALENDAR, "PENDING_AUTH", None),
        (GMAIL, "ACTIVE", None),
    ]
    path, caller = {"name": GMAIL}, events.jwt("alice")
    ended = hosted.call("oauth_callback", "DELETE /connections/{name}", path=path, caller=caller)
    assert ended.json == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": False}
    assert hosted.statuses()[GMAIL] == "PENDING_AUTH"
    twice = hosted.call("oauth_callback", "DELETE /connections/{name}", path=path, caller=caller)
    assert twice.code == "not_found"
