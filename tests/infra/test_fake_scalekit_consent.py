"""The fake Scalekit's links: from the link over the provider to the app's word on who it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.scalekit_support import VERIFY, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.scalekit_support import Scalekit


@pytest.fixture
def link(scalekit: Scalekit) -> str:
    return scalekit.link(state="s1", user_verify_url=VERIFY)


@pytest.fixture
def failing_exchange(scalekit: Scalekit) -> Iterator[None]:
    fault = {"path": "oauth2.googleapis.com/token", "status": 400, "reason": "invalid_grant"}
    scalekit.google_control("config", fail=[fault])
    yield
    scalekit.google_control("config", fail=[])


def test_an_account_is_pending_until_the_app_says_whose_it_is(scalekit: Scalekit) -> None:
    missing = scalekit.call(
        "GET", "/connected_accounts/details", connector="MY_GMAIL", identifier="u1"
    )
    assert refused(missing) == (404, "RESOURCE_NOT_FOUND")
    link = scalekit.link(state="s1", user_verify_url=VERIFY)
    assert scalekit.status() == "PENDING_AUTH"
    told = scalekit.allow(link)
    assert (told["from"], told["state"]) == ("scalekit", "s1")
    assert scalekit.status() == "PENDING_VERIFICATION"
    answer = scalekit.verify(told["auth_request_id"])
    assert answer.json()["post_user_verify_redirect_url"].startswith(scalekit.base)
    assert scalekit.status() == "ACTIVE"


def test_somebody_else_cannot_be_said_to_have_come_back(scalekit: Scalekit, link: str) -> None:
    request = scalekit.allow(link)["auth_request_id"]
    assert refused(scalekit.verify(request, "u2")) == (403, "PERMISSION_DENIED")
    assert scalekit.status() == "PENDING_VERIFICATION"
    assert scalekit.verify(request).status_code == 200


def test_a_verification_happens_once_and_in_time(scalekit: Scalekit, link: str) -> None:
    request = scalekit.allow(link)["auth_request_id"]
    assert scalekit.verify(request).status_code == 200
    assert refused(scalekit.verify(request)) == (404, "RESOURCE_NOT_FOUND")
    late = scalekit.allow(scalekit.link(user_verify_url=VERIFY))["auth_request_id"]
    scalekit.control("config", clock_skew=601)
    scalekit.sign_in()
    assert refused(scalekit.verify(late)) == (404, "RESOURCE_NOT_FOUND")


def test_a_link_ends_after_a_minute(scalekit: Scalekit, link: str) -> None:
    scalekit.control("config", clock_skew=61)
    assert scalekit.browser.get(link).status_code == 410


def test_a_link_works_once(scalekit: Scalekit, link: str) -> None:
    scalekit.allow(link)
    assert scalekit.browser.get(link).status_code == 410


def test_the_provider_sends_back_only_the_browser_that_left(scalekit: Scalekit, link: str) -> None:
    answer = scalekit.consent(link, cookie=False)
    assert answer.status_code == 400
    assert "session expired or invalid" in answer.text
    assert scalekit.status() == "PENDING_AUTH"


def test_a_denial_ends_at_scalekit_and_the_app_hears_nothing(scalekit: Scalekit, link: str) -> None:
    answer = scalekit.consent(link, {"decision": "deny"})
    assert answer.status_code == 400
    assert "access_denied" in answer.text
    assert scalekit.status() == "PENDING_AUTH"


@pytest.mark.usefixtures("failing_exchange")
def test_a_failed_exchange_ends_at_scalekit(scalekit: Scalekit, link: str) -> None:
    answer = scalekit.consent(link)
    assert answer.status_code == 400
    assert "failed_to_exchange_token" in answer.text


def test_links_of_the_mcp_calls_cannot_be_verified(scalekit: Scalekit) -> None:
    scalekit.config()
    path = f"/mcp/instances/{scalekit.instance()['id']}:get_auth_state"
    lines = scalekit.ok("POST", path, include_auth_links="true")["connections"]
    answer = scalekit.consent(lines[0]["authentication_link"])
    assert answer.status_code == 400
    assert "user_verify_url not configured" in answer.text


def test_an_old_environment_activates_whoever_came_back(scalekit: Scalekit, link: str) -> None:
    scalekit.control("config", verify_mode="USER_VERIFY_MODE_NONE")
    answer = scalekit.consent(link)
    assert answer.headers["location"].startswith(scalekit.base)
    assert scalekit.status() == "ACTIVE"
    wrong = scalekit.http.post("/_test/config", json={"verify_mode": "none"})
    assert wrong.status_code == 400


def test_authorizing_again_suspends_an_account(scalekit: Scalekit) -> None:
    scalekit.connect()
    again = scalekit.link(user_verify_url=VERIFY)
    assert scalekit.status() == "ACTIVE", "a link alone changes nothing"
    scalekit.browser.get(again)
    assert scalekit.status() == "PENDING_AUTH"


def test_what_is_under_way_does_not_bring_back_an_account_that_is_deleted(
    scalekit: Scalekit, link: str
) -> None:
    request = scalekit.allow(link)["auth_request_id"]
    body = {"connector": "MY_GMAIL", "identifier": "u1"}
    scalekit.ok("POST", "/connected_accounts:delete", body)
    assert refused(scalekit.verify(request)) == (404, "RESOURCE_NOT_FOUND")


def test_accounts_are_one_for_each_connection_and_identifier(scalekit: Scalekit) -> None:
    scalekit.connect()
    scalekit.connect("MY_CALENDAR")
    scalekit.connect(user="u2")
    listed = scalekit.ok("GET", "/connected_accounts")["connected_accounts"]
    assert len({each["id"] for each in listed}) == 3
    both = scalekit.ok(
        "GET", "/connected_accounts", identifier="u1", connection_names=["MY_GMAIL", "MY_CALENDAR"]
    )
    assert both["total_size"] == 2
