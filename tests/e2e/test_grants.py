"""A grant's life behind the tools: renewed, refused, limited, taken back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import canaries, wire
from tests.e2e.consent import CALENDAR, GMAIL, READ_MAIL, connect
from tests.e2e.google import ALICE, BOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api import Api
    from tests.e2e.google import Google
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("Scalekit holds the tokens and refreshes them")

_SEND_MAIL = "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def refresh_token(user: User, google: Google) -> str:
    """The user is connected to Gmail; this is what Google knows the grant by."""
    before = google.refresh_tokens()
    connect(user)
    (token,) = google.refresh_tokens() - before
    return token


def _fetch(api: Api, user: User) -> dict[str, Any]:
    return wire.post_call(api, user.ensure()["url"], "gmail_fetch_mails", {"max_results": 1})


def _said(result: dict[str, Any]) -> str:
    assert result["isError"] is True, result
    return str(result["content"][0]["text"])


def test_an_expired_token_is_renewed_without_anybody_noticing(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    assert _fetch(api, user)["isError"] is False
    assert google.token_requests(refresh_token=refresh_token) == []
    google.expire()
    assert _fetch(api, user)["isError"] is False
    assert len(google.token_requests(refresh_token=refresh_token)) == 1
    assert _fetch(api, user)["isError"] is False
    assert len(google.token_requests(refresh_token=refresh_token)) == 1


def test_a_token_near_its_end_is_renewed_before_it_is_sent(
    user: User, api: Api, google: Google
) -> None:
    before = google.refresh_tokens()
    with google.setting(access_ttl=5):
        connect(user)
    (token,) = google.refresh_tokens() - before
    assert _fetch(api, user)["isError"] is False
    assert len(google.token_requests(refresh_token=token)) == 1
    assert _fetch(api, user)["isError"] is False
    assert len(google.token_requests(refresh_token=token)) == 1


def test_of_twenty_calls_on_an_expired_token_one_renews_it(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    url = user.ensure()["url"]
    google.expire()
    results = wire.at_once(20, lambda: wire.post_call(api, url, "gmail_fetch_mails", {}))
    assert [result["isError"] for result in results] == [False] * 20
    assert len(google.token_requests(refresh_token=refresh_token)) == 1


def test_a_rotated_refresh_token_is_kept(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    with google.setting(rotate=True):
        for _ in range(3):
            google.expire()
            assert _fetch(api, user)["isError"] is False
    assert len(google.token_requests(refresh_token=refresh_token)) == 1


def test_a_grant_that_was_revoked_at_google_asks_to_connect_again_and_google_only_once(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    google.revoke_user(ALICE)
    said = _said(_fetch(api, user))
    assert "no longer honours this grant" in said
    assert f"{api.url}/connect/" in said
    for _ in range(5):
        assert "/connect/" in _said(_fetch(api, user))
    assert len(google.token_requests(refresh_token=refresh_token)) == 1
    assert user.connections()[GMAIL]["status"] == "EXPIRED"
    assert {tool["reason"] for tool in user.ensure()["tools"]} == {"expired", "not_connected"}
    connect(user)
    assert _fetch(api, user)["isError"] is False


def test_a_failing_token_endpoint_is_not_taken_for_a_verdict(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    google.expire()
    with google.setting(fail=[{"path": "oauth2.googleapis.com/token", "status": 503, "times": 9}]):
        assert "/connect/" not in _said(_fetch(api, user))
        assert "/connect/" not in _said(_fetch(api, user))
    assert user.connections()[GMAIL]["status"] == "ACTIVE"
    assert len(google.token_requests(refresh_token=refresh_token)) == 1


def test_a_rate_limit_is_told_with_how_long_to_wait(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    assert refresh_token
    fault = {"path": "/users/me/messages", "status": 429, "retry_after": 17}
    with google.setting(fail=[fault]):
        said = _said(_fetch(api, user))
    assert "rate limit" in said
    assert "17 seconds" in said
    assert _fetch(api, user)["isError"] is False


def test_what_google_says_in_an_error_is_not_passed_on(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    assert refresh_token
    fault = {"path": "/users/me/messages", "status": 400, "body": {"error": "e2e-inner-words"}}
    with google.setting(fail=[fault]):
        assert "e2e-inner-words" not in _said(_fetch(api, user))


def test_sending_the_same_mail_twice_sends_one(
    user: User, google: Google, new_config: Callable[..., str]
) -> None:
    config = new_config(gmail=["gmail_send_message"])
    connect(user, config=config)
    subject, body = f"Canary {uuid.uuid4().hex}", f"Canary {uuid.uuid4().hex}"
    canaries.remember("mail", subject, body)
    mail = {"to": [BOB], "subject": subject, "body": body}
    url = user.ensure(config)["url"]
    first = wire.call(url, "gmail_send_message", mail)
    assert first.is_error is False, wire.text(first)
    again = wire.call(url, "gmail_send_message", mail, mode="legacy")
    assert again.is_error is True
    assert "Already done" in wire.text(again)
    assert len(google.sent(ALICE, subject)) == 1
    other = wire.call(url, "gmail_send_message", mail | {"body": f"{body} 2"})
    assert other.is_error is False
    assert len(google.sent(ALICE, subject)) == 2


def test_the_same_mail_sent_by_ten_at_once_is_sent_once(
    user: User, api: Api, google: Google, new_config: Callable[..., str]
) -> None:
    config = new_config(gmail=["gmail_send_message"])
    connect(user, config=config)
    subject = f"Canary {uuid.uuid4().hex}"
    mail = {"to": [BOB], "subject": subject, "body": subject}
    url = user.ensure(config)["url"]
    results = wire.at_once(10, lambda: wire.post_call(api, url, "gmail_send_message", mail))
    assert [result["isError"] for result in results].count(False) == 1
    assert len(google.sent(ALICE, subject)) == 1


def test_a_mail_whose_answer_was_lost_is_not_sent_again(
    user: User, api: Api, google: Google, new_config: Callable[..., str]
) -> None:
    config = new_config(gmail=["gmail_send_message"])
    connect(user, config=config)
    subject = f"Canary {uuid.uuid4().hex}"
    mail = {"to": [BOB], "subject": subject, "body": subject}
    url = user.ensure(config)["url"]
    lost = {"path": "/messages/send", "status": 502, "after": True}
    with google.setting(fail=[lost]):
        assert "may or may not" in _said(wire.post_call(api, url, "gmail_send_message", mail))
    assert "not known" in _said(wire.post_call(api, url, "gmail_send_message", mail))
    assert len(google.sent(ALICE, subject)) == 1


def test_an_unticked_permission_ends_only_the_tools_that_need_it(
    user: User, api: Api, new_config: Callable[..., str]
) -> None:
    config = new_config(gmail=["gmail_fetch_mails", "gmail_send_message"])
    done = connect(user, without=[_SEND_MAIL], config=config)
    assert (done["status"], done["missing_scopes"]) == ("ACTIVE", [_SEND_MAIL])
    ensured = user.ensure(config)
    assert [(tool["ready"], tool.get("reason")) for tool in ensured["tools"]] == [
        (True, None),
        (False, "missing_permission"),
    ]
    url = ensured["url"]
    assert wire.post_call(api, url, "gmail_fetch_mails", {})["isError"] is False
    mail = {"to": [BOB], "subject": "x", "body": "x"}
    said = _said(wire.post_call(api, url, "gmail_send_message", mail))
    assert "permission" in said
    assert "/connect/" in said
    assert connect(user, config=config)["missing_scopes"] == []
    assert all(tool["ready"] for tool in user.ensure(config)["tools"])


def test_nothing_but_sign_in_allowed_still_connects_and_says_what_is_missing(user: User) -> None:
    done = connect(user, without=[READ_MAIL])
    assert done["missing_scopes"] == [READ_MAIL]


def test_disconnecting_gmail_leaves_the_calendar_working(
    user: User, api: Api, google: Google
) -> None:
    connect(user)
    connect(user, CALENDAR)
    answer = user.call("DELETE", f"/connections/{GMAIL}")
    assert answer.json() == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": False}
    assert "disconnected" in _said(_fetch(api, user))
    event = {
        "summary": "After",
        "start_datetime": "2026-12-02T12:00:00Z",
        "event_duration_minutes": 15,
    }
    url = user.ensure()["url"]
    google.expire()  # the grant itself still lives, not just its last token
    created = wire.post_call(api, url, "googlecalendar_create_event", event)
    assert created["isError"] is False, created


def test_disconnecting_the_last_connection_revokes_at_google(
    user: User, google: Google, refresh_token: str
) -> None:
    assert refresh_token in google.refresh_tokens()
    assert user.call("DELETE", f"/connections/{GMAIL}").json()["revoked"] is True
    assert refresh_token not in google.refresh_tokens()


def test_a_disconnected_user_is_disconnected_even_if_google_does_not_answer(
    user: User, api: Api, google: Google, refresh_token: str
) -> None:
    assert refresh_token
    with google.setting(fail=[{"path": "/revoke", "status": 500}]):
        answer = user.call("DELETE", f"/connections/{GMAIL}")
    assert answer.json() == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": False}
    assert "/connect/" in _said(_fetch(api, user))
