"""A function for tests only: the product's protocol core over the conformance suite's tools."""

from __future__ import annotations

import os
from typing import Any, Final

from tests.conformance.server.tools import SuiteToolbox
from valet.mcp.server import McpServer
from valet.mcp.transport import HttpRequest
from valet.models import Secret
from valet.native.handles import Handles
from valet.native.key_ring import KeyRing, Signers

_RING: Final = KeyRing("k1", {"k1": Secret("of no use anywhere but in this test function")})
_HANDLES: Final = Handles(Signers(lambda: _RING)).of("suite")
_SERVER: Final = McpServer(
    name="conformance",
    version="0",
    title="Conformance",
    instructions="Tools of the conformance suite.",
    on_error=lambda error: print("unexpected", repr(error)),
    allowed_origins=frozenset({os.environ.get("ALLOWED_ORIGIN", "")}),
)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """API Gateway's payload format 2.0 in and out."""
    method = event["requestContext"]["http"]["method"]
    body = (event.get("body") or "").encode()
    request = HttpRequest(method, event["headers"], body)
    answer = _SERVER.handle(request, SuiteToolbox(), _HANDLES)
    print("answered", answer.status)
    return {
        "statusCode": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body,
    }
