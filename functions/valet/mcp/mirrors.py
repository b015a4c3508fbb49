"""Headers that must repeat the body (2026-07-28, streamable-http, Request Metadata).

Whoever routes or limits by them would be told another story than the one that is carried out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from valet.mcp.errors import HEADER_MISMATCH, ProtocolError
from valet.mcp.headers import decoded, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.mcp.toolbox import Call, Toolbox


def check_envelope(headers: Mapping[str, str], version: str, method: str) -> None:
    """Raises ProtocolError if a header names another revision or method than the body."""
    for name, expected in (("MCP-Protocol-Version", version), ("Mcp-Method", method)):
        if value_of(headers, name.lower()) != expected:
            raise _mismatch(name)


def check_call(headers: Mapping[str, str], call: Call, toolbox: Toolbox) -> None:
    """Raises ProtocolError if a header names another tool than the body, or another argument.

    Arguments have a header where the tool's schema says `x-mcp-header` at its top level.
    """
    if decoded(value_of(headers, "mcp-name")) != call.name:
        raise _mismatch("Mcp-Name")
    for argument, header in _declared(call.name, toolbox).items():
        found = decoded(value_of(headers, f"mcp-param-{header.lower()}"))
        if found != _written(call.arguments.get(argument)):
            raise _mismatch(f"Mcp-Param-{header}")


def _declared(name: str, toolbox: Toolbox) -> dict[str, str]:
    tool = next((tool for tool in toolbox.list_tools() if tool.name == name), None)
    properties: Mapping[str, Any] = tool.input_schema.get("properties", {}) if tool else {}
    return {
        argument: schema["x-mcp-header"]
        for argument, schema in properties.items()
        if isinstance(schema, dict) and "x-mcp-header" in schema
    }


def _written(value: Any) -> str | None:
    """An argument as its header has it; one that is left out, or null, has none."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _mismatch(header: str) -> ProtocolError:
    return ProtocolError(
        HEADER_MISMATCH, f"Header mismatch: {header} is missing or differs from the body"
    )
