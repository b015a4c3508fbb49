"""The OAuth issuer that the local stack trusts at /mcp: a certified server, and people at it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from infra.local.deployment import PARAMETERS
from tests.e2e import canaries
from tests.refresh.crew import LOCAL, start_oidc, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

ISSUER: Final = PARAMETERS["McpOAuthIssuer"]
RESOURCE: Final = f"{PARAMETERS['PublicUrl']}/mcp"
CALLBACK: Final = "http://127.0.0.1:8599/callback"  # nobody listens: the redirect is read instead
_PATIENCE: Final = 30.0


class Issuer:
    """What a person at it does, and what a client that it knows gets."""

    def __init__(self) -> None:
        self.http = httpx.Client(trust_env=False, timeout=20)

    def grants_only(self, *scopes: str) -> None:
        """What the person allows from here on, whatever is asked; without any, all of it."""
        self._tell("set", grants=list(scopes) or None)

    def consent(self, authorize_url: str, user: str) -> dict[str, str]:
        """The person's browser, from the client's link to its callback: the callback's query."""
        place = f"{authorize_url}&login_hint={user}"
        with httpx.Client(trust_env=False, timeout=20) as browser:
            while not place.startswith(CALLBACK):
                answer = browser.get(place)
                assert answer.is_redirect, answer.text
                place = str(answer.next_request.url) if answer.next_request else ""
        canaries.remember_url(place)
        return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}

    def _tell(self, verb: str, **facts: Any) -> None:
        self.http.post(f"{ISSUER}/_control/{verb}", json=facts).raise_for_status()


@dataclass
class Storage:
    """What a client keeps between its runs."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        canaries.remember("OAuth access token", tokens.access_token)
        canaries.remember("OAuth refresh token", tokens.refresh_token or "")
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def signing_in(issuer: Issuer, url: str, user: str, storage: Storage) -> OAuthClientProvider:
    """The official client's OAuth, for a person who is `user` at the issuer."""
    came_back: dict[str, str] = {}

    async def redirect(authorize_url: str) -> None:
        came_back.update(issuer.consent(authorize_url, user))

    async def callback() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=came_back["code"], state=came_back["state"], iss=came_back.get("iss")
        )

    about = OAuthClientMetadata.model_validate(
        {"client_name": "e2e", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code"]}
    )
    return OAuthClientProvider(url, about, storage, redirect, callback)


@contextmanager
def running(log: Path) -> Iterator[Issuer]:
    """The issuer, this session's if it runs: the deployed function keeps the keys of the first."""
    process = None if _answers() else _start(log)
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.http.close()
        if process:
            stop(process)


def _start(log: Path) -> Any:
    assert (LOCAL / "oidc/node_modules").exists(), "`make e2e` installs what this needs"
    env = {"ISSUER": ISSUER, "RESOURCE": RESOURCE, "CLIENTS": "[]"}
    process = start_oidc(env, urlsplit(ISSUER).port or 0, log)
    deadline = time.monotonic() + _PATIENCE
    while not _answers():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            pytest.fail(f"the issuer does not answer: {log.read_text()}", pytrace=False)
        time.sleep(0.05)
    return process


def _answers() -> bool:
    try:
        return httpx.get(f"{ISSUER}/_control", trust_env=False).is_success
    except httpx.TransportError:
        return False
