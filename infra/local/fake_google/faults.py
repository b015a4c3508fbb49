"""Settings that a test may change: token life, rotation, and answers that go wrong on purpose."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import ApiError, OAuthError

_REASONS = {403: "userRateLimitExceeded", 429: "rateLimitExceeded", 401: "authError"}


@dataclass
class Fault:
    """Requests whose host and path contain `path` fail, `times` times.

    With `after` the request takes effect first and only its answer is lost. `body` and `headers`
    replace Google's error shape. Without `status` the fault is the delay alone.
    """

    path: str
    status: int = 0
    reason: str = ""
    times: int = 1
    retry_after: int | None = None
    delay_ms: int = 0
    after: bool = False
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def error(self, *, oauth: bool) -> tuple[Any, dict[str, str]]:
        """The body and headers of the answer."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.body is not None:
            return self.body, headers
        if oauth:
            error = self.reason or ("temporarily_unavailable" if self.status >= 500 else "fault")
            return OAuthError(self.status, error, "Injected by a test.").body(), headers
        reason = self.reason or _REASONS.get(self.status, "backendError")
        return ApiError(self.status, reason, "Injected by a test.").body(), headers


@dataclass
class Settings:
    """What `POST /_test/config` changes; a name that is left out stays as it is."""

    access_ttl: int = 3599
    rotate: bool = False
    clock_skew: float = 0
    fail: list[Fault] = field(default_factory=list)

    def change(self, given: dict[str, Any]) -> None:
        unknown = set(given) - {each.name for each in fields(self)}
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        faults = [Fault(**each) for each in given.get("fail", ())]
        for name, value in given.items():
            setattr(self, name, faults if name == "fail" else value)

    def take_fault(self, place: str) -> Fault | None:
        """The first fault for this host and path that has not run out."""
        for fault in self.fail:
            if fault.times > 0 and fault.path in place:
                fault.times -= 1
                return fault
        return None

    def state(self) -> dict[str, Any]:
        return asdict(self)
