"""/oauth/callback: a provider's answer, and answers that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.functions.support import VERIFY_URL, Bundle
from tests.world import CALENDAR, GMAIL, GOOGLE

if TYPE_CHECKING:
    from tests.functions.support import Answer


def told(answer: Answer) -> dict[str, str]:
    """What the app's verify page is told."""
    assert answer.status == 303
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == VERIFY_URL
    assert not location.fragment
    return {name: values[0] for name, values in parse_qs(location.query).items()}


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
