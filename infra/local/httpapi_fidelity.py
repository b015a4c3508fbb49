"""Makes HTTP APIs answer as AWS's do where MiniStack takes a short cut.

MiniStack hands a function's exception text to the caller, ignores integration timeouts, payload
limits and stage throttling, sends no cookies and no x-forwarded headers in the event, and refuses
the preflight of a foreign origin with a 403 where AWS answers 204 without CORS headers.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from infra.local.httpapi_plan import Json
from infra.local.pins import pinned

type Response = tuple[int, dict[str, Any], bytes]

LAMBDA_PAYLOAD_LIMIT = 6 * 1024 * 1024  # a synchronous invocation's request, and its response


def message(status: int, text: str) -> Response:
    """Answer in API Gateway's own words."""
    return status, {"Content-Type": "application/json"}, json.dumps({"message": text}).encode()


def install() -> None:
    """Wrap the data plane of HTTP APIs."""
    _hide_failures()
    _time_and_size_limits()
    _event_details()
    _throttling()
    _foreign_preflight()


def _hide_failures() -> None:
    lambda_svc = pinned(
        "ministack.services.lambda_svc", "lambda_execute_result_to_api_proxy_response"
    )
    original = lambda_svc.lambda_execute_result_to_api_proxy_response

    def shaped(result: Json) -> Any:
        if result.get("throttle"):
            return _lambda_answer(503, "Service Unavailable"), None
        if result.get("error"):
            return _lambda_answer(500, "Internal Server Error"), None
        return original(result)

    lambda_svc.lambda_execute_result_to_api_proxy_response = shaped


def _lambda_answer(status: int, text: str) -> Json:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"message": text}),
    }


def _time_and_size_limits() -> None:
    gateway = pinned("ministack.services.apigateway", "_invoke_lambda_proxy")
    original = gateway._invoke_lambda_proxy

    async def limited(integration: Json, *args: Any, **kwargs: Any) -> Response:
        # Not wait_for: the worker's thread cannot be cancelled, only no longer waited for.
        task: asyncio.Task[Response] = asyncio.ensure_future(original(integration, *args, **kwargs))
        seconds = (integration.get("timeoutInMillis") or 30_000) / 1000
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.add_done_callback(lambda late: late.exception())
            return message(503, "Service Unavailable")
        status, headers, body = task.result()
        if len(body) > LAMBDA_PAYLOAD_LIMIT:
            return message(500, "Internal Server Error")
        return status, headers, body

    gateway._invoke_lambda_proxy = limited


def _event_details() -> None:
    gateway = pinned("ministack.services.apigateway", "run_reentrant")
    original = gateway.run_reentrant

    async def detailed(call: Any, record: Any, event: Any, **kwargs: Any) -> Any:
        if isinstance(event, dict) and event.get("version") == "2.0":
            complete_event(event)
        return await original(call, record, event, **kwargs)

    gateway.run_reentrant = detailed


def complete_event(event: Json) -> None:
    """Add to a payload 2.0 event what AWS sends and MiniStack does not."""
    headers: dict[str, str] = event["headers"]
    context: Json = event["requestContext"]
    if event.get("type") != "REQUEST" and "cookie" in headers:
        crumbs = (crumb.strip() for crumb in headers.pop("cookie").split(";"))
        event["cookies"] = [crumb for crumb in crumbs if crumb]
    host, _, port = headers.get("host", "").partition(":")
    source = context["http"]["sourceIp"]
    # AWS appends the peer it saw, and overwrites what a client claims about the scheme.
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {source}" if forwarded else source
    headers["x-forwarded-proto"] = "http"
    headers["x-forwarded-port"] = port or "80"
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}")
    context["domainName"] = host
    context["domainPrefix"] = host.partition(".")[0]


@dataclass
class Bucket:
    """A token bucket, as a stage's rate and burst limits describe it."""

    rate: float
    burst: float
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        """Spend a token; say whether there was one."""
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def throttle_limits(stage: Json, route_key: str) -> tuple[float, float] | None:
    """Read the rate and burst that hold for a route; None when the stage sets neither."""
    own = (stage.get("routeSettings") or {}).get(route_key) or {}
    settings = {**(stage.get("defaultRouteSettings") or {}), **own}
    lowered = {name.lower(): value for name, value in settings.items()}
    rate, burst = lowered.get("throttlingratelimit"), lowered.get("throttlingburstlimit")
    if rate is None and burst is None:
        return None
    unlimited = float("inf")
    return (
        unlimited if rate is None else float(rate),
        unlimited if burst is None else float(burst),
    )


def _throttling() -> None:
    gateway = pinned(
        "ministack.services.apigateway", "_handle_execute_in_scope", "_match_route", "_stages"
    )
    original = gateway._handle_execute_in_scope
    buckets: dict[tuple[str, str, str, float, float], Bucket] = {}

    def admitted(api_id: str, stage: str, route_key: str) -> bool:
        limits = throttle_limits(gateway._stages.get(api_id, {}).get(stage) or {}, route_key)
        if limits is None:
            return True
        now = time.monotonic()
        fresh = Bucket(*limits, tokens=limits[1], filled_at=now)
        return buckets.setdefault((api_id, stage, route_key, *limits), fresh).take(now)

    def handle(api_id: str, stage: str, path: str, method: str, *args: Any) -> Awaitable[Response]:
        if method != "OPTIONS":
            route = gateway._match_route(api_id, method, "/" + path.lstrip("/"))
            if route and not admitted(api_id, stage, route["routeKey"]):
                return _ready(message(429, "Too Many Requests"))
        answer: Awaitable[Response] = original(api_id, stage, path, method, *args)
        return answer

    gateway._handle_execute_in_scope = handle


async def _ready(response: Response) -> Response:
    return response


def _foreign_preflight() -> None:
    gateway = pinned("ministack.services.apigateway", "_cors_preflight_response")
    original = gateway._cors_preflight_response

    def preflight(cors: Json, origin: str) -> Response:
        response: Response = original(cors, origin)
        if cors and response[0] == 403:
            return 204, {"Content-Length": "0"}, b""
        return response

    gateway._cors_preflight_response = preflight
