"""A call ends before its function does, however slow the provider is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.tools_support import TOKEN, FakeClock, FakeProvider, tool
from valet.tools.execute import Pace, execute

if TYPE_CHECKING:
    from valet.models import Secret
    from valet.tools.provider import ProviderRequest, ProviderResponse
    from valet.tools.results import ToolResult


class SlowProvider(FakeProvider):
    """Each answer takes that many seconds."""

    def __init__(self, clock: FakeClock, seconds: float, *answers: Any) -> None:
        super().__init__(*answers)
        self._clock, self._seconds = clock, seconds

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        self._clock.now += self._seconds
        return super().send(request, token)


def call_slow(
    name: str, arguments: dict[str, Any], seconds: float, *answers: Any
) -> tuple[ToolResult, FakeProvider]:
    clock = FakeClock()
    provider = SlowProvider(clock, seconds, *answers)
    pace = Pace(clock=clock, sleep=clock.sleep)
    return execute(tool(name), arguments, TOKEN, provider, pace=pace), provider


def test_a_list_of_slow_answers_ends_before_the_function_does() -> None:
    """Its end would be nobody's answer: a bare 503 after half a minute."""
    found = {"messages": [{"id": f"{n:x}a", "threadId": "1a"} for n in range(20)]}
    mails = [{"id": "1a", "threadId": "1a"}] * 20
    result, provider = call_slow("gmail_fetch_mails", {"max_results": 20}, 4, found, *mails)
    assert result.code == "provider_unavailable"
    assert 1 < len(provider.sent) < 10


def test_a_change_whose_first_read_took_too_long_is_not_begun() -> None:
    change = {"event_id": "abcde1", "summary": "x"}
    stored = {"id": "abcde1", "etag": '"1"'}
    result, provider = call_slow("googlecalendar_update_event", change, 14, stored)
    assert result.code == "provider_unreachable"
    assert "nothing was sent" in result.text
    assert [request.method for request in provider.sent] == ["GET"]
