"""An OAuth issuer over httpx: its metadata (RFC 8414, OIDC Discovery), its keys, its signatures.

The keys are cached and read again for a key id that they lack, so that a rolled key is known at
once; at most once in a minute, so that made-up key ids cannot make it a flood.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
from joserfc import jwk, jws
from joserfc.errors import JoseError

from valet.native.access_tokens import IssuerUnavailable, Signed
from valet.strict_json import BadJson, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Never HMAC: the issuer's public keys would become secrets that everybody has. Never `none`.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "Ed25519")
MAX_TOKEN: Final = 8 * 1024
TIMEOUT: Final = httpx.Timeout(3.0, connect=2.0)
_MAX_SECONDS: Final = 6.0  # for all that is asked at once: a caller waits for it
_MAX_BODY: Final = 256 * 1024
_MAX_AGE: Final = 3600.0  # how late a key that the issuer took back may be taken
_AGAIN: Final = 60.0
_AGAIN_AFTER_FAILURE: Final = 5.0
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "mcp-valet",
}
_SAFE = re.compile(r"https://[^/?#@\\\s]+(/[^\\\s]*)?")
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+(/[^\\\s]*)?")
# TypeError: joserfc takes for granted that a header's members have their types (`"crit": null`).
_MALFORMED: Final = (JoseError, ValueError, TypeError)
_NO_ADDRESS: Final = (httpx.InvalidURL, UnicodeError)  # UnicodeError: a host that is no name


class Issuer:
    """`valet.native.access_tokens.SignedTokens` of one issuer."""

    def __init__(
        self,
        url: str,
        client: httpx.Client,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client = client
        self._elapsed = elapsed
        self._keys: dict[str, jwk.Key] | None = None
        self._read_at = self._asked_at = float("-inf")
        self._failed = False
        # A header may name what it likes; that its critical extensions are known is checked.
        self._registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

    def read(self, token: str) -> Signed | None:
        if len(token) > MAX_TOKEN or token.count(".") != 2:
            return None
        try:
            compact = jws.extract_compact(token.encode(), registry=self._registry)
        except _MALFORMED:
            return None
        header, claims = compact.headers(), _object(compact.payload)
        # Before anything is asked of the issuer: tokens of others must not depend on it.
        if header.get("alg") not in ALGORITHMS or claims.get("iss") != self._url:
            return None
        key = self._key(header.get("kid"))
        if key is None:
            return None
        try:
            # A key that names its algorithm or use is used for no other: joserfc holds it to that.
            if not jws.validate_compact(compact, key, registry=self._registry):
                return None
        except _MALFORMED:
            return None
        kind = header.get("typ")
        return Signed(kind.lower() if kind else None, claims)

    def _key(self, key_id: object) -> jwk.Key | None:
        if not isinstance(key_id, str):
            return None
        now = self._elapsed()
        stale = now - self._read_at >= _MAX_AGE
        pause = _AGAIN_AFTER_FAILURE if self._failed else _AGAIN
        if (stale or key_id not in (self._keys or {})) and now - self._asked_at >= pause:
            self._ask(now)
        found = (self._keys or {}).get(key_id)
        # Keys that could not be read may be the ones that would have told.
        if found is None and self._failed:
            raise IssuerUnavailable
        return found

    def _ask(self, now: float) -> None:
        self._asked_at, self._failed = now, True
        try:
            deadline = now + _MAX_SECONDS
            self._keys = dict(_usable(self._get(self._keys_url(deadline), deadline)))
        except (httpx.HTTPError, *_NO_ADDRESS, _BadAnswer):
            return  # the keys that are there stay good for what they know
        self._read_at, self._failed = now, False

    def _keys_url(self, deadline: float) -> str:
        parts = urlsplit(self._url)
        path = parts.path.rstrip("/")
        origin = f"{parts.scheme}://{parts.netloc}"
        places = (
            f"{origin}/.well-known/oauth-authorization-server{path}",  # RFC 8414 §3.1
            f"{origin}{path}/.well-known/openid-configuration",  # OIDC Discovery §4
        )
        for place in places:
            with suppress(_BadAnswer):  # not there, or a page for people: the other place may do
                metadata = self._get(place, deadline)
                url = metadata.get("jwks_uri")
                # RFC 8414 §3.3: metadata that names another issuer is another's.
                named = metadata.get("issuer") == self._url
                if named and isinstance(url, str) and self._is_safe(url):
                    return url
        raise _BadAnswer

    def _is_safe(self, url: str) -> bool:
        loopback = _LOOPBACK.fullmatch(url) and _LOOPBACK.fullmatch(self._url)
        return bool(loopback or _SAFE.fullmatch(url))

    def _get(self, url: str, deadline: float) -> Mapping[str, Any]:
        request = httpx.Request(
            "GET", url, headers=_HEADERS, extensions={"timeout": TIMEOUT.as_dict()}
        )
        response = self._client.send(request, stream=True, follow_redirects=False)
        try:
            found = _object(self._body(response, deadline)) if response.status_code == 200 else {}
        finally:
            response.close()
        if not found:
            raise _BadAnswer
        return found

    def _body(self, response: httpx.Response, deadline: float) -> bytes:
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BODY or self._elapsed() > deadline:
                raise _BadAnswer
        return body


def _object(body: bytes) -> Mapping[str, Any]:
    """A JSON object; empty for anything else, which then lacks what it needs."""
    try:
        value = loads(body)
    except BadJson:
        return {}
    return value if isinstance(value, dict) else {}


class _BadAnswer(Exception):
    """The issuer answered with something that cannot be used."""


def _usable(key_set: Mapping[str, Any]) -> Iterator[tuple[str, jwk.Key]]:
    """The keys that can check signatures; one of a kind that we do not know spoils no others."""
    keys = key_set.get("keys")
    for each in keys if isinstance(keys, list) else []:
        if isinstance(each, dict) and each.get("kty") in ("RSA", "EC", "OKP"):
            try:
                key = jwk.import_key(each)
            except _MALFORMED:
                continue
            if key.kid:
                yield key.kid, key
