"""Authentication links, and the app's word on who came back from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import accounts
from .call import Json, handles
from .errors import ApiError, not_found
from .world import Account, Link, new_secret, timestamp

if TYPE_CHECKING:
    from .google import Tokens
    from .world import World

MAGIC_LINK = "/magicLink/"
SUCCESS = "/connect/success"


@handles("ConnectedAccountService.GetMagicLinkForConnectedAccount")
def magic_link(world: World, given: Json) -> Json:
    account = accounts.find_or_add(world, given)
    link, expires_at = mint(
        world, account, given.get("state") or None, given.get("user_verify_url") or None
    )
    return {"link": link, "expiry": timestamp(expires_at)}


@handles("ConnectedAccountService.VerifyConnectedAccountUser")
def verify(world: World, given: Json) -> Json:
    request = world.state.auth_requests.get(given["auth_request_id"])
    if request is None or request.expires_at <= world.now():
        raise not_found("no pending flow for this auth_request_id, or it was consumed already")
    if request.identifier != given["identifier"]:
        raise ApiError("PERMISSION_DENIED", "identifier mismatch")
    del world.state.auth_requests[given["auth_request_id"]]
    activate(world, world.state.accounts[request.account], request.tokens)
    return {"post_user_verify_redirect_url": world.base + SUCCESS}


def mint(
    world: World, account: Account, state: str | None = None, verify_url: str | None = None
) -> tuple[str, float]:
    """A link that works once, and until when."""
    token = new_secret()
    expires_at = world.now() + world.state.settings.link_life
    world.state.links[token] = Link(account.id, expires_at, state, verify_url)
    return f"{world.base}{MAGIC_LINK}{token}", expires_at


def activate(world: World, account: Account, tokens: Tokens) -> None:
    account.tokens, account.status = tokens, "ACTIVE"
    account.updated_at = world.now()
