"""Stands between a client and the API, and notes what passes."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.e2e import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOP_BY_HOP: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True)
class Exchange:
    """One request and the status of its answer."""

    verb: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    status: int

    @property
    def elicitation(self) -> dict[str, Any]:
        """Which elicitation the client says it can do: in its handshake, or with each request."""
        params = self.body.get("params") or {}
        capabilities = params.get("capabilities") or params.get("_meta", {}).get(
            "io.modelcontextprotocol/clientCapabilities", {}
        )
        found: dict[str, Any] = capabilities.get("elicitation", {})
        return found


@dataclass(frozen=True)
class Wiretap:
    api: str
    url: str
    seen: list[Exchange]

    def through(self, url: str) -> str:
        """A URL of the API, by way of here."""
        return self.url + url.removeprefix(self.api)


@contextmanager
def tapping(api: str) -> Iterator[Wiretap]:
    seen: list[Exchange] = []
    with httpx.Client(base_url=api, timeout=60, trust_env=False) as http:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(http, seen))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Wiretap(api, f"http://127.0.0.1:{server.server_port}", seen)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(http: httpx.Client, seen: list[Exchange]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {
                k.lower(): v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP
            }
            answer = http.request(self.command, self.path, content=content, headers=headers)
            body = json.loads(content) if content else {}
            seen.append(Exchange(self.command, self.path, headers, body, answer.status_code))
            given = answer.headers.multi_items()
            url = str(answer.request.url)
            answers.record("answer to a real client's", self.command, url, given, answer.content)
            self.send_response(answer.status_code)
            for name, value in given:
                if name not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_DELETE = relay  # noqa: N815 -- the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing: a path has the URL's key."""

    return Handler
