"""The fake Google's OAuth, and its strictness: as the real one's where a client can tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from infra.local.fake_google.__main__ import CLIENT_ID
from tests.infra.google_support import (
    CALENDAR,
    CALLBACK,
    EVENTS,
    MAIL,
    MODIFY,
    OTHER,
    READ,
    REVOKE,
    SCOPE,
    SLOT,
    Json,
    consent,
    decode,
    fresh,
    grant,
    raw,
    reason,
    redeem,
    refresh,
    signed_in,
    url,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient


@pytest.fixture
def google() -> Iterator[TestClient]:
    with fresh() as client:
        yield client


def test_a_consent_sends_the_code_back_with_state_and_issuer(google: TestClient) -> None:
    answer = consent(google)
    assert answer["state"] == "st"
    assert answer["iss"] == "https://accounts.google.com"
    assert answer["code"].startswith("4/0A")
    assert MODIFY in answer["scope"].split()


def test_a_code_is_good_for_tokens_and_a_signed_identity(google: TestClient) -> None:
    tokens = grant(google)
    assert tokens["access_token"].startswith("ya29.")
    assert tokens["refresh_token"].startswith("1//0")
    head, body, signature = tokens["id_token"].split(".")
    key = google.get("/www.googleapis.com/oauth2/v3/certs").json()["keys"][0]
    e, n = (int.from_bytes(decode(key[name])) for name in ("e", "n"))
    public = rsa.RSAPublicNumbers(e, n).public_key()
    public.verify(decode(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = json.loads(decode(body))
    assert (claims["aud"], claims["nonce"], claims["email"]) == (
        CLIENT_ID,
        "n1",
        "alice@example.com",
    )


def test_the_page_lists_the_accounts_and_a_box_for_each_scope(google: TestClient) -> None:
    page = google.get(url(login_hint="bob@example.com")).text
    assert "Choose an account" in page
    assert f'name="scope" value="{MODIFY}" checked' in page
    assert 'value="bob@example.com" required checked' in page


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"redirect_uri": CALLBACK + "/"}, "redirect_uri_mismatch"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid nonsense"}, "invalid_scope"),
        ({"scope": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none consent"}, "invalid_request"),
    ],
)
def test_a_wrong_authorization_request_ends_on_googles_own_page(
    google: TestClient, change: dict[str, str], error: str
) -> None:
    for answer in (
        google.get(url(**change)),
        google.post(url(**change), data={"decision": "deny"}),
    ):
        assert answer.status_code in {400, 401}
        assert error in answer.text
        assert "location" not in answer.headers


def test_a_parameter_that_is_given_twice_is_refused(google: TestClient) -> None:
    assert google.get(url() + "&state=other").status_code == 400


def test_a_denial_goes_back_as_an_error_without_a_code(google: TestClient) -> None:
    answer = google.post(url(), data={"decision": "deny", "account": "alice@example.com"})
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query == {
        "error": ["access_denied"],
        "state": ["st"],
        "iss": ["https://accounts.google.com"],
    }


def test_only_the_ticked_scopes_are_granted(google: TestClient) -> None:
    form = {"account": "alice@example.com", "scope": CALENDAR, "decision": "allow"}
    location = google.post(url(), data=form).headers["location"]
    tokens = redeem(google, parse_qs(urlsplit(location).query)["code"][0]).json()
    assert tokens["scope"].split() == ["openid", SCOPE + "userinfo.email", CALENDAR]


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"code": "4/0Anothing"}, 400, "invalid_grant"),
        ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
        ({"code_verifier": ""}, 400, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8400/other"}, 400, "redirect_uri_mismatch"),
        ({"client_id": OTHER.id, "client_secret": OTHER.secret}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
    ],
)
def test_a_wrong_exchange_is_refused(
    google: TestClient, change: dict[str, str], status: int, error: str
) -> None:
    answer = redeem(google, **{"code": consent(google)["code"]} | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_code_works_once_and_for_ten_minutes(google: TestClient) -> None:
    code = consent(google)["code"]
    assert redeem(google, code).status_code == 200
    assert redeem(google, code).json()["error"] == "invalid_grant"
    late = consent(google)["code"]
    google.post("/_test/config", json={"clock_skew": 601})
    assert redeem(google, late).json()["error"] == "invalid_grant"


def test_a_refresh_token_comes_only_offline_and_at_a_first_or_forced_consent(
    google: TestClient,
) -> None:
    assert "refresh_token" not in grant(google, access_type="online")
    assert "refresh_token" in grant(google, prompt="")
    assert "refresh_token" not in grant(google, prompt="")
    assert "refresh_token" in grant(google, prompt="consent select_account")


def test_refreshing_keeps_the_refresh_token_unless_rotation_is_on(google: TestClient) -> None:
    token = grant(google)["refresh_token"]
    assert "refresh_token" not in refresh(google, token).json()
    google.post("/_test/config", json={"rotate": True})
    newer = refresh(google, token).json()["refresh_token"]
    assert refresh(google, token).json()["error"] == "invalid_grant"
    assert refresh(google, newer).json()["error"] == "invalid_grant", "reuse kills the family"


def test_a_refresh_token_belongs_to_one_client(google: TestClient) -> None:
    token = grant(google)["refresh_token"]
    assert refresh(google, token, OTHER.id, OTHER.secret).json()["error"] == "unauthorized_client"


def test_revoking_one_token_ends_the_users_grant_to_the_whole_project(google: TestClient) -> None:
    mail, calendar = grant(google, scope=f"openid {MODIFY}"), grant(google, scope=CALENDAR)
    bobs = grant(google, "bob@example.com")
    assert google.post(REVOKE, data={"token": mail["access_token"]}).status_code == 200
    assert refresh(google, calendar["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(google, bobs["refresh_token"]).status_code == 200
    assert google.post(REVOKE, data={"token": mail["refresh_token"]}).json()["error"] == (
        "invalid_token"
    )


def test_a_missing_unknown_or_expired_bearer_gets_401(google: TestClient) -> None:
    assert google.get(MAIL + "/profile").status_code == 401
    unknown = google.get(MAIL + "/profile", headers={"authorization": "Bearer ya29.x"})
    assert 'error="invalid_token"' in unknown.headers["www-authenticate"]
    signed_in(google)
    assert google.get(MAIL + "/profile").json()["emailAddress"] == "alice@example.com"
    google.post("/_test/expire")
    assert reason(google.get(MAIL + "/profile")) == "authError"


def test_a_method_outside_the_granted_scopes_gets_403(google: TestClient) -> None:
    signed_in(google, scope=f"openid {READ}")
    answer = google.post(MAIL + "/messages/send", json={"raw": raw()})
    assert (answer.status_code, reason(answer)) == (403, "insufficientPermissions")
    detail = answer.json()["error"]["details"][0]
    assert detail["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", MAIL + "/messages?colour=red", None, 400),
        ("GET", MAIL + "/messages?maxResults=many", None, 400),
        ("GET", MAIL + "/messages?maxResults=1&maxResults=2", None, 400),
        ("GET", MAIL + "/messages?access_token=x", None, 400),
        ("GET", MAIL + "/messages/1?format=FULL", None, 400),
        ("GET", EVENTS + "?timeMin=2026-11-23T00:00:00", None, 400),
        ("GET", EVENTS + "?orderBy=startTime", None, 400),
        ("POST", MAIL + "/messages/send", {"raw": raw(), "to": "bob@example.com"}, 400),
        ("POST", MAIL + "/messages/send", {"raw": 7}, 400),
        ("POST", MAIL + "/messages/send", {}, 400),
        ("POST", EVENTS, {**SLOT, "start": {"dateTime": "tomorrow"}}, 400),
        ("GET", MAIL + "/messages/%2e%2e", None, 404),
        ("GET", MAIL + "/nothing", None, 404),
        ("GET", "/evil.example/gmail/v1/users/me/profile", None, 404),
        ("GET", MAIL + "/settings/vacation", None, 501),
    ],
)
def test_what_googles_documents_do_not_allow_is_refused(
    google: TestClient, verb: str, path: str, body: Json | None, status: int
) -> None:
    signed_in(google)
    assert google.request(verb, path, json=body).status_code == status


def test_an_injected_fault_runs_out(google: TestClient) -> None:
    fault = {"path": "/profile", "status": 429, "retry_after": 2, "times": 1}
    signed_in(google).post("/_test/config", json={"fail": [fault]})
    first = google.get(MAIL + "/profile")
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    assert google.get(MAIL + "/profile").status_code == 200
    assert google.post("/_test/config", json={"fial": []}).status_code == 400


def test_a_fault_can_lose_the_answer_of_a_mail_that_was_sent(google: TestClient) -> None:
    fault = {"path": "/messages/send", "status": 503, "after": True}
    signed_in(google).post("/_test/config", json={"fail": [fault]})
    assert (
        google.post(MAIL + "/messages/send", json={"raw": raw(subject="Lost")}).status_code == 503
    )
    found = google.get(MAIL + "/messages?q=subject:lost").json()
    assert found["resultSizeEstimate"] == 1


def test_the_log_keeps_every_request_with_all_its_headers(google: TestClient) -> None:
    google.delete("/_test/log")
    google.get(MAIL + "/profile", headers={"x-canary": "tweet"})
    (row,) = google.get("/_test/log").json()
    assert (row["host"], row["path"]) == ("gmail.googleapis.com", "/gmail/v1/users/me/profile")
    assert ["x-canary", "tweet"] in row["headers"]


def test_a_person_can_end_a_grant_and_a_reset_starts_over(google: TestClient) -> None:
    token = grant(google, scope=f"openid {CALENDAR}")["refresh_token"]
    google.post("/_test/revoke_user", json={"email": "alice@example.com"})
    assert refresh(google, token).json()["error"] == "invalid_grant"
    signed_in(google).post(EVENTS, json={**SLOT, "id": "mvalet0003"})
    google.post("/_test/reset")
    assert signed_in(google).get(f"{EVENTS}/mvalet0003").status_code == 404
