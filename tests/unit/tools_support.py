"""A provider that answers from a script, and records every request that reached it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import connector_names, load_connector
from valet.models import Secret
from valet.tools.execute import Pace, execute
from valet.tools.provider import ProviderRequest, ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import Tool
    from valet.tools.results import ToolResult

TOKEN = Secret("ya29.canary-token")


class FakeProvider:
    """Answers in order; a plain value is a 200 with that body, an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.sent: list[ProviderRequest] = []
        self._answers = list(answers)
        self._lock = threading.Lock()

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        assert token == TOKEN
        with self._lock:
            self.sent.append(request)
            answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, ProviderResponse) else ProviderResponse(200, answer)


class FakeClock:
    """Time passes only by sleeping, or as much per look as a test says."""

    def __init__(self, per_look: float = 0.0) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._per_look = per_look

    def __call__(self) -> float:
        self.now += self._per_look
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def tool(name: str) -> Tool:
    return load_connector(name.partition("_")[0]).tool(name)


def all_tools() -> list[Tool]:
    return [found for name in connector_names() for found in load_connector(name).tools.values()]


def call(
    name: str,
    arguments: Mapping[str, Any],
    *answers: Any,
    call_key: str | None = None,
    clock: FakeClock | None = None,
) -> tuple[ToolResult, FakeProvider]:
    provider = FakeProvider(*answers)
    clock = clock or FakeClock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    result = execute(tool(name), arguments, TOKEN, provider, call_key=call_key, pace=pace)
    return result, provider
