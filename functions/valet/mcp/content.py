"""A tool's result as `CallToolResult`."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from valet.tools.results import Media

if TYPE_CHECKING:
    from valet.tools.results import Document, ToolResult


def content_of(result: ToolResult) -> dict[str, Any]:
    """The text comes first and is there even if it is empty: not all clients read the rest."""
    blocks = [{"type": "text", "text": result.text}, *map(_block, result.attachments)]
    content: dict[str, Any] = {"content": blocks}
    if result.structured is not None:
        content["structuredContent"] = result.structured
    content["isError"] = result.is_error
    return content


def _block(attachment: Media | Document) -> dict[str, Any]:
    if isinstance(attachment, Media):
        data = b64encode(attachment.data).decode()
        return {"type": attachment.kind, "data": data, "mimeType": attachment.mime_type}
    resource = {
        "uri": attachment.uri,
        "mimeType": attachment.mime_type,
        "text": attachment.text,
    }
    return {"type": "resource", "resource": resource}
