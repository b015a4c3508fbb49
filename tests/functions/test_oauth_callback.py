"""/connect to /connections, as a browser, an app and an attacker use them."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import events
from tests.functions.support import VERIFY_URL, Bundle
from tests.world import BOB, CALENDAR, CONFIG, GMAIL, GOOGLE, URL
from valet.models import ConnectionTools
from valet.native import keys
from valet.native.provider import InvalidGrant, ProviderUnavailable

if TYPE_CHECKING:
    from tests.functions.support import Answer

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


def told(answer: Answer) -> dict[str, str]:
    """What the app's verify page is told."""
    assert answer.status == 303
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == VERIFY_URL
    assert not location.fragment
    return {name: values[0] for name, values in parse_qs(location.query).items()}


# --- The page


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


# --- Starting


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


# --- Coming back


def test_the_browser_leaves_without_code_and_state(bundle: Bundle) -> None:
    browser = bundle.consent()
    answer = browser.back()
    assert set(told(answer)) == {"connection", "authorization_id"}
    assert told(answer)["connection"] == GMAIL
    for secret in ("code-1", browser.asked["state"], *browser.cookies.values()):
        assert secret not in answer.headers["location"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body == ""
    assert not bundle.world.provider.calls, "nothing is exchanged before the app has verified"


def test_the_cookie_of_the_flow_is_cleared(bundle: Bundle) -> None:
    browser = bundle.consent()
    (name,) = browser.cookies
    assert browser.back().cookies == [f"{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("access_denied", "user_denied"),
        ("server_error", "provider_error"),
        ("<script>alert(1)</script>", "provider_error"),
        ("x" * 5000, "provider_error"),
        ("%0d%0aSet-Cookie: a=b", "provider_error"),
    ],
)
def test_a_refusal_is_told_in_our_own_words(bundle: Bundle, error: str, shown: str) -> None:
    browser = bundle.consent()
    query = {
        "state": browser.asked["state"],
        "iss": GOOGLE,
        "error": error,
        "error_description": "<img src=x onerror=alert(1)>",
        "error_uri": "https://evil.example",
    }
    answer = browser.back(query)
    assert told(answer) == {"connection": GMAIL, "error": shown}
    assert len(answer.cookies) == 1
    assert "Max-Age=0" in answer.cookies[0]
    replayed = browser.back(query, headers={"accept": "application/json"})
    assert (replayed.status, replayed.code) == (409, "authorization_used")


ISS = f"iss={GOOGLE}"
BROKEN = {  # callback queries that are refused; STATE is that of the flow under way
    "no state": f"code=c&{ISS}",
    "empty state": f"code=c&{ISS}&state=",
    "state twice": f"code=c&{ISS}&state=STATE&state=STATE",
    "other state": f"code=c&{ISS}&state={'A' * 43}",
    "state changed": f"code=c&{ISS}&state=STATE0",
    "long state": f"code=c&{ISS}&state={'A' * 4000}",
    "no code": f"state=STATE&{ISS}",
    "empty code": f"state=STATE&{ISS}&code=",
    "code twice": f"state=STATE&{ISS}&code=a&code=b",
    "code of 8 KB": f"state=STATE&{ISS}&code={'c' * 8192}",
    "code and error": f"state=STATE&{ISS}&code=c&error=access_denied",
    "error twice": f"state=STATE&{ISS}&error=a&error=b",
    "no issuer": "state=STATE&code=c",
    "empty issuer": "state=STATE&code=c&iss=",
    "issuer twice": f"state=STATE&code=c&{ISS}&{ISS}",
    "other issuer": "state=STATE&code=c&iss=https://evil.example",
    "issuer with a slash": f"state=STATE&code=c&{ISS}/",
    "issuer in capitals": "state=STATE&code=c&iss=https://ACCOUNTS.google.com",
    "nothing": "",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_callback_that_is_not_quite_right_is_refused(bundle: Bundle, name: str) -> None:
    browser = bundle.consent()
    query = BROKEN[name].replace("STATE", browser.asked["state"])
    answer = browser.back(query, headers={"accept": "application/json"})
    assert (answer.status, answer.code) == (400, "state_invalid")
    assert not answer.cookies
    assert not bundle.world.provider.calls
    assert not [key for key in bundle.world.table.items if key.pk.startswith("AUTHORIZATION")]


@pytest.mark.parametrize("cookies", [{}, {"__Host-valet_0000000000000000": "x"}])
def test_another_browser_cannot_bring_the_answer(bundle: Bundle, cookies: dict[str, str]) -> None:
    browser = bundle.consent()
    answer = browser.back(cookies=cookies)
    assert answer.status == 400
    assert "This is another browser" in answer.body
    assert "authorization_id" in told(browser.back()), "the right browser still can"


def test_an_answer_for_one_connection_is_not_taken_on_anothers_callback(bundle: Bundle) -> None:
    browser = bundle.consent()
    answer = browser.back(path={"connection": CALENDAR}, headers={"accept": "application/json"})
    assert (answer.status, answer.code) == (400, "state_invalid")


def test_an_answer_is_taken_once(bundle: Bundle) -> None:
    browser = bundle.consent()
    assert told(browser.back())
    again = browser.back()
    assert again.status == 409
    assert "Already done" in again.body


def test_an_answer_that_comes_late_is_refused_while_its_record_is_still_there(
    bundle: Bundle,
) -> None:
    browser = bundle.consent()
    bundle.world.now.advance(minutes=10)
    late = browser.back(headers={"accept": "application/json"})
    assert (late.status, late.code) == (410, "consent_expired")


def test_two_tabs_do_not_disturb_each_other(bundle: Bundle) -> None:
    first, second = bundle.consent(), bundle.consent(connection=CALENDAR)
    cookies = first.cookies | second.cookies
    assert len(cookies) == 2
    assert told(second.back(cookies=cookies))["connection"] == CALENDAR
    assert told(first.back(cookies=cookies))["connection"] == GMAIL


def test_made_up_callbacks_cost_one_read_each(bundle: Bundle) -> None:
    browser = bundle.consent()
    bundle.world.table.requests.clear()
    for number in range(50):
        browser.back(f"state=guess{number}&code=c&iss={GOOGLE}")
    assert bundle.world.table.requests == ["get"] * 50


# --- Verifying


def test_the_app_finishes_for_the_user_who_consented(bundle: Bundle) -> None:
    answer = bundle.verify(bundle.consent().authorization())
    assert answer.status == 200
    assert answer.json["connection"] == GMAIL
    assert answer.json["connector"] == "gmail"
    assert answer.json["status"] == "ACTIVE"
    assert [call["grant"] for call in bundle.world.provider.calls] == ["code"]
    for secret in ("at-1", "rt-1", "google-alice", "alice@example.com"):
        assert secret not in answer.body


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "{}"}, {"raw": b"{}"}, {}])
def test_verifying_needs_no_body(bundle: Bundle, body: dict[str, Any]) -> None:
    assert bundle.verify(bundle.consent().authorization(), **body).status == 200


def test_the_wrong_user_ends_the_authorization_for_everyone(bundle: Bundle) -> None:
    """A forwarded link: Alice's link, Bob's consent, Bob's sign-in at the app."""
    authorization_id = bundle.consent("alice").authorization()
    refused = bundle.verify(authorization_id, "bob")
    assert (refused.status, refused.code) == (403, "wrong_user")
    assert "alice" not in refused.body
    again = bundle.verify(authorization_id, "alice")
    assert (again.status, again.code) == (409, "authorization_used")
    assert not bundle.world.provider.calls
    assert not bundle.world.table.query(keys.grants_partition(BOB))


def test_an_authorization_is_verified_once(bundle: Bundle) -> None:
    authorization_id = bundle.consent().authorization()
    assert bundle.verify(authorization_id).status == 200
    again = bundle.verify(authorization_id)
    assert (again.status, again.code) == (409, "authorization_used")
    assert len(bundle.world.provider.calls) == 1


def test_an_authorization_waits_five_minutes(bundle: Bundle) -> None:
    authorization_id = bundle.consent().authorization()
    bundle.world.now.advance(minutes=5)
    late = bundle.verify(authorization_id)
    assert (late.status, late.code) == (410, "authorization_expired")
    assert not bundle.world.provider.calls


def test_a_made_up_authorization_is_not_found(bundle: Bundle) -> None:
    answer = bundle.verify("A" * 43)
    assert (answer.status, answer.code) == (404, "authorization_unknown")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (InvalidGrant("provider prose"), 502, "code_refused"),
        (ProviderUnavailable("later"), 502, "provider_unavailable"),
    ],
)
def test_a_provider_that_refuses_leaves_nothing_connected(
    bundle: Bundle, failure: Exception, status: int, code: str
) -> None:
    authorization_id = bundle.consent().authorization()
    bundle.world.provider.answers.append(failure)
    answer = bundle.verify(authorization_id)
    assert (answer.status, answer.code) == (status, code)
    assert "provider prose" not in answer.body
    listed = bundle.call("oauth_callback", "GET /connections", caller=events.jwt())
    assert {c["status"] for c in listed.json["connections"]} == {"PENDING_AUTH"}


# --- Connections


def test_connections_are_listed_and_taken_back(bundle: Bundle) -> None:
    bundle.connected()
    listed = bundle.call("oauth_callback", "GET /connections", caller=events.jwt()).json
    assert [(c["connection"], c["status"]) for c in listed["connections"]] == [
        (CALENDAR, "PENDING_AUTH"),
        (GMAIL, "ACTIVE"),
    ]
    gone = bundle.call(
        "oauth_callback", "DELETE /connections/{name}", path={"name": GMAIL}, caller=events.jwt()
    )
    assert gone.json == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": True}
    assert bundle.world.provider.calls[-1]["grant"] == "revoke"
    again = bundle.call(
        "oauth_callback", "DELETE /connections/{name}", path={"name": GMAIL}, caller=events.jwt()
    )
    assert (again.status, again.code) == (404, "not_found")


def test_a_service_verifies_for_the_user_it_names(bundle: Bundle) -> None:
    authorization_id = bundle.consent("alice").authorization()
    route = "POST /users/{user}/authorizations/{id}/verify"
    path = {"user": "alice", "id": authorization_id}
    answer = bundle.call("oauth_callback", route, path=path, caller=events.iam())
    assert (answer.status, answer.json["status"]) == (200, "ACTIVE")
