"""Runs one tool call: check, request, answer, result.

Reads may be retried once; writes never are. A write whose answer is lost is looked up where the
provider can tell, and otherwise reported as unknown, since repeating it may do it twice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valet.tools.arguments import check_arguments
from valet.tools.outcomes import failed, refused, unknown_outcome
from valet.tools.project import as_text, make_result
from valet.tools.provider import (
    AnswerTooLarge,
    ProviderHttp,
    ProviderRequest,
    ProviderResponse,
    ProviderUnreachable,
    TokenRefused,
)
from valet.tools.request import build_request
from valet.tools.results import InvalidArguments, ToolResult
from valet.tools.template import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.connectors.models import FanOut, RequestTemplate, Tool
    from valet.models import Secret

CONCURRENCY = 5
PAUSE = 0.2  # seconds before the one retry of a read


@dataclass(frozen=True, slots=True)
class Pace:
    """The clock of a call: after `budget` seconds no retry starts, after `end` no request at all.

    A request may take ten seconds, and the function has 28: what begins later is never answered.
    """

    budget: float = 6.0
    end: float = 13.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


_PACE = Pace()


def execute(
    tool: Tool,
    arguments: Mapping[str, Any],
    token: Secret,
    http: ProviderHttp,
    *,
    call_key: str | None = None,
    pace: Pace = _PACE,
) -> ToolResult:
    """Run the tool with the token of the user that it is called for.

    `call_key` identifies the call across re-deliveries, as the ledger does: where the provider
    takes ids of ours, the same key and arguments create the same thing once.

    Raises:
        TokenRefused: the provider no longer takes the token; refresh it once and call again.
            Nothing was done.
    """
    try:
        given = check_arguments(tool, arguments)
        call = {} if tool.read_only else {"id": _call_id(tool, given, call_key)}
        scope = {**given, "call": call}
        return _Call(tool, scope, token, http, pace).run()
    except InvalidArguments as error:
        return failed(error.code, str(error))
    except _Ended as ended:
        return ended.result


class _Ended(Exception):
    """The call has its result before its last step."""

    def __init__(self, result: ToolResult) -> None:
        super().__init__(result.code)
        self.result = result


def _call_id(tool: Tool, arguments: Mapping[str, Any], call_key: str | None) -> str:
    """An id in the one alphabet that providers take: base32hex (Google Calendar: a-v, 0-9)."""
    key = call_key or secrets.token_hex(16)
    canonical = json.dumps([tool.name, arguments, key], sort_keys=True)
    digest = hashlib.sha256(canonical.encode()).digest()
    return "m" + base64.b32hexencode(digest).decode().rstrip("=").lower()[:51]


class _Call:
    def __init__(
        self, tool: Tool, scope: dict[str, Any], token: Secret, http: ProviderHttp, pace: Pace
    ) -> None:
        self._tool, self._scope = tool, scope
        self._token, self._http, self._pace = token, http, pace
        self._started = pace.clock()

    def run(self) -> ToolResult:
        body = self._answer()
        if self._tool.fan_out:
            body = self._fanned_out(body, self._tool.fan_out)
        structured = make_result(self._tool, body, self._scope)
        return ToolResult(text=as_text(structured), structured=structured)

    def _answer(self) -> Any:
        response = self._attempt()
        if response.status == 412 and self._tool.before:
            # Someone else wrote in between: merge with what they wrote, once.
            response = self._attempt()
        if response.status < 300 or response.status in self._tool.done_on:
            if self._tool.read_only and not isinstance(response.body, dict):
                # An unreadable answer must not pass for an empty one.
                raise _Ended(failed("provider_error"))
            return response.body
        if response.status == 409:
            found = self._recovered()
            if found is not None:
                return found
        raise _Ended(refused(self._tool, response))

    def _attempt(self) -> ProviderResponse:
        if self._tool.before:
            before = self._read(build_request(self._tool.before, self._scope))
            if before.status >= 300:
                raise _Ended(self._nothing_written(before))
            if not isinstance(before.body, dict):
                raise _Ended(failed("provider_error"))
            self._scope = {**self._scope, "before": before.body}
        request = build_request(self._tool.request, self._scope)
        return self._read(request) if self._tool.read_only else self._write(request)

    def _nothing_written(self, response: ProviderResponse) -> ToolResult:
        if response.status >= 500:
            return failed("provider_unavailable")
        return refused(self._tool, response)

    def _read(self, request: ProviderRequest) -> ProviderResponse:
        try:
            response = self._send(request)
        except ProviderUnreachable:
            if not self._may_retry():
                raise _Ended(failed("provider_unavailable")) from None
        else:
            if response.status < 500 or not self._may_retry():
                return response
        self._pace.sleep(PAUSE)
        try:
            return self._send(request)
        except ProviderUnreachable:
            raise _Ended(failed("provider_unavailable")) from None

    def _may_retry(self) -> bool:
        return self._pace.clock() - self._started + PAUSE < self._pace.budget

    def _write(self, request: ProviderRequest) -> ProviderResponse:
        try:
            response = self._send(request)
        except ProviderUnreachable as lost:
            if not lost.maybe_sent:
                raise _Ended(failed("provider_unreachable")) from None
        else:
            if response.status < 500:
                return response
        found = self._recovered()
        if found is None:
            raise _Ended(unknown_outcome(self._tool))
        return ProviderResponse(200, found)

    def _send(self, request: ProviderRequest) -> ProviderResponse:
        if self._pace.clock() - self._started > self._pace.end:
            raise ProviderUnreachable("the call took too long before this", maybe_sent=False)
        try:
            response = self._http.send(request, self._token)
        except AnswerTooLarge:
            written = not self._tool.read_only and request.method != "GET"
            raise _Ended(unknown_outcome(self._tool) if written else failed("too_large")) from None
        if response.status == 401:
            raise TokenRefused("the provider refused the access token; refresh it, then try again")
        return response

    def _recovered(self) -> Any:
        """The thing that a write with an id of ours was to create, or None if nobody can tell."""
        recover = self._tool.recover
        if recover is None:
            return None
        try:
            response = self._send(build_request(recover.request, self._scope))
        except (ProviderUnreachable, TokenRefused):
            return None
        body = response.body
        if response.status != 200 or not isinstance(body, dict):
            return None
        same = all(body.get(key) == fill(want, self._scope) for key, want in recover.match.items())
        rejected = any(body.get(key) == value for key, value in recover.reject.items())
        return body if same and not rejected else None

    def _fanned_out(self, body: Any, fan_out: FanOut) -> Any:
        items = body.get(fan_out.over) if isinstance(body, dict) else None
        if not isinstance(items, list) or not items:
            return body
        requests = [self._item_request(fan_out.request, item) for item in items[: fan_out.limit]]
        wanted = [request for request in requests if request]
        with ThreadPoolExecutor(max_workers=CONCURRENCY) as pool:
            responses = list(pool.map(self._read, wanted))
        failures = [r for r in responses if r.status >= 300 and r.status not in {404, 410}]
        if failures:
            raise _Ended(refused(self._tool, failures[0]))
        # What has been deleted since it was listed is left out.
        return {**body, fan_out.over: [r.body for r in responses if r.status < 300]}

    def _item_request(self, template: RequestTemplate, item: Any) -> ProviderRequest | None:
        if not isinstance(item, dict):
            return None
        try:
            return build_request(template, {**self._scope, "item": item})
        except InvalidArguments:
            # An id from the provider that has no id's form is not sent back to it.
            return None
