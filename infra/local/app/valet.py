"""The calls that a frontend makes to mcp-valet, with the signed-in user's token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx


class Problem(Exception):
    """An answer of the API that is not a success: RFC 9457's title and detail."""

    def __init__(self, status: int, title: str, detail: str, code: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.code = code


@dataclass(frozen=True)
class Valet:
    """The API, seen from a frontend."""

    http: httpx.AsyncClient
    config: str

    async def instance(self, token: str) -> dict[str, Any]:
        return await self._call(token, "POST", "/instances", {"config": self.config})

    async def verify(
        self, token: str, authorization: str, *, replace: bool = False
    ) -> dict[str, Any]:
        path = f"/authorizations/{quote(authorization, '')}/verify"
        return await self._call(token, "POST", path, {"replace_account": True} if replace else None)

    async def disconnect(self, token: str, connection: str) -> dict[str, Any]:
        return await self._call(token, "DELETE", f"/connections/{quote(connection, '')}")

    async def _call(
        self, token: str, verb: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"}
        try:
            answer = await self.http.request(verb, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            said = f"mcp-valet cannot be reached at {self.http.base_url}. Is the stack running?"
            raise Problem(503, "No answer", said, "unreachable") from error
        if answer.is_success:
            return dict(answer.json()) if answer.content else {}
        raise _problem(answer)


def _problem(answer: httpx.Response) -> Problem:
    try:
        said = dict(answer.json())
    except (ValueError, TypeError):
        said = {}
    return Problem(
        answer.status_code,
        str(said.get("title") or answer.reason_phrase),
        str(said.get("detail") or said.get("message") or ""),
        str(said.get("code") or ""),
    )
