"""Where this deployment is reached: written by the deploy, read when a link has to be made.

Never taken from a request's Host or forwarding headers, which a caller can choose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from valet.errors import BadRequest, Misconfigured
from valet.native import keys
from valet.native.table import Put, Table

_ORIGIN = re.compile(
    r"https://[A-Za-z0-9.-]+(:\d+)?|http://(([A-Za-z0-9-]+\.)*localhost|127\.0\.0\.1)(:\d+)?"
)


@dataclass(slots=True)
class Endpoint:
    table: Table
    _url: str | None = field(default=None, init=False)

    def url(self) -> str:
        """The public origin, without a trailing slash.

        Raises:
            Misconfigured: no deploy has written it.
        """
        if self._url is None:
            item = self.table.get(keys.endpoint())
            if item is None:
                raise Misconfigured(
                    "this deployment does not know its public URL: declare a Custom::McpEndpoint"
                )
            self._url = str(item["url"])
        return self._url

    def set(self, url: str) -> None:
        """Raises BadRequest for anything but an https origin (or a loopback one over http)."""
        url = url.rstrip("/")
        if not _ORIGIN.fullmatch(url):
            raise BadRequest(
                f"bad public URL {url[:200]!r}: an https origin without a path, such as "
                "https://mcp.example.com",
                code="bad_public_url",
            )
        key = keys.endpoint()
        self.table.write(Put({"pk": key.pk, "sk": key.sk, "url": url}))
