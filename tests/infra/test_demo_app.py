"""The demo app keeps what a frontend must keep: tokens on the server, forms to itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.testclient import TestClient

from infra.local.app.app import DemoApp, build
from infra.local.app.valet import Valet

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "http://127.0.0.1:8500"
OURS = {"origin": ORIGIN}


class FakeValet:
    """The API, by its contract: one person, one connection, `auth-1` as the one authorization."""

    def __init__(self) -> None:
        self.status = "PENDING_AUTH"
        self.calls: list[tuple[str, str, str]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        who = request.headers["authorization"]
        self.calls.append((request.method, request.url.raw_path.decode(), who))
        if who == "Bearer expired":
            return httpx.Response(401, json={"message": "Unauthorized"})
        if request.url.path == "/instances":
            return httpx.Response(200, json=self._instance(json.loads(request.content)["config"]))
        if request.url.path == "/authorizations/auth-1/verify":
            self.status = "ACTIVE"
            said = {"connection": "MY_GMAIL", "connector": "gmail", "status": "ACTIVE"}
            return httpx.Response(200, json=said)
        if request.method == "DELETE":
            self.status = "DISCONNECTED"
            return httpx.Response(200, json={"connection": "MY_GMAIL", "status": self.status})
        wrong = {
            "title": "Forbidden",
            "detail": "this <b>was</b> another user",
            "code": "wrong_user",
        }
        return httpx.Response(403, json=wrong)

    def _instance(self, config: str) -> dict[str, Any]:
        ready = self.status == "ACTIVE"
        tool = {"name": "gmail_fetch_mails", "connection": "MY_GMAIL", "ready": ready}
        return {
            "id": "ins_1",
            "config": config,
            "url": "http://127.0.0.1:8400/mcp/mvk_1",
            "connect_url": "http://127.0.0.1:8400/connect/t1",
            "connections": [
                {"connection": "MY_GMAIL", "connector": "gmail", "status": self.status}
            ],
            "tools": [tool if ready else tool | {"reason": "not_connected"}],
        }


@pytest.fixture
def valet() -> FakeValet:
    return FakeValet()


@pytest.fixture
def browser(valet: FakeValet) -> Iterator[TestClient]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(valet.answer), base_url="http://api")
    app = DemoApp(Valet(http, "assistant"), lambda email: f"jwt-{email}")
    with TestClient(build(app, ORIGIN), base_url=ORIGIN, follow_redirects=False) as client:
        yield client


def sign_in(browser: TestClient, email: str = "alice@example.com") -> Any:
    return browser.post("/sign-in", data={"email": email}, headers=OURS)


def shown(browser: TestClient, path: str = "/") -> str:
    return browser.get(path, follow_redirects=True).text


def test_a_person_signs_in_and_sees_url_connections_and_tools(
    browser: TestClient, valet: FakeValet
) -> None:
    assert "Sign in as Alice" in shown(browser)
    sign_in(browser)
    page = shown(browser)
    assert "http://127.0.0.1:8400/mcp/mvk_1" in page
    assert 'href="http://127.0.0.1:8400/connect/t1"' in page
    assert "0 of 1 ready" in page
    assert "not connected yet" in page
    assert valet.calls == [("POST", "/instances", "Bearer jwt-alice@example.com")]


def test_the_token_never_reaches_the_browser(browser: TestClient) -> None:
    cookie = sign_in(browser).headers["set-cookie"]
    assert "jwt-" not in cookie + shown(browser)
    assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}


def test_verifying_says_what_is_connected(browser: TestClient) -> None:
    sign_in(browser)
    answer = browser.get("/verify?connection=MY_GMAIL&authorization_id=auth-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/verify")
    assert "MY_GMAIL is connected" in shown(browser, "/verify")
    assert "1 of 1 ready" in shown(browser)


def test_a_person_who_is_not_signed_in_signs_in_first_and_goes_on(
    browser: TestClient, valet: FakeValet
) -> None:
    page = shown(browser, "/verify?authorization_id=auth-1")
    assert "Sign in to finish connecting" in page
    assert "auth-1" not in page
    assert valet.calls == []
    assert sign_in(browser, "bob@example.com").headers["location"] == "/verify"
    assert valet.calls == [("POST", "/authorizations/auth-1/verify", "Bearer jwt-bob@example.com")]
    assert "MY_GMAIL is connected" in shown(browser, "/verify")


def test_a_refused_verification_shows_its_reason_escaped(browser: TestClient) -> None:
    sign_in(browser)
    page = shown(browser, "/verify?authorization_id=../evil")
    assert "Forbidden" in page
    assert "this &lt;b&gt;was&lt;/b&gt; another user" in page


def test_an_authorization_id_stays_one_segment_of_the_path(
    browser: TestClient, valet: FakeValet
) -> None:
    sign_in(browser)
    browser.get("/verify?authorization_id=a/../../b")
    assert valet.calls[-1][1] == "/authorizations/a%2F..%2F..%2Fb/verify"


def test_a_denied_consent_says_what_to_do_and_never_what_it_was_sent(browser: TestClient) -> None:
    sign_in(browser)
    assert "Connect again when you want to" in shown(browser, "/verify?error=user_denied")
    assert "script" not in shown(browser, "/verify?error=<script>")


def test_disconnecting_ends_the_connection(browser: TestClient, valet: FakeValet) -> None:
    sign_in(browser)
    browser.post("/disconnect", data={"connection": "MY_GMAIL"}, headers=OURS)
    assert valet.calls[-1][:2] == ("DELETE", "/connections/MY_GMAIL")
    assert "MY_GMAIL is disconnected" in shown(browser)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        OURS | {"sec-fetch-site": "cross-site"},
    ],
)
def test_forms_of_other_sites_change_nothing(browser: TestClient, headers: dict[str, str]) -> None:
    sign_in(browser)
    for path in ("/sign-in", "/sign-out", "/disconnect"):
        assert (
            browser.post(path, data={"connection": "MY_GMAIL"}, headers=headers).status_code == 403
        )


def test_signing_in_gives_the_browser_a_new_session(browser: TestClient) -> None:
    browser.get("/verify?authorization_id=auth-1")
    planted = browser.cookies["demo_session"]
    sign_in(browser)
    assert browser.cookies["demo_session"] != planted
    browser.cookies.set("demo_session", planted, domain="127.0.0.1", path="/")
    browser.cookies.clear()
    assert (
        "Sign in as Alice" in browser.get("/", headers={"cookie": f"demo_session={planted}"}).text
    )


def test_an_expired_token_asks_for_a_new_sign_in(valet: FakeValet) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(valet.answer), base_url="http://api")
    app = build(DemoApp(Valet(http, "assistant"), lambda _: "expired"), ORIGIN)
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as browser:
        sign_in(browser)
        assert "Sign in as Alice" in shown(browser)


def test_pages_run_no_script_and_are_not_framed(browser: TestClient) -> None:
    policy = browser.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
