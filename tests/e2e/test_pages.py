"""The person's side, in a real browser: the app, the connect page, the consent, and every problem.

The demo app's people are Alice and Bob; each test brings them to a known state first.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.e2e import canaries
from tests.e2e.consent import GMAIL, start
from tests.e2e.deployed import APP
from tests.e2e.google import ALICE, BOB
from valet.native.keys import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.people import User

_CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_PATIENCE: Final = 15_000  # milliseconds until a page must have come
_SCREENSHOTS: Final = os.environ.get("E2E_SCREENSHOTS")  # a folder to keep them in, if wanted


@dataclass
class Person:
    """Somebody in front of a browser of their own, and what the browser complained about."""

    name: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.set_default_timeout(_PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("request", lambda request: canaries.remember_url(request.url))

    def _said(self, kind: str, text: str) -> None:
        # A status of 4xx is what the problem pages are about; the browser calls it an error.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def new_tab(self) -> Page:
        page = self.context.new_page()
        self.listen(page)
        return page

    def press(self, name: str, page: Page | None = None) -> None:
        (page or self.page).get_by_role("button", name=name, exact=True).click()

    def sees(self, *texts: str, page: Page | None = None) -> None:
        shown = (page or self.page).locator("main")
        shown.get_by_text(texts[0]).first.wait_for()
        said = " ".join(shown.inner_text().split())
        for text in texts:
            assert text in said

    def signs_in(self) -> None:
        self.page.goto(f"{APP}/")
        self.press(f"Sign in as {self.name}")
        self.sees("Your assistant's tools")

    def starts_afresh(self) -> None:
        """Signed in, nothing connected; left-overs are of earlier tests."""
        self.signs_in()
        for name in (GMAIL, "MY_CALENDAR"):
            if self.page.get_by_role("button", name=f"Disconnect {name}").count():
                self.press(f"Disconnect {name}")
                self.sees(f"{name} is disconnected")

    def connect_link(self) -> str:
        href = self.page.get_by_role("link", name="Connect", exact=True).get_attribute("href")
        assert href
        return href

    def allows(self, account: str, page: Page | None = None) -> None:
        page = page or self.page
        self.sees("Choose an account", "wants access to your account", page=page)
        page.get_by_label(account).check()
        self.press("Allow", page)


def _executable() -> str:
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found is None:
        # Everything else needs but Python; CI installs a browser first.
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def chromium(deployment: Deployment) -> Iterator[Browser]:
    assert deployment
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(), args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Person]]:
    """Gives people browsers; in the end none of them may have complained."""
    people: list[Person] = []

    def sit_down(name: str) -> Person:
        context = chromium.new_context(viewport={"width": 900, "height": 760})
        person = Person(name, context, context.new_page())
        person.listen(person.page)
        people.append(person)
        return person

    yield sit_down
    for person in people:
        for page in person.context.pages if _SCREENSHOTS else ():
            name = f"{request.node.name}-{person.name}-{person.context.pages.index(page)}.png"
            page.screenshot(path=Path(str(_SCREENSHOTS)) / name)
        cookies = (cookie.get("value", "") for cookie in person.context.cookies())
        canaries.remember("cookie", *cookies)
        person.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest.fixture
def alice(browse: Callable[[str], Person]) -> Person:
    alice = browse("Alice")
    alice.starts_afresh()
    return alice


def test_a_person_connects_both_accounts_from_the_app(alice: Person) -> None:
    for title, name in (("Gmail", GMAIL), ("Google Calendar", "MY_CALENDAR")):
        alice.page.goto(f"{APP}/")
        alice.page.get_by_role("link", name="Connect", exact=True).click()
        alice.sees(
            "Connect your accounts to Demo app",
            "Demo app never sees your password",
            "Go on only if you came here from Demo app yourself",
        )
        alice.press(f"Connect {title}")
        alice.allows(ALICE)
        alice.sees(f"{name} is connected")
        # Neither code nor state nor the authorization stays in the address bar.
        assert alice.page.url == f"{APP}/verify"
    alice.page.get_by_role("link", name="Back to your connections").click()
    alice.sees("Everything is connected", "MY_GMAIL: 1 of 1 ready", "MY_CALENDAR: 1 of 1 ready")
    assert [c for c in alice.context.cookies() if c.get("name", "").startswith("__Host-")] == []


@pytest.mark.native_only("Scalekit keeps a denial to its own page")
def test_a_person_who_denies_is_told_that_nothing_was_connected(alice: Person) -> None:
    alice.page.goto(alice.connect_link())
    alice.press("Connect Gmail")
    alice.press("Deny")
    alice.sees("Nothing was connected", "You chose not to allow access")
    alice.page.goto(f"{APP}/")
    alice.sees("MY_GMAIL: 0 of 1 ready")


def test_somebody_who_was_sent_a_link_connects_nothing_for_either(
    alice: Person, browse: Callable[[str], Person]
) -> None:
    bob = browse("Bob")
    bob.starts_afresh()
    bob.page.goto(alice.connect_link())
    bob.press("Connect Gmail")
    bob.allows(BOB)
    bob.sees("started for somebody else and has been cancelled: nothing was connected")
    for person in (alice, bob):
        person.page.goto(f"{APP}/")
        person.sees("MY_GMAIL: 0 of 1 ready")


def test_a_person_who_is_not_signed_in_yet_signs_in_and_is_connected(
    alice: Person, browse: Callable[[str], Person]
) -> None:
    again = browse("Alice")
    again.page.goto(alice.connect_link())
    again.press("Connect Gmail")
    again.allows(ALICE)
    again.sees("Sign in to finish connecting")
    again.press("Sign in as Alice")
    again.sees("MY_GMAIL is connected")


def test_an_expired_link_says_so(alice: Person, deployment: Deployment) -> None:
    link = alice.connect_link()
    alice.page.goto(link)
    ticket = link.rsplit("/", 1)[1]
    deployment.change(f"TICKET#{digest(ticket)}", expires_at=int(time.time()) - 1)
    alice.press("Connect Gmail")
    alice.sees("This link has expired", "ask your app for a new one", "link_expired")
    alice.page.goto(link)
    alice.sees("This link has expired")


def test_a_used_link_says_so_and_still_offers_the_rest(alice: Person) -> None:
    link = alice.connect_link()
    old_tab = alice.new_tab()
    old_tab.goto(link)
    alice.page.goto(link)
    alice.press("Connect Gmail")
    alice.allows(ALICE)
    alice.sees("MY_GMAIL is connected")
    alice.press("Connect Gmail", old_tab)
    alice.sees("This link was already used", "go back to your app", "link_used", page=old_tab)
    old_tab.goto(link)
    assert old_tab.get_by_role("button", name="Connect Gmail").count() == 0
    alice.press("Connect Google Calendar", old_tab)
    alice.allows(ALICE, old_tab)
    alice.sees("MY_CALENDAR is connected", page=old_tab)


def test_two_tabs_interleaved_both_end_well(alice: Person) -> None:
    link = alice.connect_link()
    tabs = {"Gmail": alice.page, "Google Calendar": alice.new_tab()}
    for title, tab in tabs.items():
        tab.goto(link)
        alice.press(f"Connect {title}", tab)
    for tab in reversed(tabs.values()):
        alice.allows(ALICE, tab)
    alice.sees("MY_CALENDAR is connected", page=tabs["Google Calendar"])
    alice.sees("MY_GMAIL is connected", page=tabs["Gmail"])


@pytest.mark.native_only("going back leads to Scalekit's page, whose link is over")
def test_going_back_after_consenting_does_not_consent_twice(alice: Person) -> None:
    alice.page.goto(alice.connect_link())
    alice.press("Connect Gmail")
    alice.allows(ALICE)
    alice.sees("MY_GMAIL is connected")
    alice.page.go_back()
    alice.sees("Choose an account")
    alice.page.get_by_label(ALICE).check()
    alice.press("Allow")
    alice.sees("go back to your app, it shows how it went")


def test_an_answer_that_arrives_in_another_browser_is_refused(
    alice: Person, user: User, api: Api
) -> None:
    returning = start(api, user.ensure()["connect_url"]).allow()
    query = "&".join(f"{name}={value}" for name, value in returning.query.items())
    alice.page.goto(f"{api.url}/oauth/callback/{GMAIL}?{query}")
    alice.sees("This is another browser", "wrong_browser")


def test_a_page_that_was_never_started_cannot_be_used(alice: Person, api: Api) -> None:
    alice.page.goto(f"{api.url}/oauth/callback/{GMAIL}?state=<script>alert(1)</script>&code=x")
    alice.sees("This page cannot be used", "state_invalid")
    assert "alert" not in alice.page.content()


def test_a_link_that_never_was_says_so(alice: Person, api: Api) -> None:
    alice.page.goto(f"{api.url}/connect/unknown")
    alice.sees("This link has expired", "or was never valid")


def test_our_pages_cannot_be_framed_and_run_nothing(alice: Person) -> None:
    alice.page.goto(alice.connect_link())
    with pytest.raises(Error, match="Content Security Policy"):
        alice.page.add_script_tag(content="window.ran = true")
    assert alice.page.evaluate("window.ran") is None
    alice.complaints.clear()
    link = alice.page.url
    frame = alice.new_tab()
    frame.set_content(f'<iframe src="{link}"></iframe>')
    frame.wait_for_load_state()
    assert "Connect your accounts" not in "".join(each.content() for each in frame.frames)
    assert any("frame-ancestors" in complaint for complaint in alice.complaints)
    alice.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_connect_page_is_usable_by_keyboard_and_on_a_phone(
    scheme: str, alice: Person, chromium: Browser
) -> None:
    link = alice.connect_link()
    context = chromium.new_context(
        viewport={"width": 360, "height": 640},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(link)
    canaries.remember_url(page.url)
    if _SCREENSHOTS:
        page.screenshot(path=Path(_SCREENSHOTS) / f"phone-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Connect Gmail"
    page.keyboard.press("Enter")
    page.get_by_text("Choose an account").wait_for()
    context.close()
