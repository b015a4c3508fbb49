"""The authorization endpoint: what it refuses on a page, what it sends back, and the consent form.

Wrong clients and redirect URIs never cause a redirect: the person sees the error at Google.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from . import pages
from .grants import CODE_LIFE, Client, Code

if TYPE_CHECKING:
    from .world import World

ISSUER = "https://accounts.google.com"
SIGN_IN = {"openid": "openid"} | {
    short: f"https://www.googleapis.com/auth/userinfo.{short}" for short in ("email", "profile")
}
_ALWAYS = frozenset(SIGN_IN.values())  # no checkbox: granted with the account
_PROMPTS = {"none", "consent", "select_account"}
_CHALLENGE = re.compile(r"[A-Za-z0-9_~.-]{43,128}")
type Pairs = list[tuple[str, str]]


class Blocked(Exception):
    """Google's error page; the app is not told."""

    def __init__(self, status: int, error: str, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.error = error
        self.said = said


@dataclass(frozen=True)
class Request:
    """A valid authorization request."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str
    challenge: str
    challenge_method: str
    offline: bool
    prompt: frozenset[str]
    login_hint: str

    def back(self, **answer: str) -> Response:
        """302 to the client, with the issuer as RFC 9207 asks."""
        query = {"state": self.state} if self.state else {}
        parts = urlsplit(self.redirect_uri)
        joined = urlencode({**query, "iss": ISSUER, **answer})
        both = f"{parts.query}&{joined}" if parts.query else joined
        return RedirectResponse(urlunsplit(parts._replace(query=both)), status_code=302)


def show(world: World, query: Pairs) -> Response:
    """GET: the page on which a person chooses the account and what to allow."""
    try:
        request = _read(world, query)
    except Blocked as blocked:
        return _blocked(blocked)
    if "none" in request.prompt:
        return request.back(error="login_required")
    optional = {scope: world.scope_text(scope) for scope in request.scopes if scope not in _ALWAYS}
    people = [(person.email, person.name) for person in world.people.values()]
    return HTMLResponse(pages.consent(request.client.name, people, request.login_hint, optional))


def answer(world: World, query: Pairs, form: Pairs) -> Response:
    """POST: the form's fields are `account`, `scope` (one for each box) and `decision`."""
    try:
        request = _read(world, query)
    except Blocked as blocked:
        return _blocked(blocked)
    fields = dict(form)
    if fields.get("decision") != "allow":
        return request.back(error="access_denied")
    if fields.get("account") not in world.people:
        return _blocked(Blocked(400, "invalid_request", "Choose an account."))
    ticked = {value for name, value in form if name == "scope"}
    granted = tuple(scope for scope in request.scopes if scope in ticked | _ALWAYS)
    if not granted:
        return request.back(error="access_denied")
    code = world.grants.add_code(_code(world, request, fields["account"], granted))
    return request.back(
        code=code,
        scope=" ".join(granted),
        authuser="0",
        hd=fields["account"].partition("@")[2],
        prompt="consent" if "consent" in request.prompt else "none",
    )


def _code(world: World, request: Request, email: str, granted: tuple[str, ...]) -> Code:
    return Code(
        client=request.client.id,
        project=request.client.project,
        email=email,
        scopes=granted,
        redirect_uri=request.redirect_uri,
        nonce=request.nonce,
        challenge=request.challenge,
        challenge_method=request.challenge_method,
        offline=request.offline,
        forced="consent" in request.prompt,
        expires_at=world.now() + CODE_LIFE,
    )


def _read(world: World, query: Pairs) -> Request:
    names = [name for name, _ in query]
    for name in names:
        if names.count(name) > 1:
            said = f"OAuth 2 parameters can only have a single value: {name}"
            raise Blocked(400, "invalid_request", said)
    given = dict(query)
    client = _client(world, given)
    _check_response(given)
    return Request(
        client=client,
        redirect_uri=given["redirect_uri"],
        scopes=_scopes(world, given),
        state=given.get("state", ""),
        nonce=given.get("nonce", ""),
        challenge=_challenge(given),
        challenge_method=given.get("code_challenge_method", "plain"),
        offline=_one_of(given, "access_type", {"online", "offline"}, "online") == "offline",
        prompt=_prompt(given),
        login_hint=given.get("login_hint", ""),
    )


def _client(world: World, given: dict[str, str]) -> Client:
    if not given.get("client_id"):
        raise Blocked(400, "invalid_request", "Missing required parameter: client_id")
    client = world.clients.get(given["client_id"])
    if client is None:
        raise Blocked(401, "invalid_client", "The OAuth client was not found.")
    if not given.get("redirect_uri"):
        raise Blocked(400, "invalid_request", "Missing required parameter: redirect_uri")
    if given["redirect_uri"] not in client.redirect_uris:
        said = f"The redirect URI is not registered for {client.id}: {given['redirect_uri']}"
        raise Blocked(400, "redirect_uri_mismatch", said)
    return client


def _check_response(given: dict[str, str]) -> None:
    if not given.get("response_type"):
        raise Blocked(400, "invalid_request", "Missing required parameter: response_type")
    if given["response_type"] != "code":
        said = f"Invalid response_type: {given['response_type']}"
        raise Blocked(400, "unsupported_response_type", said)
    _one_of(given, "response_mode", {"query"}, "query")


def _scopes(world: World, given: dict[str, str]) -> tuple[str, ...]:
    asked = dict.fromkeys(SIGN_IN.get(name, name) for name in given.get("scope", "").split())
    if not asked:
        raise Blocked(400, "invalid_request", "Missing required parameter: scope")
    for scope in asked:
        if not world.scope_text(scope):
            raise Blocked(400, "invalid_scope", f"Some requested scopes were invalid: {scope}")
    return tuple(asked)


def _challenge(given: dict[str, str]) -> str:
    _one_of(given, "code_challenge_method", {"plain", "S256"}, "plain")
    challenge = given.get("code_challenge", "")
    if "code_challenge_method" in given and not challenge:
        said = "code_challenge_method is given, so code_challenge is required."
        raise Blocked(400, "invalid_request", said)
    if challenge and not _CHALLENGE.fullmatch(challenge):
        raise Blocked(400, "invalid_request", "Invalid code_challenge.")
    return challenge


def _prompt(given: dict[str, str]) -> frozenset[str]:
    prompt = frozenset(given.get("prompt", "").split())
    if prompt - _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise Blocked(400, "invalid_request", f"Invalid parameter value for prompt: {prompt}")
    return prompt


def _one_of(given: dict[str, str], name: str, allowed: set[str], default: str) -> str:
    value = given.get(name, default)
    if value not in allowed:
        raise Blocked(400, "invalid_request", f"Invalid parameter value for {name}: {value}")
    return value


def _blocked(blocked: Blocked) -> Response:
    page = pages.blocked(blocked.status, blocked.error, blocked.said)
    return HTMLResponse(page, status_code=blocked.status)
