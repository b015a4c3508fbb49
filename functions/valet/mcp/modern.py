"""The stateless revision, 2026-07-28: every request carries all that it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from valet.mcp import mirrors, rounds, tools
from valet.mcp.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    ProtocolError,
    unsupported_version,
)
from valet.mcp.revisions import (
    CLIENT_CAPABILITIES,
    MODERN,
    PROTOCOL_VERSION,
    SERVER_INFO,
    SUPPORTED,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.mcp.jsonrpc import Request
    from valet.mcp.toolbox import Call
    from valet.mcp.tools import Caller

# An update of the config is to reach a client that caches within a minute; half of that is the
# time for which a warm function remembers configs.
_TTL_MS: Final = {"server/discover": 3_600_000, "tools/list": 30_000}
_STATUS: Final = {METHOD_NOT_FOUND: 404, INTERNAL_ERROR: 500}


def has_envelope(request: Request) -> bool:
    """Whether a request has any of the `_meta` that only this revision has."""
    return PROTOCOL_VERSION in request.meta or CLIENT_CAPABILITIES in request.meta


@dataclass(frozen=True, slots=True)
class ModernEra:
    """Answers requests of the stateless revision."""

    server_info: Mapping[str, str]
    instructions: str
    page_size: int
    report: Callable[[Exception], None]

    def answer(
        self, request: Request, headers: Mapping[str, str], caller: Caller
    ) -> Mapping[str, Any]:
        """The result of one request.

        Raises:
            ProtocolError: it has none.
        """
        capabilities = _check_envelope(request, headers)
        outcome = self._outcome(request, headers, capabilities, caller)
        return {"resultType": "complete", **outcome, "_meta": {SERVER_INFO: self.server_info}}

    def status_of(self, code: int) -> int:
        """The HTTP status of an error (streamable-http)."""
        return _STATUS.get(code, 400)

    def _outcome(
        self,
        request: Request,
        headers: Mapping[str, str],
        capabilities: Mapping[str, Any],
        caller: Caller,
    ) -> Mapping[str, Any]:
        match request.method:
            case "server/discover":
                return _cacheable(
                    request.method,
                    {
                        "supportedVersions": list(SUPPORTED),
                        "capabilities": {"tools": {}},
                        "instructions": self.instructions,
                    },
                )
            case "tools/list":
                listed = tools.list_tools(request.params, caller, self.page_size)
                return _cacheable(request.method, listed)
            case "tools/call":
                call = _call_of(request.params, headers, capabilities, caller)
                return tools.call_tool(call, caller, self.report)
        raise ProtocolError(METHOD_NOT_FOUND, "Method not found")


def _cacheable(method: str, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    # Private: what one URL serves is nobody else's to be served from a shared cache.
    return {**outcome, "ttlMs": _TTL_MS[method], "cacheScope": "private"}


def _check_envelope(request: Request, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The client's capabilities; `clientInfo` is optional and not read."""
    meta = request.meta
    missing = [key for key in (PROTOCOL_VERSION, CLIENT_CAPABILITIES) if key not in meta]
    if missing:
        raise ProtocolError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    version, capabilities = meta[PROTOCOL_VERSION], meta[CLIENT_CAPABILITIES]
    if not isinstance(version, str) or not isinstance(capabilities, dict):
        raise ProtocolError(INVALID_PARAMS, "params._meta has a value of the wrong type")
    mirrors.check_envelope(headers, version, request.method)
    if version != MODERN:
        # An envelope exists in no older revision: naming those would invite the same again.
        raise unsupported_version(version, [MODERN])
    return capabilities


def _call_of(
    params: Mapping[str, Any],
    headers: Mapping[str, str],
    capabilities: Mapping[str, Any],
    caller: Caller,
) -> Call:
    call = tools.call_of(params)
    mirrors.check_call(headers, call, caller.toolbox)
    return replace(
        call,
        capabilities=capabilities,
        responses=rounds.responses_of(params),
        state=rounds.state_of(params, call, caller.handles),
    )
