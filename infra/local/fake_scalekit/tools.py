"""The catalogue, and running its tools at the provider with a user's tokens.

The tools are our own connectors': their names are those of Scalekit's published catalogue.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx

from valet.adapters.provider_http import HttpxProvider
from valet.connectors.catalog import load_connector
from valet.models import Secret
from valet.tools.execute import execute
from valet.tools.provider import TokenRefused
from valet.tools.results import ToolResult

from . import accounts
from .call import Json, handles, page
from .errors import ApiError, invalid, not_found
from .google import ExchangeFailed, Tokens
from .world import PROVIDERS, Account, Provider, new_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import Tool

    from .world import World

_CLIENT = httpx.Client(trust_env=False)
_EARLY = 300  # an access token is refreshed this long before its end
_NEEDS_CONNECTION = "TOOL_READINESS_STATE_NEEDS_CONNECTION"
_READINESS = {
    "ACTIVE": "TOOL_READINESS_STATE_READY",
    "EXPIRED": "TOOL_READINESS_STATE_NEEDS_REAUTH",
}
# What a provider's refusal becomes; any other failure is INTERNAL.
_REFUSALS = {
    "token_refused": "UNAUTHENTICATED",
    "forbidden": "PERMISSION_DENIED",
    "missing_scope": "PERMISSION_DENIED",
    "rate_limited": "RESOURCE_EXHAUSTED",
}


class NotActive(Exception):
    """The account cannot run tools as it is."""


def of(provider: Provider) -> Mapping[str, Tool]:
    return load_connector(provider.connector).tools


@handles("ToolService.ListTools")
def list_(world: World, given: Json) -> Json:
    wanted = given.get("filter", {})
    _check_account(world, wanted)
    words = re.split(r"[ _]+", wanted.get("query", "").lower())
    found = [
        (provider, tool)
        for provider in PROVIDERS.values()
        for tool in of(provider).values()
        if wanted.get("provider", "").upper() in ("", provider.key)
        and (not wanted.get("tool_name") or tool.name in wanted["tool_name"])
        and all(word in tool.name for word in words)
    ]
    most = 100 if "query" in wanted else 1000
    size = {**given, "page_size": min(given["page_size"], most)}
    chosen, more = page(size, found, min(most, 300))
    if wanted.get("summary"):
        return {"tool_names": [tool.name for _, tool in chosen], **more}
    return {"tools": [_view(provider, tool) for provider, tool in chosen], **more}


@handles("ToolService.SearchTools")
def search(world: World, given: Json) -> Json:
    words = given["query"].lower().split()
    connected = {connection.provider.key for connection in world.state.connections.values()}
    found = []
    for provider in PROVIDERS.values():
        for tool in of(provider).values() if provider.key in connected else ():
            text = f"{tool.name} {tool.description}".lower()
            score = sum(word in text for word in words) / len(words)
            if score:
                found.append(_found(world, provider, tool, score, given.get("identifier")))
    found.sort(key=lambda each: (-each["score"], each["name"]))
    return {"tools": found[: min(given["top_k"] or 10, 50)]}


@handles("ToolService.ExecuteTool")
def execute_tool(world: World, given: Json) -> Json:
    tool = next((t for p in PROVIDERS.values() for t in [of(p).get(given["tool_name"])] if t), None)
    if tool is None:
        raise not_found(f"no tool {given['tool_name']}")
    account = accounts.find(world, {**given, "id": given.get("connected_account_id")})
    if world.state.connections[account.connection].provider.connector != tool.connector:
        raise invalid("the connected account belongs to a different provider than the tool")
    try:
        result = run(world, account, tool, _whole(given.get("params", {})))
    except NotActive as wrong:
        raise ApiError("FAILED_PRECONDITION", str(wrong)) from wrong
    execution = f"exec_{new_secret()}"
    if not result.is_error:
        return {"data": dict(result.structured or {}), "execution_id": execution}
    if result.code == "invalid_arguments":
        raise invalid(result.text)
    info = {
        "execution_id": execution,
        "tool_error_message": result.text,
        "tool_error_code": result.code.upper(),
    }
    status = _REFUSALS.get(result.code, "INTERNAL")
    raise ApiError(status, result.text, "TOOL_ERROR", tool_error_info=info)


def run(world: World, account: Account, tool: Tool, arguments: Mapping[str, object]) -> ToolResult:
    """One call with the account's tokens, refreshed early and once more if they are refused.

    Raises:
        NotActive: the account is not, or its tokens could not be refreshed.
    """
    tokens = account.tokens
    if account.status != "ACTIVE" or tokens is None:
        raise NotActive(f"the connected account is not active: {account.status}")
    account.last_used_at = world.now()
    if tokens.expires_at - _EARLY <= world.now():
        tokens = _refreshed(world, account, tokens)
    provider = HttpxProvider(load_connector(tool.connector).hosts, _CLIENT, world.google.base)
    try:
        return execute(tool, arguments, Secret(tokens.access), provider)
    except TokenRefused:
        tokens = _refreshed(world, account, tokens)
    try:
        return execute(tool, arguments, Secret(tokens.access), provider)
    except TokenRefused as refused:
        return ToolResult(str(refused), is_error=True, code="token_refused")


def _whole(value: Any) -> Any:
    """A message's Struct knows only floats; a tool's schema asks for integers."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refreshed(world: World, account: Account, tokens: Tokens) -> Tokens:
    try:
        account.tokens = world.google.refresh(tokens, world.now())
    except ExchangeFailed as failed:
        if failed.for_good:
            account.status, account.tokens = "EXPIRED", None
        raise NotActive("the account's tokens could not be refreshed") from failed
    return account.tokens


def _check_account(world: World, wanted: Json) -> None:
    """An account in a filter would add its own tools; one that is not there is refused."""
    if wanted.get("connected_account_id"):
        accounts.find(world, {"id": wanted["connected_account_id"]})
    elif wanted.get("connector") and wanted.get("identifier"):
        accounts.find(world, wanted)


def _view(provider: Provider, tool: Tool) -> Json:
    return {
        "id": f"tol_{list(of(provider)).index(tool.name) + 1}",
        "provider": provider.key,
        "definition": {
            "name": tool.name,
            "display_name": tool.title,
            "description": tool.description,
            "input_schema": dict(tool.input_schema),
            "output_schema": dict(tool.output_schema),
            "annotations": {
                "read_only_hint": tool.read_only,
                "destructive_hint": tool.destructive,
                "idempotent_hint": tool.idempotent,
            },
        },
        "is_default": True,
    }


def _found(
    world: World, provider: Provider, tool: Tool, score: float, identifier: str | None
) -> Json:
    """A tool that fits, with the accounts that an identifier has at its provider."""
    return {
        "name": tool.name,
        "provider": provider.key,
        "description": tool.description,
        "score": score,
        "connections": [
            {
                "connection_name": account.connection,
                "connected_account_id": account.id,
                "readiness_state": _READINESS.get(account.status, _NEEDS_CONNECTION),
            }
            for account in world.state.accounts.values()
            if account.identifier == identifier
            and world.state.connections[account.connection].provider == provider
        ],
    }
