"""MCP configs: names are for ever and unique, an update replaces, a deletion takes all along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import tools
from .call import Json, handles, page
from .errors import ApiError, invalid, not_found
from .world import Config, Mapping, new_server

if TYPE_CHECKING:
    from .world import World

V3 = "/mcp/v3/servers/"


@handles("McpService.CreateMcpConfig")
def create(world: World, given: Json) -> Json:
    asked = given["config"]
    if any(config.name == asked["name"] for config in world.state.configs.values()):
        said = f"an MCP configuration named {asked['name']} already exists"
        raise ApiError("ALREADY_EXISTS", said, "DUPLICATE_IDENTIFIER")
    mappings = _mappings(world, asked)
    config = Config(
        world.new_id("cfg"), asked["name"], asked["description"], mappings, new_server()
    )
    world.state.configs[config.id] = config
    return {"config": view(world, config)}


@handles("McpService.ListMcpConfigs")
def list_(world: World, given: Json) -> Json:
    wanted = given.get("filter", {})
    found = [
        config
        for config in world.state.configs.values()
        if wanted.get("id", "") in ("", config.id)
        and wanted.get("name", "").lower() in ("", config.name)
        and wanted.get("mcp_server_url", "").rpartition("/")[2] in ("", config.server)
        and wanted.get("provider", "").upper() in ("", *_providers(world, config))
        and given["search"].lower() in config.name
    ]
    chosen, more = page(given, found)
    return {"configs": [view(world, config) for config in chosen], **more}


@handles("McpService.GetMcpConfig")
def get(world: World, given: Json) -> Json:
    return {"config": view(world, find(world, given["config_id"]))}


@handles("McpService.UpdateMcpConfig")
def update(world: World, given: Json) -> Json:
    config = find(world, given["config_id"])
    mappings = _mappings(world, given)
    # The messages cannot tell an empty field from one left out, so neither is cleared.
    config.mappings = mappings or config.mappings
    config.description = given["description"] or config.description
    return {"config": view(world, config)}


@handles("McpService.DeleteMcpConfig")
def delete(world: World, given: Json) -> Json:
    config = find(world, given["config_id"])
    del world.state.configs[config.id]
    kept = {k: i for k, i in world.state.instances.items() if i.config != config.id}
    world.state.instances = kept
    return {}


def find(world: World, identity: str) -> Config:
    config = world.state.configs.get(identity)
    if config is None:
        raise not_found(f"no MCP configuration {identity}")
    return config


def server_url(world: World, config: Config) -> str:
    """Where its virtual server is, whether or not the environment tells."""
    return f"{world.base}{V3}{config.server}"


def view(world: World, config: Config, identifier: str | None = None) -> Json:
    """A config as the API shows it; within an instance, with its user's accounts."""
    return {
        "id": config.id,
        "name": config.name,
        "description": config.description,
        "connection_tool_mappings": [_line(world, each, identifier) for each in config.mappings],
        "mcp_server_url": server_url(world, config) if world.state.settings.server_urls else "",
    }


def _line(world: World, mapping: Mapping, identifier: str | None) -> Json:
    connection = world.state.connections[mapping.connection]
    line = {
        "connection_id": connection.id,
        "connection_name": connection.name,
        "provider": connection.provider.key,
        "tools": mapping.tools,
    }
    account = world.account(connection.name, identifier) if identifier is not None else None
    if account is None:
        return line
    return line | {"connected_account_id": account.id, "connected_account_status": account.status}


def _mappings(world: World, given: Json) -> list[Mapping]:
    return [_mapping(world, line) for line in given["connection_tool_mappings"]]


def _mapping(world: World, line: Json) -> Mapping:
    connection = world.state.connections.get(line["connection_name"])
    if connection is None or not connection.enabled:
        raise invalid(f"connection {line['connection_name']} does not exist or is not enabled")
    known = tools.of(connection.provider)
    for tool in line["tools"]:
        if tool not in known:
            raise invalid(f"tool {tool} is not one of {connection.provider.key}")
    return Mapping(connection.name, line["tools"])


def _providers(world: World, config: Config) -> set[str]:
    return {world.state.connections[m.connection].provider.key for m in config.mappings}
