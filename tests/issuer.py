"""An OAuth issuer in this process: it publishes its keys, and signs what a test wants signed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwk, jws
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from valet.adapters.issuer import Issuer

ISSUER = "https://id.example"
KEYS_URL = f"{ISSUER}/keys"
METADATA_URL = f"{ISSUER}/.well-known/oauth-authorization-server"


def new_key(key_id: str = "k1") -> jwk.Key:
    return jwk.generate_key("EC", "P-256", {"kid": key_id})


@dataclass
class FakeIssuer:
    """Answers by URL; what is not there is a 404. `requests` are the URLs that were asked for."""

    keys: list[jwk.Key] = field(default_factory=lambda: [new_key()])
    answers: dict[str, httpx.Response | Exception] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.metadata(issuer=ISSUER, jwks_uri=KEYS_URL)

    def metadata(self, place: str = METADATA_URL, **members: Any) -> None:
        self.answers[place] = answer(members)

    def trusted(self, url: str = ISSUER) -> Issuer:
        client = httpx.Client(transport=httpx.MockTransport(self._answer), trust_env=False)
        return Issuer(url, client, lambda: self.seconds)

    def down(self) -> None:
        self.answers = dict.fromkeys([*self.answers, KEYS_URL], httpx.ConnectError("refused"))

    def sign(self, claims: object, key: jwk.Key | None = None, **header: Any) -> str:
        """A token over the claims, which may be text; a header's None leaves a member out."""
        key = key or self.keys[0]
        full = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid} | header
        kept = {name: value for name, value in full.items() if value is not None}
        known = {name: HeaderParameter("made up", "int") for name in kept.get("crit", ())}
        registry = JWSRegistry(known, [kept["alg"]], strict_check_header=False)
        text = claims if isinstance(claims, str) else json.dumps(claims)
        return jws.serialize_compact(kept, text, key, registry=registry)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.requests.append(url)
        known = self.answers.get(url)
        if isinstance(known, Exception):
            raise known
        if known is not None:
            return _fresh(known)
        if url == KEYS_URL:
            keys = [key.as_dict(private=False) for key in self.keys]
            return _fresh(answer({"keys": keys}))
        return _fresh(httpx.Response(404))


def answer(value: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, content=json.dumps(value).encode())


def _fresh(known: httpx.Response) -> httpx.Response:
    """The same answer with its body still to be read."""
    body = httpx.ByteStream(known.content)
    return httpx.Response(known.status_code, headers=known.headers, stream=body)
