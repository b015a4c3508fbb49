"""What Scalekit answers, read: fields that we do not know are left alone, missing ones named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from valet.models import AccountStatus, ConnectionTools, Secret
from valet.scalekit.client import objects, text
from valet.scalekit.errors import ScalekitAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.scalekit.client import Json


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    id: str
    name: str
    description: str
    mappings: tuple[ConnectionTools, ...]
    server_url: str | None  # where its virtual server is, if the environment has those


@dataclass(frozen=True, slots=True)
class RemoteConnection:
    name: str
    provider: str  # GMAIL, GOOGLECALENDAR
    usable: bool  # enabled, and set up to the end


@dataclass(frozen=True, slots=True)
class RemoteInstance:
    id: str
    user: str
    config: str
    url: Secret  # who has it, has the tools


@dataclass(frozen=True, slots=True)
class RemoteAccount:
    connection: str
    status: AccountStatus


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """`valet.connectors.models.ToolFacts`; of scopes and aliases Scalekit documents none."""

    name: str
    connector: str
    title: str
    description: str
    read_only: bool
    destructive: bool
    idempotent: bool
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    aliases: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteToken:
    value: Secret
    expires_at: datetime


def read_config(doing: str, found: Json) -> RemoteConfig:
    return RemoteConfig(
        id=text(doing, found, "id"),
        name=text(doing, found, "name"),
        description=str(found.get("description") or ""),
        mappings=tuple(
            ConnectionTools(text(doing, each, "connection_name"), tuple(each.get("tools") or ()))
            for each in objects(doing, found, "connection_tool_mappings")
        ),
        server_url=found.get("mcp_server_url") or None,
    )


def read_instance(doing: str, found: object) -> RemoteInstance:
    said = found if isinstance(found, dict) else {}
    return RemoteInstance(
        id=text(doing, said, "id"),
        user=text(doing, said, "user_identifier"),
        config=text(doing, said, "config", "name"),
        url=Secret(text(doing, said, "url")),
    )


def read_tool(doing: str, provider: str, found: Json) -> RemoteTool:
    definition = found.get("definition")
    about = definition if isinstance(definition, dict) else {}
    annotations = about.get("annotations")
    hints = annotations if isinstance(annotations, dict) else {}
    name = text(doing, found, "definition", "name")
    read_only = hints.get("read_only_hint") is True
    return RemoteTool(
        name=name,
        connector=provider.lower(),
        title=str(about.get("display_name") or name),
        description=str(about.get("description") or ""),
        read_only=read_only,
        # What it does not say is taken as MCP takes it: it may destroy.
        destructive=not read_only and hints.get("destructive_hint") is not False,
        idempotent=read_only or hints.get("idempotent_hint") is True,
        input_schema=_schema(about.get("input_schema")),
        output_schema=_schema(about.get("output_schema")),
    )


def _schema(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {"type": "object"}


def read_status(value: object) -> AccountStatus:
    """By name in any case; one that we do not know is not one to rely on."""
    try:
        return AccountStatus(str(value).upper())
    except ValueError:
        return AccountStatus.PENDING_AUTH


def read_moment(doing: str, value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ScalekitAnswer(doing, "a time in expires_at") from None
