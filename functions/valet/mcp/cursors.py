"""Pages of `tools/list`: a cursor is good for the caller and the list that it was made for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from valet.mcp.errors import INVALID_PARAMS, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valet.mcp.handles import Handles
    from valet.tools.results import ToolView

# Many clients never ask for a second page, so an ordinary instance has to come on the first.
PAGE_SIZE: Final = 100
_LIFETIME: Final = timedelta(hours=1)


def page(
    tools: Sequence[ToolView], revision: str, cursor: Any, handles: Handles, size: int
) -> tuple[Sequence[ToolView], str | None]:
    """The page at a cursor, and the cursor of the next one if there is any.

    Raises:
        ProtocolError: the cursor was edited, is another caller's, or of a list that has changed.
    """
    about = ("tools/list", revision)
    begin = 0 if cursor is None else _position(handles, about, cursor)
    end = begin + size
    following = handles.issue(about, str(end), _LIFETIME) if end < len(tools) else None
    return tools[begin:end], following


def _position(handles: Handles, about: Sequence[str], cursor: Any) -> int:
    position = handles.read(about, cursor) if isinstance(cursor, str) else None
    if position is None:
        raise ProtocolError(INVALID_PARAMS, "Invalid cursor: list again without one")
    return int(position)
