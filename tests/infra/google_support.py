"""Drives the fake Google as a browser and as an OAuth client do."""

from __future__ import annotations

import base64
import hashlib
from datetime import date
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.testclient import TestClient

from infra.local.fake_google.__main__ import CLIENT_ID, CLIENT_SECRET, demo_client
from infra.local.fake_google.app import build
from infra.local.fake_google.grants import Client
from infra.local.fake_google.seed import load
from infra.local.fake_google.world import World

AUTH = "/accounts.google.com/o/oauth2/v2/auth"
TOKEN = "/oauth2.googleapis.com/token"
REVOKE = "/oauth2.googleapis.com/revoke"
MAIL = "/gmail.googleapis.com/gmail/v1/users/me"
EVENTS = "/www.googleapis.com/calendar/v3/calendars/primary/events"
CALLBACK = "http://127.0.0.1:8400/oauth/callback/MY_GMAIL"
SCOPE = "https://www.googleapis.com/auth/"
MODIFY, READ, CALENDAR = SCOPE + "gmail.modify", SCOPE + "gmail.readonly", SCOPE + "calendar"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:-1]
OTHER = Client("other.apps.googleusercontent.com", "s2", "Other", "demo", frozenset([CALLBACK]))
SLOT = {
    "start": {"dateTime": "2026-11-25T10:00:00Z"},
    "end": {"dateTime": "2026-11-25T11:00:00Z"},
}

type Json = dict[str, Any]


def url(**change: str) -> str:
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"openid email {MODIFY} {CALENDAR}",
        "state": "st",
        "nonce": "n1",
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | change
    return f"{AUTH}?{urlencode({name: value for name, value in query.items() if value})}"


def consent(
    google: TestClient, account: str = "alice@example.com", **change: str
) -> dict[str, str]:
    """The callback's query after a person allowed everything that was asked for."""
    asked = dict(parse_qsl(urlsplit(url(**change)).query))["scope"].split()
    form = {"account": account, "scope": asked, "decision": "allow"}
    answer = google.post(url(**change), data=form)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def redeem(google: TestClient, code: str, **change: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code_verifier": VERIFIER,
    } | change
    return google.post(TOKEN, data={name: value for name, value in form.items() if value})


def grant(google: TestClient, account: str = "alice@example.com", **change: str) -> Json:
    return dict(redeem(google, consent(google, account, **change)["code"]).json())


def refresh(google: TestClient, token: str, client: str = CLIENT_ID, secret: str = "") -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return google.post(TOKEN, data=form, auth=(client, secret or CLIENT_SECRET))


def signed_in(google: TestClient, account: str = "alice@example.com", **change: str) -> TestClient:
    google.headers["authorization"] = f"Bearer {grant(google, account, **change)['access_token']}"
    return google


def raw(to: str = "bob@example.com", subject: str = "Hello", **headers: str) -> str:
    message = EmailMessage()
    if to:
        message["To"] = to
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hi there")
    return base64.urlsafe_b64encode(message.as_bytes()).decode()


def reason(answer: Any) -> str:
    return str(answer.json()["error"]["errors"][0]["reason"])


_WORLD = World(
    load(), date(2026, 11, 23), [demo_client("http://127.0.0.1:8400", ["MY_GMAIL"], []), OTHER]
)


def fresh() -> TestClient:
    """A client of the one fake (its key takes a while to make), put back to the seed."""
    _WORLD.reset()
    return TestClient(build(_WORLD), follow_redirects=False)


def decode(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
