"""One exchange with a Scalekit environment over httpx: bounded in time and size."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx

from valet.scalekit.transport import Answer, Call, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_SECONDS = 2.0
_MAX_BODY = 4 * 1024 * 1024  # a connector's tools with their schemas come in one answer
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "mcp-valet",
}


class HttpxScalekit:
    """`valet.scalekit.transport.Transport`."""

    def __init__(self, client: httpx.Client, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._elapsed = elapsed

    def send(self, call: Call, seconds: float) -> Answer:
        deadline = self._elapsed() + seconds
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        # Built without the client, whose cookies one answer would set for the next request.
        request = httpx.Request(
            call.method,
            call.url,
            headers={**_HEADERS, **call.headers},
            content=call.body,
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = self._client.send(request, stream=True, follow_redirects=False)
            try:
                body = self._read(response, deadline)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise NoAnswer from error
        return Answer(response.status_code, body, response.headers.get("retry-after"))

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BODY or self._elapsed() > deadline:
                raise NoAnswer
        return bytes(body)
