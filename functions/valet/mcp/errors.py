"""JSON-RPC errors: the codes that this server sends, and the exception that carries them.

2026-07-28 forbids -32002 and -32042 and any undefined code in -32020..-32099 (basic/index, Error
Codes), so a code that is not named here is never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022


class ProtocolError(Exception):
    """A request that is answered with a JSON-RPC error instead of a result."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def unsupported_version(requested: str, supported: Sequence[str]) -> ProtocolError:
    """The answer to a revision that is not served here, with those that are."""
    return ProtocolError(
        UNSUPPORTED_VERSION,
        "Unsupported protocol version",
        {"supported": list(supported), "requested": requested[:64]},
    )


def missing_capability(required: Mapping[str, Any]) -> ProtocolError:
    """The answer to a call that cannot be served without what the client did not declare."""
    return ProtocolError(
        MISSING_CAPABILITY,
        f"This needs a client that declares {' and '.join(sorted(required))}",
        {"requiredCapabilities": required},
    )
