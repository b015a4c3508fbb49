"""The HTTP edge that functions share: which route, who calls, what the body says, how errors look.

API Gateway has matched the route already, so a route is found by its key and never matched again.
Each route names who may call it, and a request that comes with another kind of caller, or with two,
is refused: an identity comes from exactly one verified place.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol, Self
from urllib.parse import parse_qs

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from valet.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    TooLarge,
    TooMany,
    UnknownName,
    ValetError,
)
from valet.models import UserId, UserKey, user_key
from valet.settings import settings
from valet.strict_json import BadJson, loads
from valet.users import checked_user, claimed_user

MAX_BODY = 64 * 1024

logger = Logger()

type Caller = Literal["jwt", "iam", "none"]


class Readable(Protocol):
    """What a body is read as: `valet.bodies.Body`."""

    @classmethod
    def read(cls, value: object) -> Self: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with the user that it is about where the route has one."""

    event: Mapping[str, Any] = field(repr=False)
    user: UserId | None
    caller: Caller = "none"
    max_body: int = MAX_BODY

    @property
    def user_key(self) -> UserKey:
        if self.user is None:
            raise Forbidden("this route needs a signed-in user")
        return user_key(self.user)

    def path(self, name: str) -> str:
        value = str(self.event["pathParameters"][name])
        try:
            value.encode()
        except UnicodeEncodeError:  # half a surrogate pair: no key and no hash takes it
            raise NotFound("nothing has such a name") from None
        return value

    @property
    def query(self) -> dict[str, list[str]]:
        """All values of each parameter; API Gateway's own parsing joins repeated ones by commas."""
        raw = self.event.get("rawQueryString") or ""
        try:
            return parse_qs(raw, keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise BadRequest("the query string is malformed", code="bad_query") from None

    def options(self, *known: str) -> dict[str, str]:
        """The query of a route that takes just these parameters, each at most once.

        Raises:
            BadRequest: another parameter, with the nearest that there is, or one that comes twice.
        """
        query = self.query
        for name, values in query.items():
            if name not in known:
                raise UnknownName("parameter", name, known)
            if len(values) > 1:
                raise BadRequest(f"{name} comes twice: give it one value", code="bad_query")
        return {name: value for name, (value,) in query.items()}

    def header(self, name: str) -> str | None:
        found = self.event.get("headers", {}).get(name)
        return str(found) if found is not None else None

    @property
    def cookies(self) -> dict[str, str]:
        """By name. Only what browsers trim themselves is trimmed: a name that begins with another
        space is not held to its `__Host-` prefix by them, so any host of the domain may set it."""
        pairs = (cookie.partition("=") for cookie in self.event.get("cookies", []))
        return {name.strip(" \t"): value for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        text = self.event.get("body") or ""
        if len(text) > self.max_body * 4 // 3 + 4:
            raise self._too_large()
        try:
            body = (
                b64decode(text, validate=True)
                if self.event.get("isBase64Encoded")
                else text.encode("utf-8")
            )
        except ValueError:  # not base64, or half a surrogate pair
            raise BadRequest("the body is not the text that it claims", code="bad_json") from None
        if len(body) > self.max_body:
            raise self._too_large()
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self.max_body // 1024} KB")

    def json(self) -> Any:
        """The JSON body; an empty body is an empty object. Raises BadRequest: it is not JSON."""
        try:
            return loads(self.body or b"{}")
        except BadJson as error:
            raise BadRequest(str(error), code="bad_json") from None

    def parse[T: Readable](self, model: type[T]) -> T:
        """The JSON body as `model`.

        Raises:
            BadRequest: not JSON, or not what the route accepts; names the fields, never values.
        """
        return model.read(self.json())


@dataclass(frozen=True, slots=True)
class Response:
    status: int = HTTPStatus.OK
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    def to_event(self) -> dict[str, Any]:
        """As API Gateway's payload format 2.0 wants it."""
        fixed = {
            "cache-control": "no-store",
            "content-type": self.content_type,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return {
            "statusCode": int(self.status),
            "headers": fixed | dict(self.headers),
            "cookies": list(self.cookies),
            "body": self.body,
        }


@dataclass(frozen=True, slots=True)
class Route:
    caller: Caller
    answer: Callable[[Request], Response]
    max_body: int = MAX_BODY  # bytes


# A route about one user's things has two doors: the user's own, and that of a service for them.
FOR_ONE_USER: tuple[tuple[Caller, str], ...] = (("jwt", ""), ("iam", "/users/{user}"))

type Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
type Refuse = Callable[[Request, ValetError], Response]


def json_response(value: object, status: int = HTTPStatus.OK) -> Response:
    return Response(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def problem_body(error: ValetError) -> dict[str, Any]:
    """RFC 9457, with our stable `code`."""
    return {
        "type": "about:blank",
        "title": error.status.phrase,
        "status": int(error.status),
        "code": error.code,
        "detail": str(error),
    }


def problem(_: Request, error: ValetError) -> Response:
    body = json.dumps(problem_body(error), ensure_ascii=False)
    wait = {"retry-after": str(error.retry_after)} if isinstance(error, TooMany) else {}
    return Response(error.status, body, content_type="application/problem+json", headers=wait)


def http_handler(routes: Mapping[str, Route], refuse: Refuse = problem) -> Handler:
    """A Lambda handler over a function's routes, by route key.

    An error that nobody raised on purpose is not answered here: it fails the invocation, which
    API Gateway answers with a bare 500 and the alarm counts.
    """

    @logger.inject_lambda_context(
        correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True
    )
    def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
        request = Request(event, None)
        route_key = str(event.get("routeKey", ""))
        try:
            route = routes.get(route_key)
            if route is None:
                raise NotFound("no such route")
            user = _identify(event, route.caller)
            request = Request(event, user, route.caller, route.max_body)
            response = route.answer(request)
        except ValetError as error:
            response = refuse(request, error)
            about = {"route": route_key, "status": response.status, "code": error.code}
            logger.info("refused", extra=about | _who(request))
        else:
            about = {"route": route_key, "status": response.status}
            logger.info("answered", extra=about | _who(request))
        return response.to_event()

    return handler


def _who(request: Request) -> dict[str, object]:
    """For the audit: which user a request was about, and which service named them."""
    about: dict[str, object] = {}
    if request.user is not None:
        about["user"] = user_key(request.user)
    if request.caller != "iam":
        return about
    principal = request.event["requestContext"]["authorizer"]["iam"]
    return about | {"actor": str(principal.get("userArn"))}


def _identify(event: Mapping[str, Any], caller: Caller) -> UserId | None:
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    kinds = {kind for kind in ("jwt", "iam", "lambda") if authorizer.get(kind)}
    if kinds != ({caller} if caller != "none" else set()):
        raise Forbidden("this route is for another kind of caller")
    if caller == "jwt":
        return claimed_user(authorizer["jwt"]["claims"], settings().user_claim)
    named = (event.get("pathParameters") or {}).get("user")
    return checked_user(named) if caller == "iam" and named is not None else None
