"""Stands in for the provider's API: the two answers that the bench's tool calls get."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

_THREADS = {
    "threads": [
        {"id": f"18c{n:013x}", "snippet": f"About the quarterly report, part {n}", "historyId": "1"}
        for n in range(5)
    ],
    "resultSizeEstimate": 5,
}
_SENT = {"id": "18c0000000000001", "threadId": "18c0000000000001", "labelIds": ["SENT"]}


class Handler(BaseHTTPRequestHandler):
    """Lists threads for a GET, sends for a POST, whatever else the request says."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self) -> None:
        self._answer(_THREADS)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(_SENT)

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
