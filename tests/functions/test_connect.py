"""/connect: the page that a link opens, and starting a consent from it."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.world import CALENDAR, CONFIG, GMAIL, URL
from valet.models import ConnectionTools

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle

HTML = {"accept": "text/html,*/*"}


class Forms(HTMLParser):
    """The forms of a page: method, action, and what is inside that could run or load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "form":
            found = dict(attrs)
            self.forms.append((found["method"] or "", found["action"] or ""))


def page(bundle: Bundle, ticket: str) -> Answer:
    return bundle.call(
        "oauth_callback", "GET /connect/{ticket}", path={"ticket": ticket}, headers=HTML
    )


def ticket(bundle: Bundle, user: str = "alice") -> str:
    url: str = bundle.ensure(user)["connect_url"]
    return url.rsplit("/", 1)[1]


def test_the_page_has_one_posting_form_for_each_connection(bundle: Bundle) -> None:
    text = ticket(bundle)
    answer = page(bundle, text)
    assert answer.status == 200
    assert Forms(answer.body).forms == [
        ("post", f"/connect/{text}/{GMAIL}"),
        ("post", f"/connect/{text}/{CALENDAR}"),
    ]
    assert "Connect your accounts to Example" in answer.body
    assert "until 09:10 UTC" in answer.body


def test_the_page_loads_and_runs_nothing(bundle: Bundle) -> None:
    found = Forms(page(bundle, ticket(bundle)).body)
    assert not found.tags & {"script", "img", "link", "iframe", "object", "embed", "base"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert not found.attributes & {"src", "style", "target", "href"}


def test_the_pages_security_headers(bundle: Bundle) -> None:
    answer = page(bundle, ticket(bundle))
    style = re.search(r"<style>(.*?)</style>", answer.body, re.DOTALL)
    assert style
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert answer.headers == {
        "cache-control": "no-store",
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; "
            "form-action 'self' https://accounts.google.com; "
            "base-uri 'none'; frame-ancestors 'none'"
        ),
        "content-type": "text/html; charset=utf-8",
        "referrer-policy": "same-origin",
        "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    assert not answer.cookies


def test_a_problem_page_may_post_nowhere(bundle: Bundle) -> None:
    answer = page(bundle, "unknown")
    assert answer.status == 410
    assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_what_an_operator_wrote_is_text_on_the_page(bundle: Bundle) -> None:
    bundle.world.configs.put(
        CONFIG,
        "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;",
        [ConnectionTools(GMAIL)],
        owner="",
        replaces=True,
    )
    answer = page(bundle, ticket(bundle))
    found = Forms(answer.body)
    assert not found.tags & {"script", "img"}
    assert "&lt;script&gt;" in answer.body


def test_the_apps_name_is_text_on_the_page(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NAME", "<script>A & B</script>")
    answer = page(bundle, ticket(bundle))
    assert "script" not in Forms(answer.body).tags
    assert "&lt;script&gt;A &amp; B" in answer.body


def test_an_odd_ticket_is_not_echoed(bundle: Bundle) -> None:
    for odd in ('"><script>alert(1)</script>', "../../x", "%0d%0aSet-Cookie: a=b"):
        answer = page(bundle, odd)
        assert answer.status == 410
        assert odd not in answer.body
        assert "script" not in Forms(answer.body).tags


def test_looking_at_the_page_changes_nothing(bundle: Bundle) -> None:
    """Mail scanners and chat previews open every link."""
    text = ticket(bundle)
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    for _ in range(5):
        assert page(bundle, text).status == 200
    head = bundle.call(
        "oauth_callback", "GET /connect/{ticket}", path={"ticket": text}, method="HEAD"
    )
    assert head.status == 200
    assert bundle.world.table.items == before
    assert bundle.start(text).status == 303, "and the link still works"


def test_the_page_shows_how_each_connection_stands(bundle: Bundle) -> None:
    text = ticket(bundle)
    assert page(bundle, text).body.count("Not connected") == 2
    bundle.consent().authorization()
    assert "Waiting for your app to finish" in page(bundle, text).body
    bundle.connected()
    shown = page(bundle, text).body
    assert "Connected" in shown
    assert "Reconnect" in shown


def test_the_page_names_the_tools_that_a_grant_is_not_enough_for(bundle: Bundle) -> None:
    bundle.connected()
    bundle.world.exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails", "gmail_send_message")))
    shown = page(bundle, ticket(bundle)).body
    assert "without a permission that is needed to: send a mail" in shown


def test_a_link_that_was_used_for_a_connection_offers_it_no_more(bundle: Bundle) -> None:
    browser = bundle.consent()
    browser.authorization()
    assert Forms(page(bundle, browser.ticket).body).forms == [
        ("post", f"/connect/{browser.ticket}/{CALENDAR}")
    ]
    again = bundle.start(browser.ticket)
    assert (again.status, again.code) == (409, "link_used")


def test_a_link_lives_for_ten_minutes(bundle: Bundle) -> None:
    text = ticket(bundle)
    bundle.world.now.advance(minutes=10)
    assert page(bundle, text).status == 410
    late = bundle.start(text)
    assert (late.status, late.code) == (410, "link_expired")


def test_a_link_of_a_deleted_config_has_expired(bundle: Bundle) -> None:
    text = ticket(bundle)
    bundle.world.configs.delete(CONFIG, owner="")
    assert page(bundle, text).status == 410


def test_starting_sends_the_browser_to_the_provider(bundle: Bundle) -> None:
    browser = bundle.consent()
    assert browser.asked["redirect_uri"] == f"{URL}/oauth/callback/{GMAIL}"
    assert browser.asked["code_challenge_method"] == "S256"
    assert browser.asked["response_type"] == "code"
    assert browser.asked["client_id"] == "client-1"
    assert "client-secret" not in str(browser.asked)
    assert len(browser.asked["state"]) >= 43
    assert browser.asked["scope"].split() == [
        "openid",
        "email",
        "https://www.googleapis.com/auth/gmail.readonly",
    ]


def test_the_cookie_belongs_to_this_flow_and_this_host_alone(bundle: Bundle) -> None:
    answer = bundle.start(ticket(bundle))
    (cookie,) = answer.cookies
    state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
    name = f"__Host-valet_{hashlib.sha256(state.encode()).hexdigest()[:16]}"
    assert re.fullmatch(
        rf"{name}=[A-Za-z0-9_-]{{43}}; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax", cookie
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body == ""


def test_the_redirect_address_is_never_taken_from_the_request(bundle: Bundle) -> None:
    answer = bundle.start(
        ticket(bundle), host="evil.example", x_forwarded_host="evil.example", forwarded="host=evil"
    )
    assert "evil" not in answer.headers["location"]


OTHER_SITES = {
    "cross-site form": {"sec_fetch_site": "cross-site"},
    "same-site form": {"sec_fetch_site": "same-site"},
    "typed address": {"sec_fetch_site": "none"},
    "fetch metadata over origin": {"sec_fetch_site": "cross-site", "origin": URL},
    "old browser": {"origin": "https://evil.example"},
    "opaque origin": {"origin": "null"},
    "prefix": {"origin": f"{URL}.evil.example"},
    "other scheme": {"origin": URL.replace("https", "http")},
    "other port": {"origin": f"{URL}:444"},
}


@pytest.mark.parametrize("name", OTHER_SITES)
def test_another_site_cannot_start_a_consent(bundle: Bundle, name: str) -> None:
    text = ticket(bundle)
    before = dict(bundle.world.table.items)
    answer = bundle.start(text, **OTHER_SITES[name])
    assert (answer.status, answer.code) == (403, "cross_site")
    assert not answer.cookies
    assert bundle.world.table.items == before


def test_an_old_browser_on_our_own_page_may_start(bundle: Bundle) -> None:
    assert bundle.start(ticket(bundle), origin=URL).status == 303
    assert bundle.start(ticket(bundle), accept="*/*").status == 303


def test_a_connection_that_the_link_does_not_offer_is_not_found(bundle: Bundle) -> None:
    bundle.world.configs.put_connection("OTHER", "gmail", None, owner="", replaces=True)
    answer = bundle.start(ticket(bundle), "OTHER")
    assert (answer.status, answer.code) == (404, "not_found")


def test_a_missing_oauth_client_is_an_operators_matter(bundle: Bundle) -> None:
    bundle.world.clients.clients.clear()
    answer = bundle.start(ticket(bundle))
    assert (answer.status, answer.code) == (503, "oauth_client_missing")
