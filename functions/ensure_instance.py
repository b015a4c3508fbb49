"""/instances: give each user their MCP server's URL, and say what is still missing to use it.

With Scalekit also /users/{user}/tools/{tool}, since there is no mcp_server then.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, Strict

from valet.bodies import Body
from valet.errors import NotFound, ValetError
from valet.http import (
    FOR_ONE_USER,
    Request,
    Response,
    Route,
    http_handler,
    json_response,
    logger,
    problem_body,
)
from valet.mcp.transport import MAX_BODY
from valet.models import Access, McpInstance, SessionToken, UserKey, user_key
from valet.native.exposure import offered
from valet.native.readiness import readiness
from valet.native.session_tokens import LONGEST, SHORTEST, USUAL
from valet.run_tool import answer
from valet.users import checked_user
from valet.wiring import backend
from valet.wiring.shared import tickets

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())


class EnsureInstance(Body):
    config: str = Field(min_length=1)


class DirectCall(Body):
    """What another service sends with `lambda:InvokeFunction`."""

    config: str = Field(min_length=1)
    user: str


class RotateInstance(Body):
    grace_seconds: int = Field(0, ge=0, le=86_400)


class IssueToken(Body):
    expires_in_seconds: int = Field(_seconds(USUAL), ge=_seconds(SHORTEST), le=_seconds(LONGEST))
    access: Annotated[Access, Strict(False)] = Access.FULL  # JSON has no enums, so by name


def ensure(request: Request) -> Response:
    body = request.parse(EnsureInstance)
    return json_response(ensured(body.config, request.user_key))


def list_instances(request: Request) -> Response:
    found = backend().instances().of(request.user_key)
    return json_response({"instances": [summary(instance) for instance in found]})


def get_instance(request: Request) -> Response:
    return json_response(view(backend().instances().get(request.path("id"), request.user_key)))


def delete_instance(request: Request) -> Response:
    backend().instances().delete(request.path("id"), request.user_key)
    return Response(HTTPStatus.NO_CONTENT)


def rotate_instance(request: Request) -> Response:
    grace = timedelta(seconds=request.parse(RotateInstance).grace_seconds)
    return json_response(
        summary(backend().instances().rotate(request.path("id"), request.user_key, grace))
    )


def issue_token(request: Request) -> Response:
    body = request.parse(IssueToken)
    token, text = (
        backend()
        .session_tokens()
        .issue(
            request.path("id"),
            request.user_key,
            timedelta(seconds=body.expires_in_seconds),
            body.access,
        )
    )
    url = backend().session_tokens().url(token.instance, request.user_key)
    bearer = {"token": text.reveal(), "url": url}
    return json_response(token_view(token) | bearer)


def list_tokens(request: Request) -> Response:
    found = backend().session_tokens().of(request.path("id"), request.user_key)
    return json_response({"tokens": [token_view(token) for token in found]})


def revoke_token(request: Request) -> Response:
    backend().session_tokens().revoke(
        request.path("id"), request.user_key, request.path("token_id")
    )
    return Response(HTTPStatus.NO_CONTENT)


def run_tool(request: Request) -> Response:
    """One tool for a user, where the backend has no function of its own for calls."""
    runs = backend().tool_runs()
    if runs is None or request.event["requestContext"]["http"]["method"] != "POST":
        raise NotFound("no such route")
    return answer(request, runs.run)


def ensured(config: str, user: UserKey) -> dict[str, Any]:
    """The instance, and a fresh link to connect what it still lacks."""
    answer = view(backend().instances().ensure(config, user))
    link = tickets().issue(user, config)
    return answer | {"connect_url": link.url, "connect_url_expires_at": stamp(link.expires_at)}


def view(instance: McpInstance) -> dict[str, Any]:
    config = backend().configs().get(instance.config)
    connections = offered(config, backend().configs().connections())
    found = backend().accounts().of(instance.user, connections)
    return summary(instance) | {
        "connections": [
            {"connection": name, "connector": c.connector, "status": found[name].status.value}
            for name, c in connections.items()
        ],
        "tools": [
            {"name": tool.name, "connection": tool.connection, "ready": tool.ready}
            | ({} if tool.ready else {"reason": tool.reason})
            for tool in readiness(config, found, backend().catalogue())
        ],
    }


def summary(instance: McpInstance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "config": instance.config,
        "url": backend().instances().url(instance),
        "created_at": stamp(instance.created_at),
    }


def token_view(token: SessionToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "access": token.access.value,
        "created_at": stamp(token.created_at),
        "expires_at": stamp(token.expires_at),
    }


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


ROUTES = {
    f"{method} {prefix}/instances{suffix}": Route(caller, does)
    for caller, prefix in FOR_ONE_USER
    for method, suffix, does in (
        ("POST", "", ensure),
        ("GET", "", list_instances),
        ("GET", "/{id}", get_instance),
        ("DELETE", "/{id}", delete_instance),
        ("POST", "/{id}/rotate", rotate_instance),
        ("POST", "/{id}/tokens", issue_token),
        ("GET", "/{id}/tokens", list_tokens),
        ("DELETE", "/{id}/tokens/{token_id}", revoke_token),
    )
} | {"ANY /users/{user}/tools/{tool}": Route("iam", run_tool, MAX_BODY)}

_http = http_handler(ROUTES)


def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    from_api = isinstance(event, dict) and "requestContext" in event
    return _http(event, context) if from_api else invoked(event, context)


# Without clear_state a warm function's lines would go on naming the request before.
@logger.inject_lambda_context(clear_state=True)
def invoked(event: object, _: LambdaContext) -> dict[str, Any]:
    """A direct invocation: IAM has decided that the caller may name the user.

    Answers what POST /instances does, or the same problem object, told apart by its `code`.
    """
    try:
        call = DirectCall.read(event)
        user = user_key(checked_user(call.user))
        answer = ensured(call.config, user)
    except ValetError as error:
        logger.info("refused", route="invoke", code=error.code)
        return problem_body(error)
    logger.info("answered", route="invoke", user=user)
    return answer
