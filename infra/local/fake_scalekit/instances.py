"""MCP instances: one for each config, name and user, with a URL that is a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import configs, links
from .call import Json, handles, page
from .errors import invalid, not_found
from .world import Config, Instance, new_server, timestamp

if TYPE_CHECKING:
    from .world import World

V2 = "/mcp/v2/servers/"


@handles("McpService.EnsureMcpInstance")
def ensure(world: World, given: Json) -> Json:
    config = _config_named(world, given["config_name"])
    name = given["name"] or config.name
    key = (config.id, name, given["user_identifier"])
    for instance in world.state.instances.values():
        if (instance.config, instance.name, instance.identifier) == key:
            return {"instance": _view(world, instance)}
    instance = Instance(
        world.new_id("inst"), name, given["user_identifier"], config.id, world.now(), new_server()
    )
    world.state.instances[instance.id] = instance
    return {"instance": _view(world, instance)}


@handles("McpService.ListMcpInstances")
def list_(world: World, given: Json) -> Json:
    wanted = given.get("filter", {})
    found = [
        instance
        for instance in world.state.instances.values()
        if wanted.get("id", "") in ("", instance.id)
        and wanted.get("name", "") in ("", instance.name)
        and wanted.get("user_identifier", "") in ("", instance.identifier)
        and wanted.get("config_name", "") in ("", world.state.configs[instance.config].name)
        and given["search"] in instance.name
    ]
    chosen, more = page(given, found)
    return {"instances": [_view(world, instance) for instance in chosen], **more}


@handles("McpService.GetMcpInstance")
def get(world: World, given: Json) -> Json:
    return {"instance": _view(world, _find(world, given))}


@handles("McpService.UpdateMcpInstance")
def update(world: World, given: Json) -> Json:
    instance = _find(world, given)
    if not given["name"] and not given["config_name"]:
        raise invalid("give name or config_name")
    if given["config_name"]:
        instance.config = _config_named(world, given["config_name"]).id
    instance.name = given["name"] or instance.name
    instance.updated_at = world.now()
    return {"instance": _view(world, instance)}


@handles("McpService.DeleteMcpInstance")
def delete(world: World, given: Json) -> Json:
    del world.state.instances[_find(world, given).id]
    return {}


@handles("McpService.GetMcpInstanceAuthState")
def auth_state(world: World, given: Json) -> Json:
    instance = _find(world, given)
    config = world.state.configs[instance.config]
    # This message has no field presence: an account that is not there has an empty id.
    return {"connections": states(world, config, instance.identifier, given["include_auth_links"])}


@handles("McpService.ListMcpConnectedAccounts")
def connected_accounts(world: World, given: Json) -> Json:
    config = configs.find(world, given["config_id"])
    found = states(world, config, given["identifier"], given["include_auth_link"])
    return {"connected_accounts": found}


def states(world: World, config: Config, identifier: str, with_links: bool) -> list[Json]:
    """Each connection's account. With links, missing accounts are made and each gets a link.

    These links can carry neither state nor a verify URL.
    """
    found = []
    for mapping in config.mappings:
        connection = world.state.connections[mapping.connection]
        account = world.account(connection.name, identifier)
        if account is None and with_links:
            account = world.add_account(connection.name, identifier)
        line = {
            "connection_id": connection.id,
            "connection_name": connection.name,
            "provider": connection.provider.key,
            "connected_account_id": account.id if account else "",
            "connected_account_status": account.status if account else "",
            "authentication_link": "",
        }
        if account and with_links:
            line["authentication_link"], _ = links.mint(world, account)
        found.append(line)
    return found


def _find(world: World, given: Json) -> Instance:
    instance = world.state.instances.get(given["instance_id"])
    if instance is None:
        raise not_found(f"no MCP instance {given['instance_id']}")
    return instance


def _config_named(world: World, name: str) -> Config:
    for config in world.state.configs.values():
        if config.name == name:
            return config
    raise invalid(f"no MCP configuration named {name}")


def _view(world: World, instance: Instance) -> Json:
    config = world.state.configs[instance.config]
    return {
        "id": instance.id,
        "name": instance.name,
        "user_identifier": instance.identifier,
        "config": configs.view(world, config, instance.identifier),
        "last_used_at": timestamp(instance.last_used_at),
        "updated_at": timestamp(instance.updated_at),
        "url": f"{world.base}{V2}{instance.server}",
    }
