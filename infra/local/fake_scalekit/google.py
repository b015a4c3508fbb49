"""The provider behind the connections: the fake Google, asked as an OAuth client asks."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

_AUTHORIZE = "/accounts.google.com/o/oauth2/v2/auth"
_TOKEN = "/oauth2.googleapis.com/token"  # noqa: S105  # a path


class ExchangeFailed(Exception):
    """The provider gave no tokens; `for_good` says that the grant is over."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__(for_good)
        self.for_good = for_good


@dataclass(frozen=True)
class Tokens:
    """What a user granted."""

    access: str
    refresh: str
    scopes: tuple[str, ...]
    expires_at: float


class Google:
    """`base` is where the fake Google answers; client id and secret are known there."""

    def __init__(self, base: str, client_id: str, client_secret: str) -> None:
        self.base = base
        self._client_id = client_id
        self._client_secret = client_secret
        self._http = httpx.Client(timeout=10, trust_env=False)

    def authorize_url(self, redirect_uri: str, scopes: tuple[str, ...], state: str) -> str:
        query = {
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(("openid", "email", *scopes)),
            "state": state,
            "access_type": "offline",
            "prompt": "consent",
        }
        return f"{self.base}{_AUTHORIZE}?{urlencode(query)}"

    def exchange(self, code: str, redirect_uri: str, now: float) -> Tokens:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return self._ask(form, "", now)

    def refresh(self, tokens: Tokens, now: float) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
        return self._ask(form, tokens.refresh, now)

    def _ask(self, form: dict[str, str], refresh: str, now: float) -> Tokens:
        client = {"client_id": self._client_id, "client_secret": self._client_secret}
        try:
            answer = self._http.post(self.base + _TOKEN, data=form | client)
        except httpx.HTTPError as wrong:
            raise ExchangeFailed(for_good=False) from wrong
        if answer.is_error:
            raise ExchangeFailed(for_good="invalid_grant" in answer.text)
        given = answer.json()
        return Tokens(
            access=given["access_token"],
            refresh=given.get("refresh_token", refresh),
            scopes=tuple(given["scope"].split()),
            expires_at=now + given["expires_in"],
        )
