"""The control plane of tests, under `/_test/`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.local import control_plane

from .call import HANDLERS
from .world import PROVIDERS, Connection

if TYPE_CHECKING:
    from starlette.routing import Route

    from .world import World


def routes(world: World) -> list[Route]:
    return control_plane.routes(world, _COMMANDS)


def _config(world: World, given: dict[str, Any]) -> Any:
    world.state.settings.change(given)
    return asdict(world.state.settings)


def _connection(world: World, given: dict[str, Any]) -> Any:
    """What somebody does in the dashboard: set a connection up, enable or disable it."""
    name = given["name"]
    known = world.state.connections.get(name)
    identity = known.id if known else world.new_id("conn")
    provider = PROVIDERS[given["provider"]]
    made = Connection(identity, name, provider, given.get("enabled", True))
    world.state.connections[name] = made
    return {"id": identity}


def _account(world: World, given: dict[str, Any]) -> None:
    """Put an account into a status, such as EXPIRED, as the provider would have."""
    account = world.account(given["connection"], given["identifier"])
    if account is None:
        raise ValueError("no such connected account")
    account.status = given["status"]


def _expire(world: World, _: dict[str, Any]) -> None:
    """Every access token of the API is past its time."""
    world.state.api_tokens.clear()


def _reset(world: World, _: dict[str, Any]) -> None:
    world.reset()


def _log(world: World, _: dict[str, Any]) -> list[dict[str, Any]]:
    return world.state.log


def _clear_log(world: World, _: dict[str, Any]) -> None:
    world.state.log.clear()


def _state(world: World, _: dict[str, Any]) -> dict[str, Any]:
    return world.dump()


def _routes(world: World, _: dict[str, Any]) -> list[list[str]]:
    """The API's bindings that are served."""
    served = (method for method in world.directory.methods if method.name in HANDLERS)
    return [[method.name, method.verb, method.template] for method in served]


_COMMANDS: dict[tuple[str, str], control_plane.Command[World]] = {
    ("POST", "config"): _config,
    ("POST", "connection"): _connection,
    ("POST", "account"): _account,
    ("POST", "expire"): _expire,
    ("POST", "reset"): _reset,
    ("GET", "log"): _log,
    ("DELETE", "log"): _clear_log,
    ("GET", "state"): _state,
    ("GET", "routes"): _routes,
}
