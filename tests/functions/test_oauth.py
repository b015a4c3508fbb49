"""/mcp as a protected resource: what an OAuth client is told, and which access tokens open it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwk

from tests import events
from tests.functions.test_mcp_server import HEADERS, LIST, MESSAGES
from tests.issuer import ISSUER, FakeIssuer, new_key
from tests.world import ALICE, CONFIG, GMAIL, URL, World
from valet.models import ConnectionTools
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle

METADATA = f"{URL}/.well-known/oauth-protected-resource/mcp"
OFFER = f'resource_metadata="{METADATA}", scope="mcp:full mcp:read"'
CHALLENGE = f'Bearer realm="mcp", {OFFER}'
INVALID = f'Bearer realm="mcp", error="invalid_token", {OFFER}'
INSUFFICIENT = f'Bearer realm="mcp", error="insufficient_scope", {OFFER}'


@pytest.fixture
def issuer(bundle: Bundle) -> FakeIssuer:
    issuer = FakeIssuer()
    bundle.world.trusting(ISSUER, issuer.trusted())
    return issuer


def claims(bundle: Bundle, **changes: Any) -> dict[str, Any]:
    """What an access token for alice says; a None leaves a claim out."""
    now = int(bundle.world.now().timestamp())
    usual = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": f"{URL}/mcp",
        "client_id": "client",
        "scope": "mcp:full",
        "iat": now,
        "exp": now + 300,
        "jti": "j",
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [tool["name"] for tool in answer.json["result"]["tools"]]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def metadata(bundle: Bundle, suffix: str) -> Answer:
    return bundle.call("mcp_server", f"GET /.well-known/oauth-protected-resource{suffix}")


@pytest.mark.parametrize("suffix", ["/mcp", ""])
def test_a_client_learns_where_to_get_a_token_and_for_what(
    bundle: Bundle, issuer: FakeIssuer, suffix: str
) -> None:
    answer = metadata(bundle, suffix)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == {
        "resource": "https://valet.example/mcp",
        "authorization_servers": [ISSUER],
        "scopes_supported": ["mcp:full", "mcp:read"],
        "bearer_methods_supported": ["header"],
    }
    assert issuer.requests == []


@pytest.mark.parametrize("suffix", ["/mcp", ""])
def test_without_an_issuer_there_is_nothing_to_learn(bundle: Bundle, suffix: str) -> None:
    assert metadata(bundle, suffix).status == 404
    told = bundle.bearer(None, LIST).headers["WWW-Authenticate"]
    assert told == 'Bearer realm="mcp"'
    token = FakeIssuer().sign(claims(bundle))
    assert bundle.bearer(token, LIST).status == 401


def test_who_brings_nothing_is_told_where_the_metadata_is(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    answer = bundle.bearer(None, LIST)
    assert answer.status == 401
    assert answer.headers == HEADERS | {"WWW-Authenticate": CHALLENGE}
    assert issuer.requests == []


def test_an_access_token_opens_the_users_own_tools_which_nobody_had_to_ensure(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    token = issuer.sign(claims(bundle))
    assert bundle.world.instances.of(ALICE) == []
    assert names(bundle.bearer(token, LIST)) == ["gmail_fetch_mails", "googlecalendar_create_event"]
    (made,) = bundle.world.instances.of(ALICE)
    assert made.config == CONFIG
    assert bundle.ensure()["id"] == made.id, "the app meets the same one"
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    result = bundle.bearer(token, call("gmail_fetch_mails")).json["result"]
    assert result["structuredContent"]["messages"] == []
    assert [secret.reveal() for secret in bundle.provider.tokens] == ["at-1"]


def test_a_warm_call_is_one_read_and_asks_the_issuer_nothing(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    token = issuer.sign(claims(bundle))
    for _ in range(2):
        issuer.requests.clear()
        bundle.world.table.requests.clear()
        bundle.bearer(token, call("gmail_fetch_mails"))
    assert bundle.world.table.requests == ["get_many"]
    assert issuer.requests == []


@pytest.mark.parametrize(
    ("scopes", "full"),
    [
        ({"scope": "mcp:full"}, True),
        ({"scope": "mcp:read mcp:full other"}, True),
        ({"scope": ["mcp:full"]}, True),
        ({"scope": None, "scp": "openid mcp:full"}, True),
        ({"scope": None, "scp": ["mcp:full"]}, True),
        ({"scope": "mcp:read"}, False),
        ({"scope": "openid mcp:read"}, False),
        ({"scope": None, "scp": ["mcp:read"]}, False),
    ],
    ids=repr,
)
def test_the_scope_decides_the_access(
    bundle: Bundle, issuer: FakeIssuer, scopes: dict[str, Any], full: bool
) -> None:
    bundle.world.exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails", "gmail_send_mail")))
    listed = names(bundle.bearer(issuer.sign(claims(bundle, **scopes)), LIST))
    assert listed == ["gmail_fetch_mails", *(["gmail_send_mail"] if full else [])]


@pytest.mark.parametrize(
    "scope",
    [None, "", "openid", "mcp:fullest", "MCP:FULL", "mcp:full,mcp:read", 7, {"mcp:full": 1}, [7]],
    ids=repr,
)
def test_a_good_token_without_a_scope_of_ours_is_forbidden_and_told_which(
    bundle: Bundle, issuer: FakeIssuer, scope: Any
) -> None:
    answer = bundle.bearer(issuer.sign(claims(bundle, scope=scope)), LIST)
    assert answer.status == 403
    assert answer.headers == HEADERS | {"WWW-Authenticate": INSUFFICIENT}
    assert bundle.world.instances.of(ALICE) == []


def unsigned(content: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "k1", "typ": "at+jwt"}, content)
    return f"{'.'.join(map(encoded, parts))}."


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def bad(bundle: Bundle, issuer: FakeIssuer) -> dict[str, str]:
    """Access tokens of no use, each for another reason."""
    now = int(bundle.world.now().timestamp())
    good = issuer.sign(claims(bundle))
    head, body, signature = good.split(".")
    public = issuer.keys[0].as_dict(private=False)
    hmac = jwk.import_key({"kty": "oct", "k": public["x"], "kid": "k1"})
    rsa = jwk.generate_key("RSA", 2048, {"kid": "k1"})
    named: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 30},
        "without end": {"exp": None},
        "ends in text": {"exp": str(now + 300)},
        "ends in truth": {"exp": True},
        "not yet": {"nbf": now + 31},
        "of another issuer": {"iss": "https://evil.example"},
        "of the issuer with a slash": {"iss": f"{ISSUER}/"},
        "of no issuer": {"iss": None},
        "of issuers": {"iss": [ISSUER]},
        "for another audience": {"aud": "https://other.example/mcp"},
        "for the whole host": {"aud": URL},
        "for a longer path": {"aud": f"{URL}/mcp/x"},
        "for nobody": {"aud": None},
        "for a part of the audience": {"aud": [f"x{URL}/mcp"]},
        "for the client": {"aud": "client"},
        "an ID token by its nonce": {"nonce": "n"},
        "an ID token by at_hash": {"at_hash": "h"},
        "an ID token by c_hash": {"c_hash": "h"},
        "an ID token by Keycloak": {"typ": "ID"},
        "an ID token by Cognito": {"token_use": "id"},
        "bound to a key": {"cnf": {"jkt": "x"}},
        "of nobody": {"sub": None},
        "of a user without a name": {"sub": ""},
        "of users": {"sub": ["alice"]},
        "of a user with a newline": {"sub": "alice\n"},
    }
    headers: dict[str, dict[str, Any]] = {
        "of another type": {"typ": "logout+jwt"},
        "a DPoP proof": {"typ": "dpop+jwt"},
        "by an unknown key": {"kid": "k2"},
        "by no key": {"kid": None},
        "with a critical extension": {"crit": ["exp"], "exp": 1},
    }
    return (
        {name: issuer.sign(claims(bundle, **change)) for name, change in named.items()}
        | {name: issuer.sign(claims(bundle), **header) for name, header in headers.items()}
        | {
            "unsigned": unsigned(claims(bundle)),
            "by HMAC with the public key": issuer.sign(claims(bundle), hmac, alg="HS256"),
            "by another key of the same name": issuer.sign(claims(bundle), new_key()),
            "by an RSA key of the same name": issuer.sign(claims(bundle), rsa, alg="RS256"),
            "of two claims": issuer.sign('{"iss": "x", "iss": "y"}'),
            "of no object": issuer.sign("[]"),
            "of no JSON": issuer.sign("alice"),
            "with another body": f"{head}.{issuer.sign(claims(bundle, sub='x')).split('.')[1]}."
            f"{signature}",
            "without signature": f"{head}.{body}.",
            "cut": good[:-4],
            "two parts": f"{head}.{body}",
            "four parts": f"{good}.x",
            "a wrong header": f"x.{body}.{signature}",
            **{
                f"with {member} null": f"{encoded({'alg': 'ES256', 'kid': 'k1', member: None})}."
                f"{body}.{signature}"
                for member in ("alg", "b64", "crit", "jwk", "kid", "typ")
            },
            "9 KB": issuer.sign(claims(bundle, x="x" * 9000)),
            "a word": "x",
        }
    )


def test_all_bad_tokens_get_the_same_answer_to_the_byte_and_cost_no_read(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    assert bundle.bearer(issuer.sign(claims(bundle)), LIST).status == 200
    refused = bundle.bearer("x", LIST)
    before = dict(bundle.world.table.items)
    for name, token in bad(bundle, issuer).items():
        bundle.world.table.requests.clear()
        answer = bundle.bearer(token, LIST)
        assert (name, answer.status) == (name, 401)
        assert answer.headers == HEADERS | {"WWW-Authenticate": INVALID}, name
        assert answer == refused, name
        assert bundle.world.table.requests == [], name
    assert bundle.world.table.items == before


@pytest.mark.parametrize(
    "change",
    [
        {"exp": -29},
        {"nbf": 30},
        {"aud": ["https://other.example", f"{URL}/mcp"]},
        {"token_use": "access"},
        {"typ": "Bearer"},
    ],
    ids=repr,
)
def test_what_is_no_reason_to_refuse_is_none(
    bundle: Bundle, issuer: FakeIssuer, change: dict[str, Any]
) -> None:
    now = int(bundle.world.now().timestamp())
    shifted = {k: now + v if isinstance(v, int) else v for k, v in change.items()}
    assert bundle.bearer(issuer.sign(claims(bundle, **shifted)), LIST).status == 200


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", None])
def test_issuers_that_do_not_name_the_type_are_taken_too(
    bundle: Bundle, issuer: FakeIssuer, kind: str | None
) -> None:
    assert bundle.bearer(issuer.sign(claims(bundle), typ=kind), LIST).status == 200


def test_another_audience_can_be_agreed_on(bundle: Bundle, issuer: FakeIssuer) -> None:
    bundle.world.trusting(ISSUER, issuer.trusted(), audience="api://valet")
    assert bundle.bearer(issuer.sign(claims(bundle, aud="api://valet")), LIST).status == 200
    assert bundle.bearer(issuer.sign(claims(bundle)), LIST).status == 401
    assert metadata(bundle, "/mcp").json["resource"] == f"{URL}/mcp"


def test_the_user_is_the_claim_that_is_agreed_on_and_an_address_has_to_be_verified(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    bundle.world.trusting(ISSUER, issuer.trusted(), user_claim="email")
    mail = {"email": "alice@example.com"}
    for verified, status in ((True, 200), (False, 401), (None, 401)):
        token = issuer.sign(claims(bundle, email_verified=verified, **mail))
        assert bundle.bearer(token, LIST).status == status
    assert len(bundle.world.instances.of(ALICE)) == 0


def test_two_users_of_one_warm_function_reach_their_own_grants_only(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    bundle.connected("alice")
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    for _ in range(2):
        for user, fails in (("alice", False), ("bob", True)):
            token = issuer.sign(claims(bundle, sub=user))
            result = bundle.bearer(token, call("gmail_fetch_mails")).json["result"]
            assert bool(result.get("isError")) is fails


def test_a_deleted_instance_is_made_anew_for_who_comes_back(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    token = issuer.sign(claims(bundle))
    names(bundle.bearer(token, LIST))
    (old,) = bundle.world.instances.of(ALICE)
    path = {"id": old.id}
    route = "DELETE /instances/{id}"
    assert bundle.call("ensure_instance", route, path=path, caller=events.jwt()).status == 204
    names(bundle.bearer(token, LIST))
    (new,) = bundle.world.instances.of(ALICE)
    assert new.id != old.id


def test_a_config_that_is_not_there_is_an_operators_matter(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    bundle.world.trusting(ISSUER, issuer.trusted(), config="nope")
    answer = bundle.bearer(issuer.sign(claims(bundle)), LIST)
    assert answer.status == 503
    assert "McpOAuthConfig" in answer.json["error"]["message"]


def test_an_issuer_that_is_down_is_no_refusal(bundle: Bundle, issuer: FakeIssuer) -> None:
    token = issuer.sign(claims(bundle))
    issuer.down()
    answer = bundle.bearer(token, LIST)
    assert answer.status == 503
    assert "authorization server" in answer.json["error"]["message"]
    assert "WWW-Authenticate" not in answer.headers
    assert bundle.bearer("x", LIST).status == 401, "no issuer is needed to refuse this"
    session_token = bundle.token()["token"]
    assert bundle.bearer(session_token, LIST).status == 200


def test_session_tokens_and_urls_go_on_beside_the_issuer(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    made = bundle.token(access="READ_ONLY")
    assert names(bundle.bearer(made["token"], LIST)) == ["gmail_fetch_mails"]
    assert bundle.bearer(made["token"][:-1], LIST).headers["WWW-Authenticate"] == INVALID
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    assert bundle.mcp(key, LIST).status == 200
    token = issuer.sign(claims(bundle))
    assert bundle.mcp(key, LIST, authorization=f"Bearer {token}").status == 400
    assert bundle.bearer(None, LIST, query=f"access_token={token}").status == 400
    assert issuer.requests == [], "no issuer was asked"


def test_an_access_token_is_not_passed_on(bundle: Bundle, issuer: FakeIssuer) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    token = issuer.sign(claims(bundle))
    bundle.bearer(token, call("gmail_fetch_mails"))
    assert token not in repr(bundle.provider.requests)
    assert token not in repr([secret.reveal() for secret in bundle.provider.tokens])


def test_a_cold_function_that_refuses_reads_its_public_url_once(
    bundle: Bundle, issuer: FakeIssuer
) -> None:
    world = World(table=bundle.world.table).deployed()
    bundle.world.protected_resource = world.trusting(ISSUER, issuer.trusted()).protected_resource
    bundle.world.table.requests.clear()
    for _ in range(3):
        bundle.bearer("x", LIST)
    assert bundle.world.table.requests == ["get"]
