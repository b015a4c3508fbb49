"""Adds the import of `AWS::ApiGatewayV2::Api` bodies, and API ids that stay.

MiniStack's CloudFormation ignores `Body`, which is all that SAM writes for an HttpApi: the stack
deploys and no route exists. It also keeps CORS settings in CloudFormation's spelling while its
data plane reads API Gateway's, and makes a new random id for each deployment of a stack.
"""

import hashlib
import uuid
from typing import Any

from infra.local.httpapi_plan import Json, Plan, plan
from infra.local.pins import pinned

_CORS_SPELLING = {
    "AllowOrigins": "allowOrigins",
    "AllowMethods": "allowMethods",
    "AllowHeaders": "allowHeaders",
    "ExposeHeaders": "exposeHeaders",
    "MaxAge": "maxAge",
    "AllowCredentials": "allowCredentials",
}
_PINNED_ID_TAG = "ms-custom-id"  # MiniStack's own tag for choosing an id


def stable_api_id(stack: str, logical_id: str) -> str:
    """Name an API by where it is declared, so that URLs survive a fresh emulator."""
    return hashlib.sha256(f"{stack}/{logical_id}".encode()).hexdigest()[:8]


def install() -> None:
    """Wrap the create and update handlers of HTTP APIs."""
    gateway = pinned(
        "ministack.services.apigateway", "_apis", "_authorizers", "_integrations", "_routes"
    )
    provisioners = pinned("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    original_create, original_update = handlers["create"], handlers["update"]

    def create(logical_id: str, props: Json, stack_name: str) -> Any:
        pinned_id = {_PINNED_ID_TAG: stable_api_id(stack_name, logical_id)}
        api_id, attributes = original_create(logical_id, _flat(props, pinned_id), stack_name)
        _apply(gateway, api_id, props)
        return api_id, attributes

    def update(
        physical_id: str, old: Json, new: Json, stack_name: str, logical_id: str | None = None
    ) -> Any:
        api_id, attributes = original_update(
            physical_id, _flat(old), _flat(new), stack_name, logical_id
        )
        _apply(gateway, api_id, new)
        return api_id, attributes

    handlers["create"], handlers["update"] = create, update


def _flat(props: Json, extra_tags: dict[str, str] | None = None) -> Json:
    """Lift the tags out of the body, where SAM puts them, to where MiniStack looks."""
    if not props.get("Body"):
        return props
    tags = {**(extra_tags or {}), **plan(props["Body"]).tags, **(props.get("Tags") or {})}
    return {**props, "Tags": tags, "ProtocolType": props.get("ProtocolType", "HTTP")}


def _apply(gateway: Any, api_id: str, props: Json) -> None:
    api = gateway._apis[api_id]
    cors = api.get("corsConfiguration")
    if isinstance(cors, dict):
        api["corsConfiguration"] = {_CORS_SPELLING.get(key, key): cors[key] for key in cors}
    if props.get("Body"):
        _import(gateway, api_id, plan(props["Body"]))


def _import(gateway: Any, api_id: str, planned: Plan) -> None:
    api = gateway._apis[api_id]
    if planned.cors:
        api["corsConfiguration"] = planned.cors
    if planned.title:
        api["name"] = planned.title
    authorizer_ids = {name: _new_id() for name in planned.authorizers}
    integrations, routes = {}, {}
    for item in planned.routes:
        integration_id, route_id = _new_id(), _new_id()
        integrations[integration_id] = {
            "integrationId": integration_id,
            "connectionType": "INTERNET",
            "requestParameters": {},
            "responseParameters": {},
            **item.integration,
        }
        routes[route_id] = {
            "routeId": route_id,
            "target": f"integrations/{integration_id}",
            "authorizerId": authorizer_ids.get(item.authorizer or ""),
            "apiKeyRequired": False,
            "authorizationScopes": [],
            **item.route,
        }
    gateway._authorizers[api_id] = {
        authorizer_ids[name]: {"authorizerId": authorizer_ids[name], **authorizer}
        for name, authorizer in planned.authorizers.items()
    }
    gateway._integrations[api_id], gateway._routes[api_id] = integrations, routes


def _new_id() -> str:
    return uuid.uuid4().hex[:8]
