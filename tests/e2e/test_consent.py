"""The way of a consent, with every step that an attacker or an accident may twist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.api import problem
from tests.e2e.consent import (
    CALENDAR,
    GMAIL,
    READ_MAIL,
    Returning,
    connect,
    press,
    start,
    told,
)
from tests.e2e.google import ALICE, BOB
from tests.e2e.wire import at_once
from valet.native.keys import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.google import Google
    from tests.e2e.people import User

_ISS = "iss=https://accounts.google.com"


@pytest.fixture
def link(user: User) -> str:
    return str(user.ensure()["connect_url"])


@pytest.fixture
def returning(api: Api, link: str) -> Returning:
    return start(api, link).allow()


def _past() -> int:
    return int(time.time()) - 1


@pytest.mark.native_only("Scalekit asks Google")
def test_google_is_asked_for_the_least_with_pkce_and_a_nonce(api: Api, link: str) -> None:
    asked = start(api, link).asked
    assert asked["scope"].split() == ["openid", "email", READ_MAIL]
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["nonce"]) == len(asked["state"]) == 43
    assert asked["redirect_uri"] == f"{api.url}/oauth/callback/{GMAIL}"
    assert "include_granted_scopes" not in asked


def test_opening_a_link_many_times_changes_nothing(api: Api, link: str, user: User) -> None:
    path = link.removeprefix(api.url)
    pages = [api.send("GET", path).text for _ in range(5)]
    assert len(set(pages)) == 1
    assert user.connections()[GMAIL]["status"] == "PENDING_AUTH"
    assert user.verify(start(api, link).allow().authorization()).status_code == 200


def test_a_forged_host_changes_no_address(api: Api, link: str) -> None:
    forged = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil"}
    answer = press(api, link, GMAIL, **forged)
    assert answer.status_code == 303
    assert "evil" not in answer.headers["location"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
    ],
)
def test_another_site_cannot_start_a_consent(api: Api, link: str, headers: dict[str, str]) -> None:
    assert problem(press(api, link, GMAIL, **headers)) == (403, "cross_site")


def test_an_unknown_link_is_gone(api: Api) -> None:
    for ticket in ("unknown", "a" * 43, "a" * 3000, "%00", "%C3%A4"):
        assert problem(api.send("GET", f"/connect/{ticket}")) == (410, "link_expired")
        assert problem(api.send("POST", f"/connect/{ticket}/{GMAIL}")) == (410, "link_expired")


def test_an_expired_link_is_gone(api: Api, link: str, deployment: Deployment) -> None:
    ticket = link.rsplit("/", 1)[1]
    deployment.change(f"TICKET#{digest(ticket)}", expires_at=_past())
    assert problem(api.send("GET", f"/connect/{ticket}")) == (410, "link_expired")
    assert problem(press(api, link, GMAIL)) == (410, "link_expired")


def test_a_link_offers_only_its_configs_connections(
    user: User, api: Api, new_config: Callable[..., str]
) -> None:
    link = user.ensure(new_config(gmail=["gmail_fetch_mails"]))["connect_url"]
    for name in (CALENDAR, "NONE", "a" * 300):
        assert problem(press(api, link, name)) == (404, "not_found")


def test_a_used_link_starts_no_second_consent_and_still_serves_the_other_connection(
    api: Api, link: str, returning: Returning, user: User
) -> None:
    user.verify(returning.authorization())
    assert problem(press(api, link, GMAIL)) == (409, "link_used")
    assert user.verify(start(api, link, CALENDAR).allow().authorization()).status_code == 200


def test_a_replayed_answer_is_refused(returning: Returning, user: User) -> None:
    authorization = returning.authorization()
    assert problem(returning.arrive()) == (409, "authorization_used")
    assert user.verify(authorization).status_code == 200
    # A browser has lost the cookie by then.
    assert problem(returning.arrive(cookie="")) == (409, "authorization_used")


def test_of_twenty_equal_answers_at_once_one_is_taken(returning: Returning) -> None:
    answers = at_once(20, returning.arrive)
    assert sorted(answer.status_code for answer in answers) == [303] + [409] * 19


@pytest.mark.native_only("twists the provider's answer, which comes to Scalekit")
def test_an_answer_without_the_cookie_is_refused_and_not_spent(
    returning: Returning, google: Google
) -> None:
    name, _, _ = returning.started.cookie.partition("=")
    for cookie in ("", f"{name}=", f"{name}={'x' * 43}", "__Host-valet_0=1"):
        assert problem(returning.arrive(cookie=cookie)) == (400, "wrong_browser")
    assert google.token_requests(code=returning.query["code"]) == []
    assert returning.arrive().status_code == 303


@pytest.mark.native_only("twists the provider's answer, which comes to Scalekit")
def test_an_answer_at_another_connections_callback_is_refused(
    returning: Returning, google: Google
) -> None:
    for name in (CALENDAR, "NONE"):
        assert problem(returning.arrive(connection=name)) == (400, "state_invalid")
    assert google.token_requests(code=returning.query["code"]) == []


@pytest.mark.parametrize(
    "iss",
    [
        "",
        "&iss=",
        "&iss=https://evil.example",
        "&iss=https://accounts.google.com/",
        "&iss=https://ACCOUNTS.google.com",
        f"&{_ISS}&{_ISS}",
    ],
)
@pytest.mark.native_only("twists the provider's answer, which comes to Scalekit")
def test_an_answer_of_another_issuer_is_refused(
    iss: str, returning: Returning, google: Google
) -> None:
    code, state = returning.query["code"], returning.query["state"]
    assert problem(returning.arrive(f"code={code}&state={state}{iss}")) == (400, "state_invalid")
    assert google.token_requests(code=code) == []


@pytest.mark.native_only("twists the provider's answer, which comes to Scalekit")
def test_error_and_code_together_are_refused(returning: Returning) -> None:
    query = f"code=x&error=access_denied&state={returning.query['state']}&{_ISS}"
    assert problem(returning.arrive(query)) == (400, "state_invalid")
    assert problem(returning.arrive()) == (409, "authorization_used")


@pytest.mark.parametrize("state", ["", "state=", "state=x", f"state={'a' * 43}", "state=%00"])
def test_an_answer_without_a_state_of_ours_is_refused(state: str, returning: Returning) -> None:
    assert problem(returning.arrive(f"code=x&{state}&{_ISS}")) == (400, "state_invalid")


@pytest.mark.native_only("twists the provider's answer, which comes to Scalekit")
def test_repeated_parameters_are_refused(returning: Returning) -> None:
    state = returning.query["state"]
    for twice in (f"state={state}&state={state}&code=x", f"state={state}&code=x&code=y"):
        assert problem(returning.arrive(f"{twice}&{_ISS}")) == (400, "state_invalid")
    assert returning.arrive().status_code == 303


def test_an_answer_that_comes_too_late_is_gone(
    returning: Returning, deployment: Deployment
) -> None:
    deployment.change(f"STATE#{digest(returning.query['state'])}", expires_at=_past())
    assert problem(returning.arrive()) == (410, "consent_expired")


@pytest.mark.native_only("Scalekit keeps a denial to its own page")
def test_a_denial_tells_the_app_a_word_of_ours_and_nothing_of_the_providers(
    api: Api, link: str, user: User
) -> None:
    denied = start(api, link).deny()
    assert told(denied.arrive()) == {"connection": GMAIL, "error": "user_denied"}
    other = start(api, link)
    query = f"error=%3Cscript%3E&error_description=evil&state={other.asked['state']}&{_ISS}"
    answer = Returning(other, {}).arrive(query)
    assert told(answer) == {"connection": GMAIL, "error": "provider_error"}
    assert user.connections()[GMAIL]["status"] == "PENDING_AUTH"
    assert start(api, link).allow().arrive().status_code == 303


def test_post_to_the_callback_is_no_route(api: Api) -> None:
    assert api.send("POST", f"/oauth/callback/{GMAIL}?code=x").status_code == 404


@pytest.mark.native_only("the exchange is Scalekit's, before the app verifies")
def test_a_forwarded_link_connects_nobody_and_nothing_is_exchanged(
    returning: Returning, user: User, other: User, google: Google
) -> None:
    authorization = returning.authorization()
    refused = other.verify(authorization)
    assert problem(refused) == (403, "wrong_user")
    assert user.id not in refused.text
    # Dead for the right user too: who consented is not known any more.
    assert problem(user.verify(authorization)) == (409, "authorization_used")
    assert google.token_requests(code=returning.query["code"]) == []
    for one in (user, other):
        assert one.connections()[GMAIL]["status"] == "PENDING_AUTH"


@pytest.mark.native_only("the exchange is Scalekit's, before the app verifies")
def test_verifying_twice_is_refused_and_asks_google_once(
    returning: Returning, user: User, google: Google
) -> None:
    authorization = returning.authorization()
    assert user.verify(authorization).json()["status"] == "ACTIVE"
    assert problem(user.verify(authorization)) == (409, "authorization_used")
    assert len(google.token_requests(code=returning.query["code"])) == 1
    assert user.connections()[GMAIL]["status"] == "ACTIVE"


@pytest.mark.native_only("the exchange is Scalekit's, before the app verifies")
def test_of_twenty_verifications_at_once_one_asks_google(
    returning: Returning, user: User, google: Google
) -> None:
    authorization = returning.authorization()
    answers = at_once(20, lambda: user.verify(authorization))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert len(google.token_requests(code=returning.query["code"])) == 1


@pytest.mark.native_only("the exchange is Scalekit's, before the app verifies")
def test_an_authorization_that_waited_too_long_is_gone(
    returning: Returning, user: User, deployment: Deployment, google: Google
) -> None:
    authorization = returning.authorization()
    deployment.change(f"AUTHORIZATION#{digest(authorization)}", expires_at=_past())
    assert problem(user.verify(authorization)) == (410, "authorization_expired")
    assert google.token_requests(code=returning.query["code"]) == []


@pytest.mark.native_only("the exchange is Scalekit's, before the app verifies")
def test_a_code_that_google_refuses_connects_nothing(
    returning: Returning, user: User, google: Google
) -> None:
    authorization = returning.authorization()
    with google.setting(fail=[{"path": "/token", "status": 400, "reason": "invalid_grant"}]):
        assert problem(user.verify(authorization)) == (502, "code_refused")
    assert problem(user.verify(authorization)) == (409, "authorization_used")
    assert user.connections()[GMAIL]["status"] == "PENDING_AUTH"


@pytest.mark.native_only("Scalekit does not say which account it is")
def test_another_google_account_replaces_the_first_only_when_told_so(user: User, api: Api) -> None:
    connect(user, account=ALICE)
    authorization = start(api, user.ensure()["connect_url"]).allow(BOB).authorization()
    asked = user.verify(authorization)
    assert problem(asked) == (409, "different_account")
    assert ALICE in asked.json()["detail"]
    assert BOB in asked.json()["detail"]
    assert user.verify(authorization, {"replace_account": True}).status_code == 200
    assert problem(user.verify(authorization)) == (409, "authorization_used")


def test_two_consents_of_one_browser_do_not_disturb_each_other(
    api: Api, link: str, user: User
) -> None:
    first, second = start(api, link, GMAIL), start(api, link, CALENDAR)
    assert first.cookie.partition("=")[0] != second.cookie.partition("=")[0]
    both = f"{first.cookie}; {second.cookie}"
    later, earlier = second.allow(), first.allow()
    for returning in (later, earlier):
        authorization = told(returning.arrive(cookie=both))["authorization_id"]
        assert user.verify(authorization).status_code == 200
    assert {each["status"] for each in user.connections().values()} == {"ACTIVE"}


def test_fifty_first_calls_at_once_make_one_instance(user: User) -> None:
    made = at_once(50, user.ensure)
    assert len({each["id"] for each in made}) == len({each["url"] for each in made}) == 1
    assert len({each["connect_url"] for each in made}) == 50
    assert len(user.call("GET", "/instances").json()["instances"]) == 1
