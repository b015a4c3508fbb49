"""What a tool call comes to, and what can keep it from being made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from valet.errors import BadRequest, TooMany, ValetError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or a sound."""

    kind: Literal["image", "audio"]
    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name and a type of its own."""

    uri: str
    text: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The outcome of one tool call, in no protocol's words.

    `structured` conforms to the tool's output schema when `is_error` is false. `text` is for a
    reader that takes no structured content: the same data as JSON, or on error one sentence that
    says what happened and what to do next. `attachments` come after it. `code` is stable and goes
    to the audit record.
    """

    text: str
    structured: Mapping[str, Any] | None = None
    is_error: bool = False
    code: str = "ok"
    connect_url: str | None = None  # set when the user has to authorize first
    connect_to: str = ""  # what the link connects, for the user's eyes: "Gmail"
    retry_after: int | None = None  # seconds, when our limit or the provider asked for a pause
    attachments: tuple[Media | Document, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ToolView:
    """A tool as a client sees it; `tools/list` is these, in a fixed order.

    Made once for each tool and told apart by identity, so that it can be a key.
    """

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    annotations: Mapping[str, bool] = field(default_factory=dict)


def refusal(error: ValetError) -> ToolResult:
    """A call that an error kept from being made, or from being finished."""
    text = str(error)
    return ToolResult(
        f"{text[:1].upper()}{text[1:]}.",
        is_error=True,
        code=error.code,
        retry_after=error.retry_after if isinstance(error, TooMany) else None,
    )


def connect_first(title: str, reason: str, code: str, url: str) -> ToolResult:
    """A call that has to wait for the user to authorize; `title` is what the link connects."""
    return ToolResult(
        f"{title} is not ready for this: {reason}. Ask the user to open {url} (it works for 10 "
        "minutes), connect the account there, and then call this tool again.",
        is_error=True,
        code=code,
        connect_url=url,
        connect_to=title,
    )


class UnknownTool(BadRequest):
    """The server does not expose a tool of that name, whatever the catalogue holds."""

    code = "unknown_tool"


class InvalidArguments(BadRequest):
    """The arguments do not fit the tool's input schema; nothing was sent."""

    code = "invalid_arguments"


class NotConnected(ValetError):
    """The user has no usable grant on the connection that a tool needs."""

    code = "not_connected"

    def __init__(self, connection: str, reason: str) -> None:
        super().__init__(reason)
        self.connection = connection
