"""One HTTP request in, one HTTP response out: which era a message is of, and what becomes of it.

No session, no stream, no state: a request's URL key and body are all that an answer depends on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from valet.errors import ValetError
from valet.mcp import jsonrpc, transport
from valet.mcp.cursors import PAGE_SIZE
from valet.mcp.errors import INTERNAL_ERROR, INVALID_REQUEST, ProtocolError, unsupported_version
from valet.mcp.headers import value_of
from valet.mcp.jsonrpc import Notification, Request, Response
from valet.mcp.legacy import LegacyEra
from valet.mcp.modern import ModernEra, has_envelope
from valet.mcp.revisions import MODERN, OLDEST, SUPPORTED
from valet.mcp.tools import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.mcp.handles import Handles
    from valet.mcp.toolbox import Toolbox
    from valet.mcp.transport import HttpRequest, HttpResponse

MAX_BATCH: Final = 20  # each entry may be a call to a provider, and one function runs them in turn
# When no more of a batch is begun: the function has 28 s, the call under way included, and hands
# back 6 MB, in which each quote counts twice. Beyond either, all the answers would be lost.
MAX_BATCH_SECONDS: Final = 10
MAX_BATCH_BYTES: Final = 2_500_000


class Era(Protocol):
    """The revisions that answer in one way."""

    def answer(
        self, request: Request, headers: Mapping[str, str], caller: Caller
    ) -> Mapping[str, Any]: ...

    def status_of(self, code: int) -> int: ...


class McpServer:
    """The protocol, for any number of instances: the toolbox says whose tools are served.

    `on_error` is told of every exception that no one expected, before the client gets its
    "Internal error"; the answer never has a word of it.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        title: str,
        instructions: str,
        on_error: Callable[[Exception], None],
        allowed_origins: frozenset[str] = frozenset(),
        page_size: int = PAGE_SIZE,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        server_info = {"name": name, "title": title, "version": version}
        self._legacy = LegacyEra(server_info, instructions, page_size, on_error)
        self._modern = ModernEra(server_info, instructions, page_size, on_error)
        self._on_error = on_error
        self._allowed_origins = allowed_origins
        self._elapsed = elapsed

    def precheck(self, request: HttpRequest) -> HttpResponse | None:
        """The refusal of a request whose method, origin, size or media types are wrong.

        It needs neither credential nor toolbox: ask before looking for either.
        """
        return transport.refuse_early(request, self._allowed_origins)

    def handle(self, request: HttpRequest, toolbox: Toolbox, handles: Handles) -> HttpResponse:
        """Answer one request of a caller, with their tools and under their handles."""
        refused = self.precheck(request)
        if refused:
            return refused
        try:
            body = jsonrpc.parse(request.body)
        except ProtocolError as problem:
            return transport.answer(400, jsonrpc.error(None, problem))
        caller = Caller(toolbox, handles)
        if isinstance(body, list):
            return self._batch(body, request.headers, caller)
        return self._single(body, request.headers, caller)

    def _single(self, body: Any, headers: Mapping[str, str], caller: Caller) -> HttpResponse:
        try:
            message = jsonrpc.read(body)
            era = self._era_of(message, value_of(headers, "mcp-protocol-version"))
        except ProtocolError as problem:
            return transport.answer(400, jsonrpc.error(jsonrpc.id_of(body), problem))
        if not isinstance(message, Request):
            return transport.accepted()
        status, text = self._answer(message, era, headers, caller)
        return transport.answer(status, text)

    def _era_of(self, message: jsonrpc.Message, version: str | None) -> Era:
        if isinstance(message, Request) and has_envelope(message):
            return self._modern
        if isinstance(message, Request) and message.method == "initialize":
            return self._legacy  # whatever the header says: no revision is agreed on yet
        if version is not None and version not in SUPPORTED:
            raise unsupported_version(version, SUPPORTED)
        if version == MODERN:
            if isinstance(message, Response):
                raise ProtocolError(INVALID_REQUEST, "Invalid Request: clients post no responses")
            return self._modern
        return self._legacy

    def _answer(
        self, request: Request, era: Era, headers: Mapping[str, str], caller: Caller
    ) -> tuple[int, str]:
        try:
            return 200, jsonrpc.result(request.id, era.answer(request, headers, caller))
        except ProtocolError as refusal:
            problem = refusal
        except ValetError as error:  # what a handle is signed with cannot be had
            self._on_error(error)
            problem = ProtocolError(INTERNAL_ERROR, str(error))
        except Exception as error:  # noqa: BLE001 -- reported; a client without an answer hangs
            self._on_error(error)
            problem = ProtocolError(INTERNAL_ERROR, "Internal error")
        return era.status_of(problem.code), jsonrpc.error(request.id, problem)

    def _batch(
        self, entries: list[Any], headers: Mapping[str, str], caller: Caller
    ) -> HttpResponse:
        problem = _batch_problem(entries, value_of(headers, "mcp-protocol-version"))
        if problem:
            return transport.answer(400, jsonrpc.error(None, problem))
        texts: list[str] = []
        began, size = self._elapsed(), 0
        for entry in entries:
            spent = size > MAX_BATCH_BYTES or self._elapsed() - began > MAX_BATCH_SECONDS
            text = self._entry(entry, headers, caller, spent=spent)
            if text is not None:
                texts.append(text)
                size += len(text.encode())
        return transport.answer(200, f"[{','.join(texts)}]") if texts else transport.accepted()

    def _entry(
        self, entry: Any, headers: Mapping[str, str], caller: Caller, *, spent: bool
    ) -> str | None:
        try:
            message = jsonrpc.read(entry)
            if isinstance(message, (Notification, Response)):
                return None
            if message.method == "initialize" or has_envelope(message):
                raise ProtocolError(INVALID_REQUEST, "Invalid Request: not allowed in a batch")
            if spent:
                raise ProtocolError(
                    INVALID_REQUEST,
                    "Invalid Request: this batch takes too much; it was not run, send it by itself",
                )
        except ProtocolError as problem:
            return jsonrpc.error(jsonrpc.id_of(entry), problem)
        return self._answer(message, self._legacy, headers, caller)[1]


def _batch_problem(entries: list[Any], version: str | None) -> ProtocolError | None:
    if version not in (None, OLDEST):
        return ProtocolError(INVALID_REQUEST, f"Invalid Request: only {OLDEST} has batches")
    if not 1 <= len(entries) <= MAX_BATCH:
        return ProtocolError(INVALID_REQUEST, f"Invalid Request: a batch has 1 to {MAX_BATCH}")
    return None
