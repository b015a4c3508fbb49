"""Custom::McpConfig, /configs, /tools: declare what MCP servers expose."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from valet import cloudformation
from valet.cloudformation import Provisioned, ResourceRequest
from valet.connectors.catalog import connector_names, load_connector
from valet.errors import BadRequest, UnknownName
from valet.http import Body, Request, Response, Route, describe, http_handler, json_response
from valet.models import ConnectionTools, McpConfig
from valet.native.exposure import exposed_tools, offered
from valet.wiring import configs, endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext


class Mapping(Body):
    connection: str
    tools: list[str] | None = None


class PutConfig(Body):
    description: str = ""
    connections: list[Mapping]


class _Properties(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EndpointProperties(_Properties):
    public_url: str = Field(alias="PublicUrl")


class ConnectionProperties(_Properties):
    name: str = Field(alias="Name")
    connector: str = Field(alias="Connector")
    oauth_client: str | None = Field(None, alias="OAuthClient")


class MappingProperties(_Properties):
    connection: str = Field(alias="Connection")
    tools: list[str] | None = Field(None, alias="Tools")


class ConfigProperties(_Properties):
    name: str = Field(alias="Name")
    description: str = Field("", alias="Description")
    connections: list[MappingProperties] = Field(alias="Connections")


def mappings(asked: Sequence[Mapping | MappingProperties]) -> list[ConnectionTools]:
    """A config's lines, as either door spells them."""
    return [
        ConnectionTools(m.connection, None if m.tools is None else tuple(m.tools)) for m in asked
    ]


def put_config(request: Request) -> Response:
    body = request.parse(PutConfig)
    config = configs().put(
        request.path("name"),
        body.description,
        mappings(body.connections),
        owner="",
        replaces=True,
    )
    return json_response(config_view(config))


def get_config(request: Request) -> Response:
    return json_response(config_view(configs().get(request.path("name"))))


def list_configs(_: Request) -> Response:
    return json_response({"configs": [config_view(config) for config in configs().all()]})


def delete_config(request: Request) -> Response:
    configs().get(request.path("name"))
    configs().delete(request.path("name"), owner="")
    return Response(HTTPStatus.NO_CONTENT)


def list_tools(request: Request) -> Response:
    asked = request.query.get("connector", [])
    if len(asked) > 1:
        raise BadRequest("name one connector, or none for all", code="bad_query")
    names = asked or connector_names()
    return json_response({"tools": [tool for name in names for tool in tool_views(name)]})


def tool_views(connector: str) -> list[dict[str, Any]]:
    return [
        {
            "name": tool.name,
            "connector": connector,
            "title": tool.title,
            "description": tool.description,
            "read_only": tool.read_only,
            "destructive": tool.destructive,
            "aliases": list(tool.aliases),
            "scopes": list(tool.scopes),
        }
        for tool in load_connector(connector).tools.values()
    ]


def config_view(config: McpConfig) -> dict[str, Any]:
    still = offered(config, configs().connections())
    return {
        "name": config.name,
        "description": config.description,
        "revision": config.revision,
        "updated_at": config.updated_at.isoformat().replace("+00:00", "Z"),
        "connections": [
            {
                "connection": mapping.connection,
                "connector": mapping.connector,
                "removed": mapping.connection not in still,
                "tools": list(names),
                "tool_count": len(names),
                "all_tools": mapping.tools is None,
            }
            for mapping in config.mappings
            for names in [exposed_tools(mapping)]
        ],
    }


def provision(request: ResourceRequest) -> Provisioned:
    """Create, update or delete one custom resource; each is the same twice as once."""
    make = _RESOURCES.get(request.resource_type)
    if make is None:
        raise UnknownName("resource type", request.resource_type, _RESOURCES)
    try:
        return make(request)
    except ValidationError as error:
        raise BadRequest(f"{request.resource_type}: {describe(error)}") from None


def provision_endpoint(request: ResourceRequest) -> Provisioned:
    if not request.deletes:
        endpoint().set(EndpointProperties.model_validate(request.properties).public_url)
    return Provisioned("endpoint")


def provision_connection(request: ResourceRequest) -> Provisioned:
    if request.deletes:
        configs().delete_connection(request.physical_id, owner=request.owner)
        return Provisioned(request.physical_id)
    wanted = ConnectionProperties.model_validate(request.properties)
    connection = configs().put_connection(
        wanted.name, wanted.connector, wanted.oauth_client, owner=request.owner, replaces=False
    )
    return Provisioned(connection.name, {"Connector": connection.connector})


def provision_config(request: ResourceRequest) -> Provisioned:
    if request.deletes:
        configs().delete(request.physical_id, owner=request.owner)
        return Provisioned(request.physical_id)
    wanted = ConfigProperties.model_validate(request.properties)
    config = configs().put(
        wanted.name,
        wanted.description,
        mappings(wanted.connections),
        owner=request.owner,
        replaces=False,
    )
    count = sum(entry["tool_count"] for entry in config_view(config)["connections"])
    return Provisioned(config.name, {"Revision": str(config.revision), "ToolCount": str(count)})


_RESOURCES = {
    "Custom::McpEndpoint": provision_endpoint,
    "Custom::McpConnection": provision_connection,
    "Custom::McpConfig": provision_config,
}

ROUTES = {
    "GET /configs": Route("iam", list_configs),
    "PUT /configs/{name}": Route("iam", put_config),
    "GET /configs/{name}": Route("iam", get_config),
    "DELETE /configs/{name}": Route("iam", delete_config),
    "GET /tools": Route("iam", list_tools),
}

_http = http_handler(ROUTES)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    if "RequestType" in event:
        cloudformation.answer(event, context, provision)
        return None
    return _http(event, context)
