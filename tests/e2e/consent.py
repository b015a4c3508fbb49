"""A consent step by step, so that a test can stop, repeat or twist any of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.e2e.deployed import PROVIDER
from tests.e2e.google import ALICE

if TYPE_CHECKING:
    from collections.abc import Collection

    import httpx

    from tests.e2e.api import Api
    from tests.e2e.people import User

GMAIL: Final = "MY_GMAIL"
CALENDAR: Final = "MY_CALENDAR"
READ_MAIL: Final = "https://www.googleapis.com/auth/gmail.readonly"


@dataclass(frozen=True)
class Started:
    """A browser on its way to Google."""

    api: Api
    connection: str
    authorize_url: str
    cookie: str  # name=value
    between: dict[str, str] = field(default_factory=dict)  # Scalekit's cookies, if it is between

    @property
    def asked(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.authorize_url).query))

    def allow(self, account: str = ALICE, without: Collection[str] = ()) -> Returning:
        scopes = [scope for scope in self.asked["scope"].split() if scope not in without]
        form = [("account", account), ("decision", "allow"), *(("scope", s) for s in scopes)]
        return self._answered(form)

    def deny(self) -> Returning:
        return self._answered([("decision", "deny")])

    def _answered(self, form: list[tuple[str, str]]) -> Returning:
        answer = self.api.http.post(
            self.authorize_url,
            content=urlencode(form),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 302, answer.text
        location = follow(self.api, answer.headers["location"], self.api.url, self.between)
        return Returning(self, dict(parse_qsl(urlsplit(location).query)))


@dataclass(frozen=True)
class Returning:
    """A browser on its way back, with Google's answer in its address bar."""

    started: Started
    query: dict[str, str]

    def arrive(
        self,
        query: str | None = None,
        *,
        connection: str | None = None,
        cookie: str | None = None,
        page: bool = False,
    ) -> httpx.Response:
        headers = {"accept": "text/html"} if page else {}
        cookie = self.started.cookie if cookie is None else cookie
        if cookie:
            headers["cookie"] = cookie
        sent = urlencode(self.query) if query is None else query
        path = f"/oauth/callback/{connection or self.started.connection}"
        return self.started.api.send("GET", f"{path}?{sent}", headers=headers)

    def authorization(self) -> str:
        """What the app is told at its verify page."""
        return told(self.arrive())["authorization_id"]


def told(answer: httpx.Response) -> dict[str, str]:
    """The query that a browser brings to the app's verify page."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.1:8500/verify"
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def press(api: Api, connect_url: str, connection: str, **headers: str) -> httpx.Response:
    """Press a connection's button on the connect page."""
    ticket = connect_url.rsplit("/", 1)[1]
    sent = {"sec-fetch-site": "same-origin"} | headers
    return api.send("POST", f"/connect/{ticket}/{connection}", headers=sent)


def start(api: Api, connect_url: str, connection: str = GMAIL) -> Started:
    answer = press(api, connect_url, connection)
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    between: dict[str, str] = {}
    at_google = follow(api, answer.headers["location"], PROVIDER, between)
    return Started(api, connection, at_google, cookie, between)


def follow(api: Api, url: str, to: str, cookies: dict[str, str]) -> str:
    """Follow redirects until one leads to a site; what is between sets cookies and gets them."""
    while not url.startswith(to):
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = api.http.get(url, headers={"cookie": sent} if sent else {})
        assert answer.status_code == 302, answer.text
        pairs = (line.partition(";")[0] for line in answer.headers.get_list("set-cookie"))
        cookies |= dict(pair.split("=", 1) for pair in pairs)
        url = answer.headers["location"]
    return url


def connect(
    user: User,
    connection: str = GMAIL,
    account: str = ALICE,
    without: Collection[str] = (),
    config: str | None = None,
) -> dict[str, Any]:
    """The whole of it, for a user who only wants to be connected."""
    ensured = user.ensure(config) if config else user.ensure()
    started = start(user.api, ensured["connect_url"], connection)
    answer = user.verify(started.allow(account, without).authorization())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
