"""A provider's token, revocation and userinfo endpoints over httpx (RFC 6749, RFC 7009).

Never follows a redirect, never repeats a request, and passes none of the provider's prose on.
An answer is small, uncompressed JSON that comes within seconds, or it is none.
"""

from __future__ import annotations

import binascii
import json
import re
import time
from base64 import b64encode, urlsafe_b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from valet.errors import ProviderFailure
from valet.models import Secret
from valet.native.provider import (
    InvalidClient,
    InvalidGrant,
    OAuthClient,
    ProviderUnavailable,
    TokenGrant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.connectors.models import OAuthProvider

TIMEOUT = httpx.Timeout(8.0, connect=2.0)
_MAX_BODY = 256 * 1024
_MAX_SECONDS = 10.0  # for the whole answer: the refresh lease must outlive a drip of bytes
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "mcp-valet",  # some APIs refuse requests without one
}
_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6749 A.12 without the space: it enters a header
_MAX_EXPIRES_IN = 86_400 * 365


class HttpxTokenEndpoint:
    """`valet.native.provider.TokenEndpoint`; `url` maps a provider's URL to where it is reached."""

    def __init__(
        self,
        client: httpx.Client,
        url: Callable[[str], str],
        elapsed: Callable[[], float] = time.monotonic,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._client = client
        self._url = url
        self._elapsed = elapsed
        self._timeout = timeout

    def exchange(
        self,
        provider: OAuthProvider,
        client: OAuthClient,
        *,
        code: Secret,
        verifier: Secret,
        redirect_uri: str,
    ) -> TokenGrant:
        return self._grant(
            provider,
            client,
            {
                "grant_type": "authorization_code",
                "code": code.reveal(),
                "code_verifier": verifier.reveal(),
                "redirect_uri": redirect_uri,
            },
        )

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return self._grant(provider, client, form)

    def revoke(self, provider: OAuthProvider, client: OAuthClient, *, token: Secret) -> None:
        if provider.revoke_url:
            status, _ = self._post(provider, client, provider.revoke_url, {"token": token.reveal()})
            if status >= 500 or status == 429:
                raise _unavailable()

    def userinfo(self, provider: OAuthProvider, *, token: Secret) -> Mapping[str, Any]:
        if provider.userinfo is None:
            return {}
        headers = {**_HEADERS, "authorization": f"Bearer {token.reveal()}"}
        status, body = self._send("GET", provider.userinfo.url, headers, None)
        if status == 429 or status >= 500:
            raise _unavailable()
        return body if status == 200 else {}

    def _grant(
        self, provider: OAuthProvider, client: OAuthClient, form: dict[str, str]
    ) -> TokenGrant:
        form = {**provider.token_params, **form}
        status, body = self._post(provider, client, provider.token_url, form)
        if status == 429 or status >= 500:
            raise _unavailable()
        # Some providers answer errors with a 200 (GitHub), so the body decides, not the status.
        error = body.get("error")
        if error == "invalid_grant":
            raise InvalidGrant("the provider does not honour this grant")
        if error in ("invalid_client", "unauthorized_client"):
            raise InvalidClient("the provider does not accept our OAuth client")
        if error is not None or status != 200:
            raise ProviderFailure("the provider refused the request: connect again from your app")
        return _parse(body, provider.lifetime_seconds)

    def _post(
        self, provider: OAuthProvider, client: OAuthClient, url: str, form: dict[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        headers = dict(_HEADERS)
        secret = client.client_secret.reveal()
        match provider.client_auth:
            case "client_secret_basic":  # RFC 6749 §2.3.1
                pair = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
                headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            case "client_secret_post":
                form = {**form, "client_id": client.client_id, "client_secret": secret}
            case "none":  # RFC 6749 §3.2.1: a public client names itself, PKCE proves the rest
                form = {**form, "client_id": client.client_id}
        return self._send("POST", url, headers, form)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, Any]]:
        # Built without the client, whose cookies one user's answer would set for the next user.
        request = httpx.Request(
            method,
            self._url(url),
            data=form,
            headers=headers,
            extensions={"timeout": self._timeout.as_dict()},
        )
        deadline = self._elapsed() + _MAX_SECONDS
        try:
            response = self._client.send(request, stream=True, follow_redirects=False)
            try:
                return response.status_code, _json(self._read(response, deadline))
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise _unavailable() from error

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BODY:
                raise ProviderFailure("the provider's answer is too large")
            if self._elapsed() > deadline:
                raise _unavailable()
        return body


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _parse(body: Mapping[str, Any], lifetime: int) -> TokenGrant:
    access_token, refresh_token = body.get("access_token"), body.get("refresh_token")
    if not isinstance(access_token, str) or not _TOKEN.fullmatch(access_token):
        raise ProviderFailure("the provider's answer carries no token: connect again from your app")
    if str(body.get("token_type", "bearer")).lower() != "bearer":
        raise ProviderFailure("the provider granted a token of a kind that is not supported")
    scope = body.get("scope")
    return TokenGrant(
        access_token=Secret(access_token),
        refresh_token=Secret(refresh_token)
        if isinstance(refresh_token, str) and refresh_token
        else None,
        expires_in=_seconds(body.get("expires_in"), lifetime),
        scopes=frozenset(scope.split()) if isinstance(scope, str) else None,
        claims=_claims(body.get("id_token")),
    )


def _seconds(value: object, default: int) -> int:
    try:
        seconds = int(value)  # type: ignore[call-overload]  # anything else is caught below
    except (TypeError, ValueError, OverflowError):
        return default
    return seconds if 0 < seconds <= _MAX_EXPIRES_IN else default


def _claims(id_token: object) -> Mapping[str, Any] | None:
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    payload = id_token.split(".")[1]
    try:
        return _json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return None


def _unavailable() -> ProviderUnavailable:
    return ProviderUnavailable("the provider cannot be reached right now: try again in a minute")
