"""Who has granted what to which client: codes, access tokens, refresh tokens and their deaths."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import OAuthError
from .id_token import b64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CODE_LIFE = 600
LIVE_REFRESH_TOKENS = 100  # per account and client; Google drops the oldest without a word


@dataclass(frozen=True)
class Client:
    """An OAuth client; a grant belongs to its project, not to the client."""

    id: str
    secret: str
    name: str
    project: str
    redirect_uris: frozenset[str]


@dataclass(frozen=True)
class Code:
    """An authorization code and what it was given for."""

    client: str
    project: str
    email: str
    scopes: tuple[str, ...]
    redirect_uri: str
    nonce: str
    challenge: str
    challenge_method: str
    offline: bool
    forced: bool
    expires_at: float


@dataclass(frozen=True)
class Refresh:
    """A refresh token; `family` ties a rotated token to its ancestors."""

    client: str
    project: str
    email: str
    scopes: tuple[str, ...]
    family: str


@dataclass(frozen=True)
class Access:
    """An access token."""

    client: str
    project: str
    email: str
    scopes: tuple[str, ...]
    family: str
    expires_at: float


@dataclass
class Grants:
    """Every live credential, by its value. `now` is Google's clock."""

    now: Callable[[], float]
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    spent: dict[str, str] = field(default_factory=dict)  # rotated refresh token -> family
    # (client, email) -> the scopes that a refresh token has been given for
    offline: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add_code(self, code: Code) -> str:
        value = f"4/0A{secrets.token_urlsafe(52)}"
        self.codes[value] = code
        return value

    def take_code(self, value: str, client: Client, redirect_uri: str, verifier: str) -> Code:
        """The code's grant, once."""
        code = self.codes.pop(value, None)
        if code is None:
            raise OAuthError(400, "invalid_grant", "Malformed auth code.")
        if code.client != client.id or code.expires_at <= self.now():
            raise OAuthError(400, "invalid_grant", "Bad Request")
        if code.redirect_uri != redirect_uri:
            raise OAuthError(400, "redirect_uri_mismatch", "Bad Request")
        _check_verifier(code, verifier)
        return code

    def issue_access(self, grant: Code | Refresh, family: str, ttl: int) -> str:
        value = f"ya29.a0{secrets.token_urlsafe(120)}"
        self.access[value] = Access(
            grant.client, grant.project, grant.email, grant.scopes, family, self.now() + ttl
        )
        return value

    def issue_refresh(self, code: Code) -> str | None:
        """A refresh token, if Google would give one: offline, and at a first or forced consent."""
        seen = self.offline.setdefault((code.client, code.email), set())
        if not code.offline or not (code.forced or set(code.scopes) - seen):
            return None
        seen.update(code.scopes)
        return self.add_refresh(
            Refresh(code.client, code.project, code.email, code.scopes, secrets.token_hex(8))
        )

    def add_refresh(self, token: Refresh) -> str:
        value = f"1//0{secrets.token_urlsafe(64)}"
        self.refresh[value] = token
        owner = (token.client, token.email)
        mine = [key for key, old in self.refresh.items() if (old.client, old.email) == owner]
        for oldest in mine[:-LIVE_REFRESH_TOKENS]:
            del self.refresh[oldest]
        return value

    def find_refresh(self, value: str, client: Client) -> Refresh:
        if value in self.spent:
            # A second use of a rotated token: one of the two users is a thief.
            self.kill_family(self.spent[value])
        token = self.refresh.get(value)
        if token is None:
            raise OAuthError(400, "invalid_grant", "Token has been expired or revoked.")
        if token.client != client.id:
            raise OAuthError(401, "unauthorized_client", "Unauthorized")
        return token

    def rotate(self, value: str) -> str:
        token = self.refresh.pop(value)
        self.spent[value] = token.family
        return self.add_refresh(token)

    def find_access(self, value: str) -> Access | None:
        token = self.access.get(value)
        return token if token and token.expires_at > self.now() else None

    def revoke(self, value: str) -> None:
        """Ends the whole grant: every token of that user for every client of the project."""
        token = self.refresh.get(value) or self.access.get(value)
        if token is None:
            raise OAuthError(400, "invalid_token", "Token expired or revoked")
        self.kill(lambda each: (each.project, each.email) == (token.project, token.email))

    def revoke_user(self, email: str) -> None:
        self.kill(lambda each: each.email == email)

    def kill_family(self, family: str) -> None:
        self.refresh = {k: v for k, v in self.refresh.items() if v.family != family}
        self.access = {k: v for k, v in self.access.items() if v.family != family}

    def kill(self, doomed: Callable[[Code | Access | Refresh], bool]) -> None:
        live: list[Access | Refresh] = [*self.access.values(), *self.refresh.values()]
        for each in filter(doomed, live):
            self.offline.pop((each.client, each.email), None)
        self.codes = {k: v for k, v in self.codes.items() if not doomed(v)}
        self.access = {k: v for k, v in self.access.items() if not doomed(v)}
        self.refresh = {k: v for k, v in self.refresh.items() if not doomed(v)}

    def expire(self) -> None:
        """Every access token is past its time; refresh tokens live."""
        self.access.clear()

    def state(self) -> dict[str, Any]:
        """With the raw values, so that a test can prove that they are nowhere else."""
        tables: dict[str, Mapping[str, Code | Access | Refresh]] = {
            "codes": self.codes,
            "access_tokens": self.access,
            "refresh_tokens": self.refresh,
        }
        return {
            name: [{"value": value, **asdict(each)} for value, each in table.items()]
            for name, table in tables.items()
        }


def _check_verifier(code: Code, verifier: str) -> None:
    if not code.challenge:
        if verifier:
            raise OAuthError(400, "invalid_grant", "code_verifier or verifier is not needed.")
        return
    if not verifier:
        raise OAuthError(400, "invalid_grant", "Missing code verifier.")
    digest = b64(hashlib.sha256(verifier.encode()).digest())
    expected = digest if code.challenge_method == "S256" else verifier
    if not secrets.compare_digest(expected, code.challenge) or not 43 <= len(verifier) <= 128:
        raise OAuthError(400, "invalid_grant", "Invalid code verifier.")
