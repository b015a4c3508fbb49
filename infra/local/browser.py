"""A person's browser, as far as our pages need one: cookies, forms, redirects, no script.

Headless walks and tests click through the same pages that a person sees. Loopback counts as secure
for cookies, as it does in real browsers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin

import httpx

_HOPS = 10


@dataclass
class Form:
    """One form of a page: where it goes, what it holds, and its buttons by what they say."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)  # radio buttons: name, value
    buttons: dict[str, tuple[str, str] | None] = field(default_factory=dict)


@dataclass
class Page:
    """What the browser shows."""

    url: str
    status: int
    html: str
    headers: httpx.Headers
    title: str = ""
    text: str = ""
    forms: list[Form] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # of inputs with an id

    def form_with(self, label: str) -> Form:
        """The form with a button of that label or accessible name."""
        for form in self.forms:
            if label in form.buttons:
                return form
        known = [name for form in self.forms for name in form.buttons]
        raise LookupError(f"no button {label!r} on {self.title!r}; there are {known}")


class Browser:
    def __init__(self) -> None:
        self._http = httpx.Client(follow_redirects=False, timeout=30, trust_env=False)
        # The client's own jar would not send a Secure cookie to loopback.
        self._cookies = httpx.Cookies()
        self._cookies.jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self.visited: list[str] = []

    @property
    def cookies(self) -> CookieJar:
        return self._cookies.jar

    def open(self, url: str) -> Page:
        return self._follow(self._request("GET", url), url)

    def click(self, page: Page, label: str, **fields: str | list[str]) -> Page:
        """Press a button; `fields` change what the form holds, as a person would first."""
        form = page.form_with(label)
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            data.setdefault(name, []).append(value)
        for name, given in fields.items():
            data[name] = [given] if isinstance(given, str) else given
        pressed = form.buttons[label]
        if pressed:
            data[pressed[0]] = [pressed[1]]
        target = urljoin(page.url, form.action) if form.action else page.url
        if form.method == "get":
            return self.open(str(httpx.URL(target, params=data)))
        headers = {"origin": _origin(page.url), "sec-fetch-site": _site(page.url, target)}
        return self._follow(self._request("POST", target, data=data, headers=headers), target)

    def _request(
        self,
        method: str,
        url: str,
        data: dict[str, list[str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        self.visited.append(url)
        sent = {"accept": "text/html", **(headers or {})}
        request = self._http.build_request(method, url, data=data, headers=sent)
        self._cookies.set_cookie_header(request)
        response = self._http.send(request)
        self._cookies.extract_cookies(response)
        self._http.cookies.clear()
        return response

    def _follow(self, response: httpx.Response, url: str) -> Page:
        for _ in range(_HOPS):
            if not response.has_redirect_location:
                return _read(response, url)
            url = urljoin(url, response.headers["location"])
            response = self._request("GET", url)
        raise RuntimeError(f"more than {_HOPS} redirects")


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _site(page: str, target: str) -> str:
    return "same-origin" if _origin(page) == _origin(target) else "cross-site"


def _read(response: httpx.Response, url: str) -> Page:
    page = Page(url, response.status_code, response.text, response.headers)
    reader = _Reader(page)
    reader.feed(page.html)
    page.text = " ".join(" ".join(reader.words).split())
    return page


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self.words: list[str] = []
        self._within: list[str] = []
        self._button: tuple[str | None, tuple[str, str] | None] | None = None
        self._href: str | None = None
        self._label: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("style", "title", "script"):
            self._within.append(tag)
        elif tag == "form":
            self.page.forms.append(
                Form(given.get("action", ""), given.get("method", "get").lower())
            )
        elif tag == "input":
            self._input(given)
        elif tag == "button" and self.page.forms:
            pressed = (given["name"], given.get("value", "")) if "name" in given else None
            self._button, self._label = (given.get("aria-label"), pressed), []
        elif tag == "a":
            self._href, self._label = given.get("href", ""), []

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()
        elif tag == "button" and self._button:
            name, pressed = self._button
            said = " ".join("".join(self._label).split())
            for label in filter(None, (said, name)):
                self.page.forms[-1].buttons.setdefault(label, pressed)
            self._button = None
        elif tag == "a" and self._href is not None:
            self.page.links[" ".join("".join(self._label).split())] = self._href
            self._href = None

    def handle_data(self, data: str) -> None:
        if self._within:
            if self._within[-1] == "title":
                self.page.title += data
            return
        self._label.append(data)
        self.words.append(data)

    def _input(self, given: dict[str, str]) -> None:
        name, value, kind = given.get("name"), given.get("value", ""), given.get("type", "text")
        if "id" in given:
            self.page.values[given["id"]] = value
        if not name or not self.page.forms:
            return
        form = self.page.forms[-1]
        if kind == "radio":
            form.choices.append((name, value))
        if kind not in ("radio", "checkbox") or "checked" in given:
            form.fields.append((name, value))
