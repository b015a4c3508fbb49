"""An OAuth issuer's keys: where they come from, how often they are asked for, which are used."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc import jwk

from tests.issuer import ISSUER, KEYS_URL, METADATA_URL, FakeIssuer, answer, new_key
from valet.adapters.issuer import Issuer
from valet.native.access_tokens import IssuerUnavailable, Signed

CLAIMS = {"iss": ISSUER, "sub": "alice"}
OIDC_URL = f"{ISSUER}/.well-known/openid-configuration"


def test_a_signed_token_says_its_type_and_claims() -> None:
    issuer = FakeIssuer()
    assert issuer.trusted().read(issuer.sign(CLAIMS)) == Signed("at+jwt", CLAIMS)
    assert issuer.requests == [METADATA_URL, KEYS_URL]


@pytest.mark.parametrize(
    ("alg", "kind", "size"),
    [
        ("RS256", "RSA", 2048),
        ("PS256", "RSA", 2048),
        ("ES256", "EC", "P-256"),
        ("Ed25519", "OKP", "Ed25519"),
    ],
)
def test_these_algorithms_are_taken(alg: str, kind: Any, size: Any) -> None:
    key = jwk.generate_key(kind, size, {"kid": "k1"})
    issuer = FakeIssuer([key])
    assert issuer.trusted().read(issuer.sign(CLAIMS, alg=alg))


@pytest.mark.parametrize(
    ("alg", "kind", "size"), [("ES384", "EC", "P-384"), ("RS512", "RSA", 2048)]
)
def test_no_others_are_and_nothing_is_asked_for_them(alg: str, kind: Any, size: Any) -> None:
    key = jwk.generate_key(kind, size, {"kid": "k1"})
    issuer = FakeIssuer([key])
    assert issuer.trusted().read(issuer.sign(CLAIMS, alg=alg)) is None
    assert issuer.requests == []


@pytest.mark.parametrize("page", [httpx.Response(200, content=b"<html>"), answer({}, 500)])
def test_a_page_for_people_in_one_place_does_not_hide_the_metadata_in_the_other(
    page: httpx.Response,
) -> None:
    issuer = FakeIssuer()
    issuer.answers = {METADATA_URL: page}
    issuer.metadata(OIDC_URL, issuer=ISSUER, jwks_uri=KEYS_URL)
    assert issuer.trusted().read(issuer.sign(CLAIMS))


def test_a_token_that_does_not_even_claim_to_be_the_issuers_asks_it_nothing() -> None:
    issuer = FakeIssuer()
    issuer.down()
    for claims in ({"iss": "https://other.example"}, {"iss": [ISSUER]}, {}):
        assert issuer.trusted().read(issuer.sign(claims)) is None
    assert issuer.requests == []


@pytest.mark.parametrize("about", [{"alg": "PS256"}, {"use": "enc"}], ids=repr)
def test_a_key_that_is_for_something_else_is_not_used(about: dict[str, str]) -> None:
    key = jwk.generate_key("RSA", 2048, {"kid": "k1"})
    published: Any = key.as_dict(private=True) | about
    issuer = FakeIssuer([jwk.import_key(published)])
    assert issuer.trusted().read(issuer.sign(CLAIMS, key, alg="RS256")) is None


def test_a_symmetric_or_unknown_key_among_the_issuers_spoils_no_others() -> None:
    issuer = FakeIssuer()
    odd: list[Any] = [{"kty": "AKP", "kid": "pq"}, {"kty": "EC", "kid": "x"}, {}, None, "key"]
    shared: Any = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "h"}
    good = issuer.keys[0].as_dict(private=False)
    issuer.answers[KEYS_URL] = answer({"keys": [*odd, shared, good]})
    trusted = issuer.trusted()
    assert trusted.read(issuer.sign(CLAIMS))
    assert trusted.read(issuer.sign(CLAIMS, jwk.import_key(shared), alg="HS256")) is None


@pytest.mark.parametrize(
    ("issuer_url", "places"),
    [
        (ISSUER, [METADATA_URL, OIDC_URL]),
        (f"{ISSUER}/", [METADATA_URL, OIDC_URL]),
        (
            f"{ISSUER}/realms/app",
            [f"{METADATA_URL}/realms/app", f"{ISSUER}/realms/app/.well-known/openid-configuration"],
        ),
    ],
)
def test_the_metadata_is_looked_for_where_either_standard_has_it(
    issuer_url: str, places: list[str]
) -> None:
    for number, place in enumerate(places, 1):
        issuer = FakeIssuer()
        issuer.answers.clear()
        issuer.metadata(place, issuer=issuer_url, jwks_uri=KEYS_URL)
        assert issuer.trusted(issuer_url).read(issuer.sign(CLAIMS | {"iss": issuer_url}))
        assert issuer.requests == [*places[:number], KEYS_URL]


METADATA: dict[str, httpx.Response | Exception] = {
    "another issuer's": answer({"issuer": "https://evil.example", "jwks_uri": KEYS_URL}),
    "with a slash too many": answer({"issuer": f"{ISSUER}/", "jwks_uri": KEYS_URL}),
    "without keys": answer({"issuer": ISSUER}),
    "with keys over http": answer({"issuer": ISSUER, "jwks_uri": "http://id.example/keys"}),
    "with keys in a file": answer({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}),
    "with keys on this machine": answer({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1:9001/x"}),
    "with keys behind a user": answer({"issuer": ISSUER, "jwks_uri": "https://a@id.example/keys"}),
    "with keys of no text": answer({"issuer": ISSUER, "jwks_uri": ["https://id.example/keys"]}),
    "a list": answer([]),
    "not JSON": httpx.Response(200, content=b"<html>"),
    "twice the issuer": httpx.Response(200, content=b'{"issuer": "a", "issuer": "b"}'),
    "a redirect": answer({}, 302, location="https://evil.example/"),
    "an error": answer({}, 500),
    "too large": httpx.Response(200, content=b" " * 300_000),
    "unreachable": httpx.ConnectError("refused"),
    "too slow": httpx.ReadTimeout("slow"),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_cannot_be_trusted_tells_nothing_about_a_token(name: str) -> None:
    issuer = FakeIssuer()
    issuer.answers = {METADATA_URL: METADATA[name]}
    with pytest.raises(IssuerUnavailable):
        issuer.trusted().read(issuer.sign(CLAIMS))
    assert set(issuer.requests) <= {METADATA_URL, OIDC_URL}, "no keys were asked for"


@pytest.mark.parametrize("url", ["https://id.example:x/keys", "https://xn--/keys"])
def test_keys_at_an_address_that_is_none_tell_nothing_about_a_token(url: str) -> None:
    issuer = FakeIssuer()
    issuer.metadata(METADATA_URL, issuer=ISSUER, jwks_uri=url)
    with pytest.raises(IssuerUnavailable):
        issuer.trusted().read(issuer.sign(CLAIMS))


@pytest.mark.parametrize("name", ["not JSON", "a redirect", "an error", "too large", "a list"])
def test_keys_that_cannot_be_read_tell_nothing_about_a_token(name: str) -> None:
    issuer = FakeIssuer()
    issuer.answers[KEYS_URL] = METADATA[name]
    with pytest.raises(IssuerUnavailable):
        issuer.trusted().read(issuer.sign(CLAIMS))


def test_an_issuer_on_this_machine_may_have_its_keys_there_too() -> None:
    local = "http://127.0.0.1:4800"
    issuer = FakeIssuer()
    issuer.metadata(
        f"{local}/.well-known/oauth-authorization-server", issuer=local, jwks_uri=f"{local}/jwks"
    )
    issuer.answers[f"{local}/jwks"] = answer({"keys": [issuer.keys[0].as_dict(private=False)]})
    assert issuer.trusted(local).read(issuer.sign(CLAIMS | {"iss": local}))


def test_keys_are_kept_and_a_rolled_one_is_known_at_once() -> None:
    issuer = FakeIssuer()
    trusted = issuer.trusted()
    for _ in range(3):
        assert trusted.read(issuer.sign(CLAIMS))
    assert len(issuer.requests) == 2
    issuer.seconds += 60
    issuer.keys.append(new_key("k2"))
    assert trusted.read(issuer.sign(CLAIMS, issuer.keys[1]))
    assert trusted.read(issuer.sign(CLAIMS))
    assert len(issuer.requests) == 4


def test_made_up_key_ids_ask_the_issuer_once_a_minute() -> None:
    issuer = FakeIssuer()
    trusted = issuer.trusted()
    for number in range(1000):
        assert trusted.read(issuer.sign(CLAIMS, kid=f"made-up-{number}")) is None
    assert len(issuer.requests) == 2
    issuer.seconds += 60
    for number in range(1000):
        assert trusted.read(issuer.sign(CLAIMS, kid=f"made-up-{number}")) is None
    assert len(issuer.requests) == 4


def test_a_key_that_the_issuer_took_back_is_refused_after_an_hour() -> None:
    issuer = FakeIssuer()
    trusted, token = issuer.trusted(), issuer.sign(CLAIMS)
    assert trusted.read(token)
    issuer.keys[:] = [new_key("k2")]
    issuer.seconds += 3599
    assert trusted.read(token)
    issuer.seconds += 1
    assert trusted.read(token) is None


def test_while_the_issuer_is_down_known_keys_serve_and_others_are_no_refusal() -> None:
    issuer = FakeIssuer()
    trusted, token = issuer.trusted(), issuer.sign(CLAIMS)
    assert trusted.read(token)
    issuer.down()
    issuer.seconds += 3600
    assert trusted.read(token)
    with pytest.raises(IssuerUnavailable):
        trusted.read(issuer.sign(CLAIMS, kid="k2"))


def test_an_issuer_that_is_down_is_asked_again_every_few_seconds_and_recovers() -> None:
    issuer = FakeIssuer()
    working = dict(issuer.answers)
    trusted, token = issuer.trusted(), issuer.sign(CLAIMS)
    issuer.down()
    for _ in range(100):
        with pytest.raises(IssuerUnavailable):
            trusted.read(token)
    assert len(issuer.requests) == 1
    issuer.answers = working
    issuer.seconds += 5
    assert trusted.read(token)


def test_an_answer_that_drips_is_given_up() -> None:
    class Drips(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            for _ in range(100):
                seconds.append(1.0)
                yield b" "

    seconds: list[float] = []
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Drips()))
    )
    trusted = Issuer(ISSUER, client, lambda: sum(seconds))
    with pytest.raises(IssuerUnavailable):
        trusted.read(FakeIssuer().sign(CLAIMS))
    assert len(seconds) < 10


def test_each_request_has_its_timeouts_and_brings_nothing_of_a_caller() -> None:
    sent: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(500, stream=httpx.ByteStream(b""))

    client = httpx.Client(transport=httpx.MockTransport(serve), cookies={"left": "over"})
    with pytest.raises(IssuerUnavailable):
        Issuer(ISSUER, client).read(FakeIssuer().sign(CLAIMS))
    assert sent
    waits = {"connect": 2.0, "read": 3.0, "write": 3.0, "pool": 3.0}
    for request in sent:
        assert request.extensions["timeout"] == waits
        assert not {"cookie", "authorization"} & set(request.headers)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b.c", "\ud800.x.y", "eyJ.eyJ.x", "é.é.é"]
)
def test_text_that_is_no_token_is_refused_and_never_raises(text: str) -> None:
    issuer = FakeIssuer()
    assert issuer.trusted().read(text) is None
    assert issuer.requests == []
