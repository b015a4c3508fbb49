"""The protocol's revisions and the fixed words of their envelopes."""

from __future__ import annotations

from typing import Final

MODERN: Final = "2026-07-28"  # stateless: every request names its revision in `_meta`
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")  # with a handshake; newest first
SUPPORTED: Final = (MODERN, *LEGACY)

# The revision that a request without MCP-Protocol-Version is taken for (2025-06-18, transports),
# and the only one in which a body may hold a batch.
OLDEST: Final = "2025-03-26"

PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
