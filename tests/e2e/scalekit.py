"""The fake Scalekit's control plane: what it knows, and its clock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from infra.local.deployment import SCALEKIT, SCALEKIT_CLIENT
from tests.e2e import canaries

if TYPE_CHECKING:
    from collections.abc import Iterator


def state() -> Any:
    return httpx.get(f"{SCALEKIT}/_test/state", timeout=30, trust_env=False).json()


def log() -> list[dict[str, Any]]:
    answer = httpx.get(f"{SCALEKIT}/_test/log", timeout=30, trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def note() -> None:
    """Add to the canaries what gives power at Scalekit."""
    known = state()
    canaries.remember("Scalekit client", SCALEKIT_CLIENT["SCALEKIT_CLIENT_SECRET"])
    canaries.remember("Scalekit access token", *known["api_tokens"])
    canaries.remember("magic link", *known["links"])
    canaries.remember("MCP URL", *(each["server"] for each in known["instances"].values()))


@contextmanager
def later(seconds: int) -> Iterator[None]:
    """By Scalekit's clock, for a while."""
    _config(clock_skew=seconds)
    try:
        yield
    finally:
        _config(clock_skew=0)


def _config(**settings: Any) -> None:
    answer = httpx.post(f"{SCALEKIT}/_test/config", json=settings, timeout=30, trust_env=False)
    answer.raise_for_status()
