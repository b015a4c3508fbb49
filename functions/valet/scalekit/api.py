"""What we ask of a Scalekit environment: its REST API in our nouns, one method a call.

Only what has no preview mark is used, but for the per-user instances, which have one. A user's
`identifier` there is our hash of the id, so that no user's name leaves this account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valet.models import Secret
from valet.scalekit.answers import (
    RemoteAccount,
    RemoteConfig,
    RemoteConnection,
    RemoteInstance,
    RemoteToken,
    RemoteTool,
    read_config,
    read_instance,
    read_moment,
    read_status,
    read_tool,
)
from valet.scalekit.client import text
from valet.scalekit.errors import ScalekitAnswer, ScalekitRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.models import ConnectionTools, UserKey
    from valet.scalekit.client import Client, Json

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CONFIGS = "/api/v1/mcp/configs"
_INSTANCES = "/api/v1/mcp/instances"
_ACCOUNTS = "/api/v1/connected_accounts"
_TOOL_SECONDS = 15.0  # with a look at the account afterwards it is within a function's 28


@dataclass(frozen=True, slots=True)
class Api:
    """Each method may raise what `Client.call` does."""

    client: Client

    @property
    def env_url(self) -> str:
        return self.client.credentials.get().env_url

    def config(self, name: str) -> RemoteConfig | None:
        doing = "looking up a config"
        query = {"filter.name": name, "page_size": "30"}
        for found in self.client.pages(doing, _CONFIGS, "configs", query):
            if found.get("name") == name:  # the filter is said to ignore case
                return read_config(doing, found)
        return None

    def create_config(
        self, name: str, description: str, mappings: Sequence[ConnectionTools]
    ) -> RemoteConfig:
        """Not the same twice as once: a second one of the name is refused."""
        doing = "creating a config"
        body = {"name": name, **_declared(description, mappings)}
        return read_config(
            doing, _object(doing, self.client.call(doing, "POST", _CONFIGS, body=body))
        )

    def update_config(
        self, config_id: str, description: str, mappings: Sequence[ConnectionTools]
    ) -> RemoteConfig:
        doing = "updating a config"
        said = self.client.call(
            doing,
            "PUT",
            f"{_CONFIGS}/{_checked(doing, config_id)}",
            body=_declared(description, mappings),
            repeatable=True,
        )
        return read_config(doing, _object(doing, said))

    def delete_config(self, config_id: str) -> None:
        """Its instances go with it. One that is gone is no error."""
        self._gone("deleting a config", "DELETE", f"{_CONFIGS}/", config_id)

    def connections(self) -> list[RemoteConnection]:
        doing = "listing connections"
        return [
            RemoteConnection(
                name=text(doing, found, "key_id"),
                provider=text(doing, found, "provider_key"),
                usable=bool(found.get("enabled")) and found.get("status") == "COMPLETED",
            )
            for found in self.client.pages(
                doing, "/api/v1/connections/app", "connections", {"page_size": "30"}
            )
            if found.get("key_id")
        ]

    def tools(self, provider: str) -> list[RemoteTool]:
        """In the order of their names: pages may come in any."""
        doing = "listing a provider's tools"
        query = {"filter.provider": provider, "page_size": "100"}  # the default cuts lists short
        found = self.client.pages(doing, "/api/v1/tools", "tools", query)
        return sorted(
            (read_tool(doing, provider, each) for each in found), key=lambda tool: tool.name
        )

    def ensure_instance(self, name: str, config: str, user: UserKey) -> RemoteInstance:
        doing = "ensuring an instance"
        body = {"name": name, "config_name": config, "user_identifier": user}
        said = self.client.call(doing, "POST", _INSTANCES, body=body, repeatable=True)
        return read_instance(doing, said.get("instance"))

    def instances(self, user: UserKey) -> list[RemoteInstance]:
        doing = "listing instances"
        query = {"filter.user_identifier": user, "page_size": "30"}
        found = [
            read_instance(doing, each)
            for each in self.client.pages(doing, _INSTANCES, "instances", query)
        ]
        return [instance for instance in found if instance.user == user]

    def delete_instance(self, instance_id: str) -> None:
        """Its URL dies. One that is gone is no error."""
        self._gone("deleting an instance", "DELETE", f"{_INSTANCES}/", instance_id)

    def accounts(self, user: UserKey) -> list[RemoteAccount]:
        """All of a user's; a connection that is not among them was never authorized."""
        doing = "listing connected accounts"
        query = {"identifier": user, "page_size": "99"}
        return [
            RemoteAccount(text(doing, found, "connector"), read_status(found.get("status")))
            for found in self.client.pages(doing, _ACCOUNTS, "connected_accounts", query)
            if found.get("identifier") == user
        ]

    def delete_account(self, user: UserKey, connection: str) -> bool:
        """The account and its credentials; says whether there was one."""
        try:
            self.client.call(
                "deleting a connected account",
                "POST",
                f"{_ACCOUNTS}:delete",
                body={"connector": connection, "identifier": user},
                repeatable=True,
            )
        except ScalekitRefused as refused:
            if refused.not_found:
                return False
            raise
        return True

    def magic_link(self, user: UserKey, connection: str, state: str, verify_url: str) -> str:
        """A link of a minute's life, and the account that it is for, if there was none."""
        doing = "minting a link"
        body = {
            "connector": connection,
            "identifier": user,
            "state": state,
            "user_verify_url": verify_url,
        }
        said = self.client.call(
            doing, "POST", f"{_ACCOUNTS}/magic_link", body=body, repeatable=True
        )
        return text(doing, said, "link")

    def verify(self, auth_request_id: str, user: UserKey) -> None:
        """Make the account active, if the link was made for this user; 403 if it was not."""
        self.client.call(
            "verifying a user",
            "POST",
            f"{_ACCOUNTS}/user/verify",
            body={"auth_request_id": auth_request_id, "identifier": user},
        )

    def session_token(
        self, config_id: str, user: UserKey, seconds: int, access_level: str
    ) -> RemoteToken:
        doing = "minting a session token"
        said = self.client.call(
            doing,
            "POST",
            f"{_CONFIGS}/{_checked(doing, config_id)}/tokens",
            body={"identifier": user, "expiry": f"{seconds}s", "access_level": access_level},
            repeatable=True,
        )
        expires = text(doing, said, "expires_at")
        return RemoteToken(Secret(text(doing, said, "token")), read_moment(doing, expires))

    def execute_tool(
        self, tool: str, connection: str, user: UserKey, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The tool's result. It is never repeated: it may have been made, whatever came back."""
        said = self.client.call(
            "running a tool",
            "POST",
            "/api/v1/execute_tool",
            body={
                "tool_name": tool,
                "params": arguments,
                "connector": connection,
                "identifier": user,
            },
            seconds=_TOOL_SECONDS,
        )
        data = said.get("data") or {}  # protobuf's JSON leaves out what is empty
        if not isinstance(data, dict):
            raise ScalekitAnswer("running a tool", "data")
        return data

    def _gone(self, doing: str, method: str, path: str, item_id: str) -> None:
        try:
            self.client.call(doing, method, f"{path}{_checked(doing, item_id)}", repeatable=True)
        except ScalekitRefused as refused:
            if not refused.not_found:
                raise


def _declared(description: str, mappings: Sequence[ConnectionTools]) -> dict[str, Any]:
    declared = [
        {"connection_name": mapping.connection, "tools": list(mapping.tools or ())}
        for mapping in mappings
    ]
    assert all(each["tools"] for each in declared), "an empty list would expose every tool"
    # An empty description cannot be told from none, so that it clears nothing.
    about = {"description": description} if description else {}
    return {**about, "connection_tool_mappings": declared}


def _object(doing: str, said: Json) -> Json:
    found = said.get("config")
    if not isinstance(found, dict):
        raise ScalekitAnswer(doing, "config")
    return found


def _checked(doing: str, item_id: str) -> str:
    """An id enters a path, so that it is held to what ids look like, whoever sent it."""
    if not _ID.fullmatch(item_id):
        raise ScalekitAnswer(doing, "a well-formed id")
    return item_id
