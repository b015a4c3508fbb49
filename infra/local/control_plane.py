"""The control plane that tests have of a fake, under `/_test/`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from starlette.requests import Request


class Locked(Protocol):
    """What a fake knows, changed by one request at a time."""

    @property
    def lock(self) -> AbstractContextManager[Any]: ...


type Command[World] = Callable[[World, dict[str, Any]], Any]


def routes[World: Locked](
    world: World, commands: Mapping[tuple[str, str], Command[World]]
) -> list[Route]:
    """A route for each command, by verb and name."""
    return [
        Route(f"/_test/{name}", _endpoint(world, command), methods=[verb])
        for (verb, name), command in commands.items()
    ]


def _endpoint[World: Locked](world: World, command: Command[World]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        with world.lock:
            try:
                found = command(world, json.loads(raw) if raw else {})
                return JSONResponse({"ok": True} if found is None else found)
            except (ValueError, TypeError, KeyError, AttributeError) as wrong:
                return JSONResponse({"error": str(wrong)}, 400)

    return endpoint
