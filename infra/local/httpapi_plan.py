"""Reads the OpenAPI body that SAM writes for an HttpApi into routes, integrations and authorizers.

Pure: the intrinsics are resolved already, and what comes out is the shape of API Gateway's own
CreateRoute, CreateIntegration and CreateAuthorizer requests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

_ANY = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"


@dataclass(frozen=True)
class PlannedRoute:
    """One route, what it invokes, and the name of the authorizer that guards it."""

    route: Json
    integration: Json
    authorizer: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that an API's body asks for."""

    routes: list[PlannedRoute] = field(default_factory=list)
    authorizers: dict[str, Json] = field(default_factory=dict)
    cors: Json | None = None
    tags: dict[str, str] = field(default_factory=dict)
    title: str | None = None


def plan(body: Mapping[str, Any]) -> Plan:
    """Say what to create for an OpenAPI body."""
    schemes: Json = (body.get("components") or {}).get("securitySchemes") or {}
    iam = {name for name, scheme in schemes.items() if _is_iam(scheme)}
    authorizers = {
        name: _authorizer(name, scheme.get("x-amazon-apigateway-authorizer") or {})
        for name, scheme in schemes.items()
        if name not in iam
    }
    default_security = body.get("security") or []
    return Plan(
        routes=[
            _route(key, operation, default_security, iam, authorizers)
            for key, operation in _operations(body.get("paths") or {})
        ],
        authorizers=authorizers,
        cors=body.get("x-amazon-apigateway-cors"),
        tags={
            tag["name"]: str(tag.get("x-amazon-apigateway-tag-value", ""))
            for tag in body.get("tags") or []
        },
        title=(body.get("info") or {}).get("title"),
    )


def _is_iam(scheme: Mapping[str, Any]) -> bool:
    return scheme.get("x-amazon-apigateway-authtype") == "awsSigv4"


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method == "parameters" or _INTEGRATION not in operation:
                continue
            verb = "ANY" if method == _ANY else method.upper()
            yield path if path == "$default" else f"{verb} {path}", operation


def _authorizer(name: str, source: Mapping[str, Any]) -> Json:
    identity = source.get("identitySource") or ["$request.header.Authorization"]
    if isinstance(identity, str):
        identity = [part.strip() for part in identity.split(",")]
    common: Json = {"name": name, "identitySource": identity}
    if source.get("type") == "jwt":
        jwt = source.get("jwtConfiguration") or {}
        return common | {
            "authorizerType": "JWT",
            "jwtConfiguration": {
                "issuer": jwt.get("issuer"),
                "audience": list(jwt.get("audience") or []),
            },
        }
    return common | {
        "authorizerType": "REQUEST",
        "authorizerUri": source.get("authorizerUri", ""),
        "authorizerPayloadFormatVersion": str(source.get("authorizerPayloadFormatVersion", "2.0")),
        "enableSimpleResponses": bool(source.get("enableSimpleResponses", False)),
        "authorizerResultTtlInSeconds": int(source.get("authorizerResultTtlInSeconds", 0)),
        "authorizerCredentialsArn": source.get("authorizerCredentials"),
    }


def _integration(source: Mapping[str, Any]) -> Json:
    return {
        "integrationType": source.get("type", "aws_proxy").upper(),
        "integrationUri": source.get("uri", ""),
        "integrationMethod": source.get("httpMethod", "POST"),
        "payloadFormatVersion": str(source.get("payloadFormatVersion", "2.0")),
        "timeoutInMillis": int(source.get("timeoutInMillis", 30_000)),
    }


def _route(
    key: str,
    operation: Mapping[str, Any],
    default_security: list[Json],
    iam: set[str],
    authorizers: Mapping[str, Json],
) -> PlannedRoute:
    route: Json = {"routeKey": key, "authorizationType": "NONE"}
    guard = None
    # An operation's own list wins even when it is empty: that is how a route opts out.
    for requirement in operation.get("security", default_security) or []:
        for name, scopes in requirement.items():
            if name in iam:
                route["authorizationType"] = "AWS_IAM"
            elif name in authorizers:
                guard = name
                jwt = authorizers[name]["authorizerType"] == "JWT"
                route["authorizationType"] = "JWT" if jwt else "CUSTOM"
                route["authorizationScopes"] = list(scopes)
            elif name != "NONE":
                # Opening a route because its guard is unknown would be the worst reading.
                raise ValueError(f"{key} names the authorizer {name}, which is not defined")
    return PlannedRoute(route, _integration(operation[_INTEGRATION]), guard)
