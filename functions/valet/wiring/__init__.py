"""The only place that joins the rooms, lazily: a function pays at cold start for what it uses.

What a backend has is behind `backend()`; `shared` is what both are made of, `server` what serves
MCP on `native`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from valet.settings import settings

if TYPE_CHECKING:
    from valet.backend import Backend


def backend() -> Backend:
    """Who does the work, as the deployment has it."""
    if settings().backend == "native":
        from valet.wiring import native

        return native
    from valet.wiring import scalekit

    return scalekit
