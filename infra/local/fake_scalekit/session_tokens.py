"""Bearers: those of the API by client credentials, and session tokens for MCP servers."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import jwt

from infra.local.fake_google.errors import OAuthError

from . import configs
from .call import Json, handles
from .errors import ApiError, invalid, not_found
from .seed import CLIENT_ID, CLIENT_SECRET
from .world import Account, Connection, Mapping, timestamp

if TYPE_CHECKING:
    from .world import World

CONNECTION = "/mcp/v3/connections/"
_DEFAULT, _SHORTEST, _LONGEST = 3600, 60, 86400
_CONFIG_ID = re.compile(r"cfg_[0-9]+")


def issue_api_token(world: World, form: dict[str, str]) -> dict[str, Any]:
    """POST /oauth/token."""
    if form.get("grant_type") != "client_credentials":
        raise OAuthError(400, "unsupported_grant_type", "Only client_credentials is supported.")
    known = form.get("client_id") == CLIENT_ID
    secret = form.get("client_secret", "").encode()
    if not known or not secrets.compare_digest(secret, CLIENT_SECRET.encode()):
        raise OAuthError(401, "invalid_client", "Client authentication failed.")
    life = world.state.settings.api_token_life
    now = world.now()
    claims = {"iss": world.base, "sub": CLIENT_ID, "client_id": CLIENT_ID, "jti": _jti()}
    token = world.signer.sign(claims | {"iat": int(now), "exp": int(now) + life})
    world.state.api_tokens[token] = now + life
    return {"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": ""}


def check_api_token(world: World, authorization: str) -> None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or world.state.api_tokens.get(token, 0) <= world.now():
        raise ApiError("UNAUTHENTICATED", "invalid or missing access token")


@handles("McpService.CreateMcpSessionToken")
def create(world: World, given: Json) -> Json:
    seconds = _seconds(given.get("expiry"))
    if given["key_id"]:
        connection = world.state.connections.get(given["key_id"])
        if connection is None or not connection.enabled:
            raise not_found(f"no active connection {given['key_id']}")
        mappings, audience = [Mapping(connection.name, [])], connection_url(world, connection)
        target = {"conn_id": connection.id}
    else:
        if not _CONFIG_ID.fullmatch(given["mcp_config_id"]):
            raise invalid("mcp_config_id is malformed")
        config = configs.find(world, given["mcp_config_id"])
        mappings, audience = config.mappings, configs.server_url(world, config)
        target = {"mcp_cfg": config.id}
    accounts = [_active(world, mapping, given["identifier"]) for mapping in mappings]
    if not accounts:
        raise invalid("the MCP configuration has no connections")
    now = world.now()
    claims = {
        "iss": world.base,
        "sub": given["identifier"],
        "aud": audience,
        "token_type": "mcp_session",
        "ca_ids": [account.id for account in accounts],
        "access_level": given["access_level"] or "FULL",
        "jti": _jti(),
        "iat": int(now),
        "exp": int(now) + seconds,
    }
    token = world.signer.sign(claims | target)
    return {"token": token, "expires_at": timestamp(int(now) + seconds)}


def read(world: World, authorization: str, audience: str) -> dict[str, Any] | None:
    """The claims of a session token that is good for this MCP server, or None."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    key = jwt.PyJWK(world.signer.jwks()["keys"][0])
    try:
        # The end is checked by Scalekit's clock, not by this machine's.
        options: Any = {"verify_exp": False, "verify_iat": False}
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience=audience, issuer=world.base, options=options
        )
    except jwt.InvalidTokenError:
        return None
    return claims if claims["exp"] > world.now() else None


def connection_url(world: World, connection: Connection) -> str:
    return f"{world.base}{CONNECTION}{connection.name}"


def _seconds(expiry: str | None) -> int:
    if expiry is None:
        return _DEFAULT
    digits = expiry.removesuffix("s")
    if not digits.isdigit() or not _SHORTEST <= int(digits) <= _LONGEST:
        raise invalid("expiry must be whole seconds from 60 s to 24 h")
    return int(digits)


def _active(world: World, mapping: Mapping, identifier: str) -> Account:
    account = world.account(mapping.connection, identifier)
    if account is None or account.status != "ACTIVE":
        raise invalid(f"connection {mapping.connection} has no active connected account")
    return account


def _jti() -> str:
    return secrets.token_hex(16)
