"""The token, revocation and userinfo endpoints, and the metadata that points to them."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .authorize import ISSUER, SIGN_IN
from .errors import OAuthError
from .grants import Client, Code, Refresh
from .id_token import at_hash

if TYPE_CHECKING:
    from .world import World


def exchange(world: World, form: list[tuple[str, str]], authorization: str) -> dict[str, Any]:
    """POST /token."""
    given = _single(form)
    client = _client(world, given, authorization)
    kind = given.get("grant_type")
    if kind == "authorization_code":
        return _redeem(world, client, given)
    if kind == "refresh_token":
        return _refresh(world, client, given)
    if not kind:
        said = "Required parameter is missing: grant_type"
        raise OAuthError(400, "invalid_request", said)
    raise OAuthError(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")


def revoke(world: World, form: list[tuple[str, str]]) -> dict[str, Any]:
    """POST /revoke: no client authentication, as at Google."""
    given = _single(form)
    if not given.get("token"):
        raise OAuthError(400, "invalid_request", "Required parameter is missing: token")
    world.grants.revoke(given["token"])
    return {}


def userinfo(world: World, bearer: str) -> dict[str, Any]:
    token = world.grants.find_access(bearer)
    if token is None or "openid" not in token.scopes:
        raise OAuthError(401, "invalid_request", "Invalid Credentials")
    return _identity(world, token.email, token.scopes)


def configuration() -> dict[str, Any]:
    """The metadata as Google publishes it: the real URLs, which a client maps to this machine."""
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "authorization_response_iss_parameter_supported": True,
    }


def _redeem(world: World, client: Client, given: dict[str, str]) -> dict[str, Any]:
    for name in ("code", "redirect_uri"):
        if not given.get(name):
            raise OAuthError(400, "invalid_request", f"Missing required parameter: {name}")
    code = world.grants.take_code(
        given["code"], client, given["redirect_uri"], given.get("code_verifier", "")
    )
    refresh = world.grants.issue_refresh(code)
    family = world.grants.refresh[refresh].family if refresh else ""
    answer = _tokens(world, code, family)
    return answer | ({"refresh_token": refresh} if refresh else {})


def _refresh(world: World, client: Client, given: dict[str, str]) -> dict[str, Any]:
    value = given.get("refresh_token", "")
    if not value:
        raise OAuthError(400, "invalid_request", "Missing required parameter: refresh_token")
    token = world.grants.find_refresh(value, client)
    rotated = world.grants.rotate(value) if world.settings.rotate else None
    answer = _tokens(world, token, token.family)
    return answer | ({"refresh_token": rotated} if rotated else {})


def _tokens(world: World, grant: Code | Refresh, family: str) -> dict[str, Any]:
    ttl = world.settings.access_ttl
    access = world.grants.issue_access(grant, family, ttl)
    answer: dict[str, Any] = {
        "access_token": access,
        "expires_in": ttl,
        "scope": " ".join(grant.scopes),
        "token_type": "Bearer",
    }
    if "openid" in grant.scopes:
        nonce = grant.nonce if isinstance(grant, Code) else ""
        answer["id_token"] = _id_token(world, grant, access, nonce)
    return answer


def _id_token(world: World, grant: Code | Refresh, access: str, nonce: str) -> str:
    now = int(world.now())
    claims = {
        "iss": ISSUER,
        "azp": grant.client,
        "aud": grant.client,
        **_identity(world, grant.email, grant.scopes),
        "at_hash": at_hash(access),
        "iat": now,
        "exp": now + 3600,
    }
    return world.signer.sign(claims | ({"nonce": nonce} if nonce else {}))


def _identity(world: World, email: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    person = world.people[email]
    claims: dict[str, Any] = {"sub": person.sub, "hd": email.partition("@")[2]}
    if SIGN_IN["email"] in scopes:
        claims |= {"email": email, "email_verified": True}
    if SIGN_IN["profile"] in scopes:
        given, _, family = person.name.partition(" ")
        claims |= {"name": person.name, "given_name": given, "family_name": family}
    return claims


def _client(world: World, given: dict[str, str], authorization: str) -> Client:
    """The client, by exactly one of the two ways that Google takes."""
    if authorization.lower().startswith("basic "):
        if "client_secret" in given:
            said = "Only one way of client authentication may be used."
            raise OAuthError(400, "invalid_request", said)
        identity, secret = _basic(authorization[6:])
    else:
        identity, secret = given.get("client_id", ""), given.get("client_secret", "")
    if not identity:
        raise OAuthError(400, "invalid_request", "Could not determine client ID from request.")
    client = world.clients.get(identity)
    if client is None or given.get("client_id", identity) != identity:
        raise OAuthError(401, "invalid_client", "The OAuth client was not found.")
    if not secrets.compare_digest(secret.encode(), client.secret.encode()):
        raise OAuthError(401, "invalid_client", "The provided client secret is invalid.")
    return client


def _basic(value: str) -> tuple[str, str]:
    try:
        identity, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as wrong:
        raise OAuthError(401, "invalid_client", "Malformed Authorization header.") from wrong
    return unquote_plus(identity), unquote_plus(secret)


def _single(form: list[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in form:
        if name in given:
            said = f"OAuth 2 parameters can only have a single value: {name}"
            raise OAuthError(400, "invalid_request", said)
        given[name] = value
    return given
