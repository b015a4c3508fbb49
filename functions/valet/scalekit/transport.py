"""The port to a Scalekit environment: one HTTP exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(default=b"", repr=False)
    retry_after: str | None = None  # the header, as it came


class NoAnswer(Exception):
    """Nothing usable came back in time; whether the request was carried out is unknown."""


class Transport(Protocol):
    def send(self, call: Call, seconds: float) -> Answer:
        """One exchange, never repeated, no redirect followed, within `seconds`.

        Raises:
            NoAnswer: no connection, a timeout, an answer cut short or too large.
        """
        ...
