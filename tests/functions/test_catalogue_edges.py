"""Catalogue A and E at the edges: cookies, pages, redirects, replies, and who is called who."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests import events
from tests.functions.support import VERIFY_URL, Bundle
from tests.functions.test_routes import CASES, all_routes, event_for
from tests.infra.template_support import FUNCTIONS, routes
from tests.world import CALENDAR, CONFIG, GMAIL, GOOGLE, URL

if TYPE_CHECKING:
    from tests.functions.support import Answer

# What Python takes for a space and browsers do not.
SPACES = ["\u2000", "\u00a0", "\u0085", "\u3000", "\u1680", "\x0b", "\x0c", "\x1c", "\x1f"]


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_a_cookie_behind_a_unicode_space_is_not_the_flows_cookie(
    bundle: Bundle, space: str
) -> None:
    """Browsers hold the plain name alone to its `__Host-` prefix: a sibling host sets the other."""
    browser = bundle.consent()
    planted = {f"{space}{name}": value for name, value in browser.cookies.items()}
    refused = browser.back(cookies=planted)
    assert refused.status == 400
    assert "This is another browser" in refused.body
    both = browser.cookies | {f"{space}{name}": "planted" for name in browser.cookies}
    assert browser.back(cookies=both).status == 303


def test_the_callback_is_for_getting_alone() -> None:
    """API Gateway answers the other methods 404; a posted answer would come without the cookie."""
    callbacks = {
        route
        for function in FUNCTIONS
        for route in routes(function)
        if "/oauth/callback" in route or route.startswith(("ANY /o", "ANY /{"))
    }
    assert callbacks == {"GET /oauth/callback/{connection}"}


def refusals(bundle: Bundle) -> dict[str, Answer]:
    """The page of each kind of callback that fails, at a URL that holds a code and a state."""
    used, late, foreign, wrong = (bundle.consent() for _ in range(4))
    used.back()
    found = {
        "used": used.back(),
        "wrong browser": foreign.back(cookies={}),
        "wrong issuer": wrong.back(
            {"state": wrong.asked["state"], "code": "code-1", "iss": "https://evil.example"}
        ),
        "unknown": wrong.back(f"state=CANARY-state&code=code-1&iss={GOOGLE}"),
        "not UTF-8": wrong.back("state=%ff&code=code-1"),
    }
    bundle.world.now.advance(minutes=10)
    return found | {"late": late.back()}


def test_a_refusing_page_holds_no_code_and_no_state_and_tells_no_other_site_its_url(
    bundle: Bundle,
) -> None:
    """It stays at the callback's URL, so that a busy one can be reloaded; nothing leads from it."""
    for name, page in refusals(bundle).items():
        assert page.status in (400, 409, 410), name
        assert page.headers["content-type"].startswith("text/html"), name
        assert page.headers["referrer-policy"] == "no-referrer", name
        assert page.headers["cache-control"] == "no-store", name
        assert page.headers["strict-transport-security"], name
        assert "default-src 'none'" in page.headers["content-security-policy"], name
        assert not re.search(r"code-1|CANARY|href|src=|<form|<script", page.body), name


def redirects(bundle: Bundle) -> list[Answer]:
    ticket = bundle.ensure()["connect_url"].rsplit("/", 1)[1]
    denied = bundle.consent(connection=CALENDAR)
    query = {"state": denied.asked["state"], "iss": GOOGLE, "error": "access_denied"}
    return [bundle.start(ticket), bundle.consent().back(), denied.back(query)]


def test_every_redirect_is_a_303(bundle: Bundle) -> None:
    """A 307 would hand the posted form, or a method of the sender's choice, to the next site."""
    assert [answer.status for answer in redirects(bundle)] == [303, 303, 303]


STEERING = "redirect_uri={0}&return_to={0}&verify_url={0}&next={0}&url={0}&redirect={0}"


@pytest.mark.parametrize(
    "evil", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nothing_in_a_request_steers_where_the_browser_goes(bundle: Bundle, evil: str) -> None:
    browser = bundle.consent()
    asked = f"state={browser.asked['state']}&code=c&iss={GOOGLE}&{STEERING.format(evil)}"
    headers = {"host": "evil.example", "referer": evil, "x-forwarded-host": "evil.example"}
    location = urlsplit(browser.back(asked, headers=headers).headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == VERIFY_URL
    assert "evil" not in location.query


ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:9001/2018-06-01/runtime/invocation/x/response",
    "http://localhost:9001/",
    "https://evil.example/",
    "https://evil.example/?.amazonaws.com/",
    "https://evil.example/x.amazonaws.com/",
    "https://evil.example#.amazonaws.com/",
    "https://evilamazonaws.com/",
    "https://amazonaws.com.evil.example/",
    "https://s3.amazonaws.com.evil.example/",
    "https://s3.amazonaws.com@evil.example/",
    "https://evil.example\\@s3.amazonaws.com/",
    "https://user@s3.amazonaws.com/",
    "https://s3.amazonaws.com:9001/",
    "https://s3.amazonaws.com",
    "https://s3.amazonaws.com/\r\nHost: evil.example",
    "http://s3.amazonaws.com/",
    "HTTPS://s3.amazonaws.com/x",
    "ftp://s3.amazonaws.com/",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE, ids=ascii)
@pytest.mark.parametrize("endpoint", [None, "https://dynamodb.us-east-1.amazonaws.com"])
def test_a_reply_to_elsewhere_is_not_sent_and_its_request_not_done(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, url: str, endpoint: str | None
) -> None:
    """Any invoker of the function could else make it PUT anywhere, its runtime's API included."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    before = dict(bundle.world.table.items)
    event = events.custom_resource(
        "Create", "McpConnection", {"Name": "X", "Connector": "gmail"}, url=url
    )
    with pytest.raises(ValueError, match="CloudFormation"):
        bundle.invoke("create_config", event)
    assert bundle.world.table.items == before


@pytest.mark.parametrize(
    "url",
    [
        "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws?X-Amz=1",
        "https://cloudformation-custom-resource-response-uswest2.s3-us-west-2.amazonaws.com/a%7Cb?c=d",
        "https://cloudformation-custom-resource-response-x.s3.cn-north-1.amazonaws.com.cn/a?c=d",
    ],
)
def test_a_reply_goes_to_cloudformations_own_bucket(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    sent: list[str] = []

    def urlopen(reply: Any, timeout: float) -> Any:
        sent.append(reply.full_url)
        assert timeout
        raise TimeoutError

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    event = events.custom_resource("Delete", "McpConfig", {}, url=url, physical_id="x")
    with pytest.raises(TimeoutError):
        bundle.invoke("create_config", event)
    assert sent == [url]


def test_the_emulators_reply_url_is_good_on_its_own_machine_and_port_alone(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = importlib.import_module("valet.cloudformation")
    assert bundle
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    edge._check_reply_url("http://localhost:4566/_reply/x")
    for url in ("http://localhost:9001/x", "http://127.0.0.1/x", "http://127.0.0.1:4566@evil/x"):
        with pytest.raises(ValueError, match="CloudFormation"):
            edge._check_reply_url(url)


@pytest.mark.parametrize(
    "claims",
    [{"typ": "ID"}, {"typ": "Refresh"}, {"at_hash": "x"}, {"token_use": "id"}, {"token_use": ""}],
    ids=str,
)
def test_a_token_that_is_not_for_apis_is_refused_whichever_provider_made_it(
    bundle: Bundle, claims: dict[str, str]
) -> None:
    caller = events.jwt(**claims)
    for route in ("GET /instances", "GET /connections"):
        answer = bundle.call(all_routes()[route][0], route, caller=caller)
        assert (answer.status, answer.code) == (403, "forbidden")
    other = events.jwt(typ="Bearer")
    assert bundle.call("ensure_instance", "GET /instances", caller=other).status == 200


@pytest.mark.parametrize("sub", [None, "", [], ["alice"], 7, True, {"alice": 1}], ids=repr)
def test_a_claim_that_names_nobody_is_nobody(bundle: Bundle, sub: object) -> None:
    caller = events.jwt()
    caller["jwt"]["claims"] |= {"sub": sub}
    answer = bundle.call("ensure_instance", "GET /instances", caller=caller)
    assert (answer.status, answer.code) == (400, "bad_user")


def test_a_missing_claim_is_not_made_up_from_another(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER_CLAIM", "employee")
    caller = events.jwt("alice", email="alice@example.com", username="alice")
    answer = bundle.call("ensure_instance", "GET /instances", caller=caller)
    assert (answer.status, answer.code) == (400, "bad_user")


def test_a_user_named_in_query_header_or_cookie_of_a_frontend_is_not_heard(bundle: Bundle) -> None:
    bundle.ensure("alice")
    bundle.ensure("bob")
    answer = bundle.call(
        "ensure_instance",
        "GET /instances",
        caller=events.jwt("alice"),
        query="user=bob&sub=bob&user_id=bob&tenant=x",
        headers={"x-user": "bob", "x-user-id": "bob", "x-tenant": "x", "x-amzn-oidc-data": "bob"},
        cookies={"user": "bob"},
    )
    plain = bundle.call("ensure_instance", "GET /instances", caller=events.jwt("alice"))
    assert answer.body == plain.body


FIELDS = ["status", "provider", "scopes", "granted_scopes", "tenant", "version", "sealed", "owner"]


@pytest.mark.parametrize("route", sorted(r for r in CASES if r.startswith(("PUT", "POST"))))
def test_no_route_takes_a_field_that_is_ours_to_set(bundle: Bundle, route: str) -> None:
    function, caller = all_routes()[route]
    if caller == "none":
        return  # these read no body at all
    event = event_for(bundle, route)
    who = {"jwt": events.jwt(), "iam": events.iam()}[caller]
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    for name in FIELDS:
        wrong = event | {"body": {**event.get("body", {}), name: "ACTIVE"}}
        answer = bundle.call(function, route, **wrong, caller=who)
        assert (answer.status, answer.code) == (400, "invalid_request"), name
    assert bundle.world.table.items == before


@pytest.mark.parametrize("route", ["GET /instances", "GET /connections", "GET /configs"])
def test_lists_come_whole_so_no_cursor_can_be_edited(bundle: Bundle, route: str) -> None:
    bundle.ensure("alice")
    function, caller = all_routes()[route]
    who = {"jwt": events.jwt(), "iam": events.iam()}[caller]
    plain = bundle.call(function, route, caller=who)
    query = "cursor=x&next_token=x&page=2&limit=0&ExclusiveStartKey=OWNER%23x"
    assert bundle.call(function, route, caller=who, query=query).body == plain.body
    assert not {"cursor", "next", "next_token", "nextCursor"} & set(plain.json)


TOKENS = re.compile(r"\b(at|rt)-1\b|client-secret|google-alice|code-1|sealed|access_token|refresh")


@pytest.mark.parametrize("route", sorted(CASES))
def test_no_answer_of_any_route_holds_a_token_or_what_leads_to_one(
    bundle: Bundle, route: str
) -> None:
    bundle.connected(connection=CALENDAR)
    function, caller = all_routes()[route]
    who = {"jwt": events.jwt(), "iam": events.iam(), "none": None}[caller]
    answer = bundle.call(function, route, **event_for(bundle, route), caller=who)
    assert answer.status in (200, 204, 303)
    catalogue = route == "GET /tools"  # whose words are about mail, not ours
    assert catalogue or not TOKENS.search(f"{answer.headers} {answer.body}")


def test_a_service_is_not_told_the_addresses_of_two_accounts_either(bundle: Bundle) -> None:
    bundle.connected()
    browser = bundle.consent()
    grant = bundle.world.grant(browser.asked)
    claims = {**(grant.claims or {}), "sub": "another", "email": "other@example.com"}
    bundle.world.provider.default = bundle.world.grant(browser.asked, claims=claims)
    authorization_id = browser.authorization()
    path = {"user": "alice", "id": authorization_id}
    route = "POST /users/{user}/authorizations/{id}/verify"
    told = bundle.call("oauth_callback", route, path=path, caller=events.iam())
    assert (told.status, told.code) == (409, "different_account")
    assert "@" not in told.body
    own = bundle.verify(authorization_id)
    assert (own.status, own.code) == (409, "different_account")
    assert "other@example.com" in own.body, "the user is asked which one they meant"


def test_a_guest_and_a_stranger_get_the_same_answer(bundle: Bundle) -> None:
    """No route tells whether a user, an instance or an authorization of another exists."""
    made = bundle.ensure("alice")
    bundle.connected("alice")
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        route = f"{method} /instances/{{id}}{suffix}"
        answers = [
            bundle.call("ensure_instance", route, path={"id": known}, caller=events.jwt("bob"))
            for known in (made["id"], "ins_" + "0" * 32, "nonsense")
        ]
        assert len({(answer.status, answer.body) for answer in answers}) == 1
    route = "GET /users/{user}/connections"
    listed = [
        bundle.call("oauth_callback", route, path={"user": name}, caller=events.iam())
        for name in ("bob", "nobody-of-that-name")
    ]
    assert listed[0].body == listed[1].body
    assert CONFIG
    assert GMAIL in listed[0].body
    assert URL not in listed[0].body
