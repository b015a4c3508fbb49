"""Connected accounts: who has which, without their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import Json, handles, page
from .errors import ApiError, invalid, not_found
from .world import Account, Connection, timestamp

if TYPE_CHECKING:
    from .world import World


@handles("ConnectedAccountService.ListConnectedAccounts")
def list_(world: World, given: Json) -> Json:
    names = {given["connector"]} if given.get("connector") else set(given["connection_names"])
    found = [
        account
        for account in world.state.accounts.values()
        if (not names or account.connection in names)
        and given.get("identifier", "") in ("", account.identifier)
        and given["provider"].upper() in ("", _connection(world, account).provider.key)
        and given["query"] in account.identifier
    ]
    chosen, more = page(given, found)
    return {"connected_accounts": [view(world, account) for account in chosen], **more}


@handles("ConnectedAccountService.CreateConnectedAccount")
def create(world: World, given: Json) -> Json:
    if "authorization_details" in given["connected_account"]:
        raise ApiError("UNIMPLEMENTED", "the fake takes no credentials: authorize with a link")
    connection = find_connection(world, given)
    identifier = _identifier(given)
    if world.account(connection.name, identifier):
        raise ApiError("ALREADY_EXISTS", "the connected account already exists")
    return {"connected_account": view(world, world.add_account(connection.name, identifier))}


@handles("ConnectedAccountService.GetConnectedAccountDetails")
def details(world: World, given: Json) -> Json:
    return {"connected_account": view(world, find(world, given))}


@handles("ConnectedAccountService.DeleteConnectedAccount")
def delete(world: World, given: Json) -> Json:
    account = find(world, given)
    del world.state.accounts[account.id]
    _forget(world, account)
    return {}


@handles("ConnectedAccountService.DisconnectConnectedAccount")
def disconnect(world: World, given: Json) -> Json:
    account = find(world, given)
    account.tokens, account.status = None, "DISCONNECTED"
    account.updated_at = world.now()
    _forget(world, account)
    return {"connected_account": view(world, account)}


def find(world: World, given: Json) -> Account:
    """The account that a request names: by id, or by connection and identifier."""
    if given.get("id"):
        account = world.state.accounts.get(given["id"])
    else:
        account = world.account(find_connection(world, given).name, _identifier(given))
    if account is None:
        raise not_found("no such connected account")
    return account


def find_or_add(world: World, given: Json) -> Account:
    if given.get("id"):
        return find(world, given)
    connection, identifier = find_connection(world, given), _identifier(given)
    found = world.account(connection.name, identifier)
    return found or world.add_account(connection.name, identifier)


def find_connection(world: World, given: Json) -> Connection:
    """`connector` is the name of a connection, whatever it is called."""
    name = given.get("connector")
    if not name:
        raise invalid("connector is required")
    connection = world.state.connections.get(name)
    if connection is None:
        raise not_found(f"no connection {name} in this environment")
    return connection


def view(world: World, account: Account) -> Json:
    connection = _connection(world, account)
    seen: Json = {
        "id": account.id,
        "identifier": account.identifier,
        "provider": connection.provider.key,
        "connector": connection.name,
        "connection_id": connection.id,
        "status": account.status,
        "authorization_type": "OAUTH",
        "updated_at": timestamp(account.updated_at),
    }
    if account.tokens:
        seen["token_expires_at"] = timestamp(account.tokens.expires_at)
    if account.last_used_at:
        seen["last_used_at"] = timestamp(account.last_used_at)
    return seen


def _connection(world: World, account: Account) -> Connection:
    return world.state.connections[account.connection]


def _identifier(given: Json) -> str:
    if not given.get("identifier"):
        raise invalid("identifier is required")
    return str(given["identifier"])


def _forget(world: World, account: Account) -> None:
    """What is under way for an account must not bring it back."""
    state = world.state
    state.links = {k: v for k, v in state.links.items() if v.account != account.id}
    state.flows = {k: v for k, v in state.flows.items() if v.link.account != account.id}
    state.auth_requests = {k: v for k, v in state.auth_requests.items() if v.account != account.id}
