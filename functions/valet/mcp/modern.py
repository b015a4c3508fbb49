"""The stateless revision, 2026-07-28: every request carries all that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from valet.mcp import tools
from valet.mcp.errors import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    ProtocolError,
    unsupported_version,
)
from valet.mcp.headers import decoded, value_of
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
    from valet.mcp.toolbox import Toolbox

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
    report: Callable[[Exception], None]

    def answer(
        self, request: Request, headers: Mapping[str, str], toolbox: Toolbox
    ) -> Mapping[str, Any]:
        """The result of one request.

        Raises:
            ProtocolError: it has none.
        """
        params = request.params
        version = _version_of(request.meta)
        _check_mirrors(headers, version, request.method, params)
        if version != MODERN:
            # An envelope exists in no older revision: naming those would invite the same again.
            raise unsupported_version(version, [MODERN])
        outcome = self._outcome(request.method, params, toolbox)
        return {"resultType": "complete", **outcome, "_meta": {SERVER_INFO: self.server_info}}

    def status_of(self, code: int) -> int:
        """The HTTP status of an error (streamable-http)."""
        return _STATUS.get(code, 400)

    def _outcome(
        self, method: str, params: Mapping[str, Any], toolbox: Toolbox
    ) -> Mapping[str, Any]:
        match method:
            case "server/discover":
                return _cacheable(
                    method,
                    {
                        "supportedVersions": list(SUPPORTED),
                        "capabilities": {"tools": {}},
                        "instructions": self.instructions,
                    },
                )
            case "tools/list":
                return _cacheable(method, tools.list_tools(params, toolbox))
            case "tools/call":
                # When `connect_url` is set and the request's clientCapabilities have
                # `elicitation.url`, `input_required` could take the place of this answer
                # (basic/patterns/mrtr). The text has the link, which every client shows.
                return tools.content_of(tools.call_tool(params, toolbox, self.report))
        raise ProtocolError(METHOD_NOT_FOUND, "Method not found")


def _cacheable(method: str, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    # Private: what one URL serves is nobody else's to be served from a shared cache.
    return {**outcome, "ttlMs": _TTL_MS[method], "cacheScope": "private"}


def _version_of(meta: Mapping[str, Any]) -> str:
    """The revision that an envelope names; `clientInfo` is optional and not read."""
    missing = [key for key in (PROTOCOL_VERSION, CLIENT_CAPABILITIES) if key not in meta]
    if missing:
        raise ProtocolError(INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}")
    version = meta[PROTOCOL_VERSION]
    if not isinstance(version, str) or not isinstance(meta[CLIENT_CAPABILITIES], dict):
        raise ProtocolError(INVALID_PARAMS, "params._meta has a value of the wrong type")
    return version


def _check_mirrors(
    headers: Mapping[str, str], version: str, method: str, params: Mapping[str, Any]
) -> None:
    """Headers must repeat the body, or whoever routes by them is told another story."""
    for name, expected in (("MCP-Protocol-Version", version), ("Mcp-Method", method)):
        if value_of(headers, name.lower()) != expected:
            raise _mismatch(name)
    tool = params.get("name")
    if method != "tools/call" or not isinstance(tool, str):
        return
    if decoded(value_of(headers, "mcp-name")) != tool:
        raise _mismatch("Mcp-Name")


def _mismatch(header: str) -> ProtocolError:
    return ProtocolError(
        HEADER_MISMATCH, f"Header mismatch: {header} is missing or differs from the body"
    )
