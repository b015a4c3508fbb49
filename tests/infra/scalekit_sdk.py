"""Scalekit's own SDK at work on the fake: prints what it read. Runs in the SDK's environment.

    python -m tests.infra.scalekit_sdk http://127.0.0.1:4900

The SDK fetches tokens and keys over HTTP and makes every other call over gRPC. Scalekit serves
both from the same methods, so a channel that transcodes them, by the method's own
`google.api.http`, lets the SDK's requests reach the fake and the SDK read its answers.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc.status_pb2 import Status

from infra.local.fake_scalekit.seed import CLIENT_ID, CLIENT_SECRET

USER = "john-doe"


class RestError(grpc.RpcError):  # type: ignore[misc]  # grpc brings no types
    """A refusal over REST, as gRPC tells it: the status message travels in the trailers."""

    def __init__(self, status: Any) -> None:
        super().__init__(status.message)
        self._status = status

    def code(self) -> Any:
        return next(code for code in grpc.StatusCode if code.value[0] == self._status.code)

    def details(self) -> str:
        return str(self._status.message)

    def trailing_metadata(self) -> list[tuple[str, bytes]]:
        return [("grpc-status-details-bin", self._status.SerializeToString())]


class RestCall:
    """One method of a service, called over REST."""

    def __init__(self, base: str, name: str) -> None:
        service, method = name.strip("/").split("/")
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
        self._base = base
        self._rule = found.GetOptions().Extensions[annotations_pb2.http]
        self._output = message_factory.GetMessageClass(found.output_type)

    def with_call(self, request: Any, timeout: float, metadata: Any) -> tuple[Any, None]:
        fields = json_format.MessageToDict(request, preserving_proto_field_name=True)
        verb = self._rule.WhichOneof("pattern")
        template = getattr(self._rule, verb)
        path = re.sub(r"\{(\w+)\}", lambda name: fields.pop(name.group(1)), template)
        body = fields if self._rule.body == "*" else fields.get(self._rule.body)
        query = None if self._rule.body else dict(_flat(fields))
        answer = httpx.request(
            verb.upper(),
            self._base + path,
            params=query,
            json=body,
            headers=dict(metadata),
            timeout=timeout,
        )
        if answer.is_error:
            raise RestError(json_format.Parse(answer.text, Status()))
        return json_format.Parse(answer.text, self._output()), None


class RestChannel:
    """As much of a gRPC channel as the SDK's stubs use."""

    def __init__(self, base: str) -> None:
        self._base = base

    def unary_unary(self, name: str, **_: Any) -> RestCall:
        return RestCall(self._base, name)


def _flat(fields: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A query's parameters: a message in a field is written `field.name=value`."""
    pairs = []
    for name, value in fields.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, str(value).lower() if value in (True, False) else value))
    return pairs


def main(env_url: str) -> None:
    # Before any stub is made of it.
    grpc.secure_channel = lambda *_, **__: RestChannel(env_url)
    print(json.dumps(walk(env_url)))


def walk(env_url: str) -> dict[str, Any]:
    """The documented example, and what follows from it, for a user who is connected."""
    import scalekit.client
    from scalekit.actions.types import McpConfigConnectionToolMapping
    from scalekit.common.exceptions import ScalekitServerException
    from scalekit.common.scalekit import TokenValidationOptions

    scalekit_client = scalekit.client.ScalekitClient(
        client_id=CLIENT_ID, client_secret=CLIENT_SECRET, env_url=env_url
    )
    actions = scalekit_client.actions
    made = actions.mcp.create_config(
        name="email-calendar-assistant",
        description="Reads email and creates calendar reminders",
        connection_tool_mappings=[
            McpConfigConnectionToolMapping(connection_name="MY_GMAIL", tools=["gmail_fetch_mails"]),
            McpConfigConnectionToolMapping(
                connection_name="MY_CALENDAR", tools=["googlecalendar_create_event"]
            ),
        ],
    )
    try:
        actions.mcp.create_config(name="email-calendar-assistant")
        duplicate = ""
    except ScalekitServerException as error:
        duplicate = f"{type(error).__name__} {error.error_code}"
    listed = actions.mcp.list_configs(filter_name="email-calendar-assistant")
    ensured = actions.mcp.ensure_instance(config_name=made.config.name, user_identifier=USER)
    state = actions.mcp.get_instance_auth_state(ensured.instance.id, include_auth_links=True)
    token = actions.mcp.create_session_token(made.config.id, USER).token
    server = TokenValidationOptions(audience=[made.config.mcp_server_url])
    result = actions.execute_tool(
        tool_name="gmail_fetch_mails",
        tool_input={"max_results": 2},
        connection_name="MY_GMAIL",
        identifier=USER,
    )
    return {
        "config": made.config.id,
        "duplicate": duplicate,
        "listed": [config.id for config in listed.configs],
        "url": ensured.instance.url,
        "state": {
            each.connection_name: each.connected_account_status for each in state.connections
        },
        "links": [each.authentication_link for each in state.connections],
        "claims": scalekit_client.validate_token(token, server),
        "mails": len(result.data["messages"]),
    }


if __name__ == "__main__":
    main(sys.argv[1])
