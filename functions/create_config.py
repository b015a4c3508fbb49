"""Custom::McpConfig, /configs, /tools: declare what MCP servers expose."""

from __future__ import annotations

import re
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from valet import cloudformation
from valet.bodies import Body, describe
from valet.cloudformation import Provisioned, ResourceRequest
from valet.connectors.search import ToolQuery, find_tools
from valet.errors import BadRequest, UnknownName
from valet.http import (
    Request,
    Response,
    Route,
    http_handler,
    json_response,
    logger,
)
from valet.models import ConnectionTools
from valet.native.exposure import all_exposed
from valet.views import catalogue_view, config_view, impact_view
from valet.wiring import backend
from valet.wiring.shared import endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from valet.models import Impact, McpConfig


MOST_REVISIONS = 100  # in an answer; older ones can be restored by their number
MAX_REMOVED = 1500  # characters of an attribute: CloudFormation takes an answer of 4,096 bytes
_REVISION = re.compile(r"[1-9][0-9]{0,7}")


class Line(Body):
    connection: str
    tools: list[str] | None = None


class PutConfig(Body):
    description: str = ""
    connections: list[Line]


class RestoreRevision(Body):
    """Nothing: the path says it all."""


class _Properties(BaseModel):
    model_config = ConfigDict(extra="forbid")

    backend: str = Field("", alias="Backend")  # unread: it has CloudFormation see its change


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


def mappings(asked: Sequence[Line | MappingProperties]) -> list[ConnectionTools]:
    """A config's lines, as either door spells them."""
    return [
        ConnectionTools(m.connection, None if m.tools is None else tuple(m.tools)) for m in asked
    ]


def put_config(request: Request) -> Response:
    body = request.parse(PutConfig)
    config = (
        backend()
        .configs()
        .put(
            request.path("name"),
            body.description,
            mappings(body.connections),
            owner="",
            replaces=True,
        )
    )
    return changed(config)


def get_config(request: Request) -> Response:
    config = backend().configs().get(request.path("name"))
    return json_response(shown(config))


def list_configs(_: Request) -> Response:
    connections, catalogue = backend().configs().connections(), backend().catalogue()
    views = [config_view(c, connections, catalogue) for c in backend().configs().all()]
    return json_response({"configs": views})


def delete_config(request: Request) -> Response:
    config = backend().configs().get(request.path("name"))
    impact = backend().configs().impact_of_deleting(config)
    backend().configs().delete(config.name, owner="")
    return json_response({"name": config.name} | impact_view(told(config, impact)))


def list_revisions(request: Request) -> Response:
    name = request.path("name")
    newest_first = backend().configs().history(name)[::-1]
    current, connections = backend().configs().current(name), backend().configs().connections()
    catalogue = backend().catalogue()
    views = [
        config_view(config, connections, catalogue) | {"current": config == current}
        for config in newest_first[:MOST_REVISIONS]
    ]
    return json_response({"revisions": views})


def restore_revision(request: Request) -> Response:
    request.parse(RestoreRevision)
    if not _REVISION.fullmatch(request.path("revision")):
        raise BadRequest(
            "a revision is a number, such as 3: GET /configs/{name}/revisions lists them",
            code="bad_revision",
        )
    config = backend().configs().restore(request.path("name"), int(request.path("revision")))
    return changed(config)


def shown(config: McpConfig) -> dict[str, Any]:
    return config_view(config, backend().configs().connections(), backend().catalogue())


def changed(config: McpConfig) -> Response:
    impact = told(config, backend().configs().impact(config))
    return json_response(shown(config) | impact_view(impact))


def told(config: McpConfig, impact: Impact) -> Impact:
    """For the log, whichever door a change came through."""
    logger.info(
        "config changed",
        config=config.name,
        revision=config.revision,
        removed_tools=impact.removed_tools,
        instances_losing_tools=impact.instances,
    )
    return impact


def list_tools(request: Request) -> Response:
    asked = request.options("connector", "name", "q", "read_only", "schemas")
    query = ToolQuery(
        connector=asked.get("connector"),
        name=asked.get("name"),
        words=asked.get("q", ""),
        read_only=yes_or_no(asked, "read_only"),
    )
    schemas = yes_or_no(asked, "schemas") is not False
    found = find_tools(query, backend().catalogue())
    return json_response({"tools": [catalogue_view(tool, schemas=schemas) for tool in found]})


def yes_or_no(asked: Mapping[str, str], name: str) -> bool | None:
    """None if it was not asked for."""
    value = asked.get(name)
    if value not in (None, "true", "false"):
        raise BadRequest(f"{name} is true or false", code="bad_query")
    return None if value is None else value == "true"


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
        backend().configs().delete_connection(request.physical_id, owner=request.owner)
        return Provisioned(request.physical_id)
    wanted = ConnectionProperties.model_validate(request.properties)
    connection = (
        backend()
        .configs()
        .put_connection(
            wanted.name, wanted.connector, wanted.oauth_client, owner=request.owner, replaces=False
        )
    )
    return Provisioned(connection.name, {"Connector": connection.connector})


def provision_config(request: ResourceRequest) -> Provisioned:
    if request.deletes:
        backend().configs().delete(request.physical_id, owner=request.owner)
        return Provisioned(request.physical_id)
    wanted = ConfigProperties.model_validate(request.properties)
    config = (
        backend()
        .configs()
        .put(
            wanted.name,
            wanted.description,
            mappings(wanted.connections),
            owner=request.owner,
            replaces=False,
        )
    )
    impact = told(config, backend().configs().impact(config))
    return Provisioned(
        config.name,
        {
            "Revision": str(config.revision),
            "ToolCount": str(len(all_exposed(config, backend().catalogue()))),
            "RemovedTools": shorten(", ".join(impact.removed_tools), MAX_REMOVED, placeholder=" …"),
            "InstancesLosingTools": str(impact.instances),
        },
    )


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
    "GET /configs/{name}/revisions": Route("iam", list_revisions),
    "POST /configs/{name}/revisions/{revision}/restore": Route("iam", restore_revision),
    "GET /tools": Route("iam", list_tools),
}

_http = http_handler(ROUTES)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    if "RequestType" in event:
        cloudformation.answer(event, context, provision)
        return None
    return _http(event, context)
