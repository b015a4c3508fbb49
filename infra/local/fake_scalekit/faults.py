"""Settings that a test may change: the clock, the verification mode, answers that go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

VERIFY_MODES = ("USER_VERIFY_MODE_B2B", "USER_VERIFY_MODE_NONE")


@dataclass
class Fault:
    """Requests whose path contains `path` fail, `times` times.

    With `after` the request takes effect first and only its answer is lost. `method` narrows it
    to one verb. `body` replaces Scalekit's error shape.
    """

    path: str
    status: int
    method: str = ""
    times: int = 1
    after: bool = False
    retry_after: int | None = None
    body: Any = None


@dataclass
class Settings:
    """What `POST /_test/config` changes; a name that is left out stays as it is."""

    clock_skew: float = 0
    verify_mode: str = VERIFY_MODES[0]
    server_urls: bool = True  # the feature "MCP config server URL" of an environment
    api_token_life: int = 86399
    link_life: int = 60
    fail: list[Fault] = field(default_factory=list)

    def change(self, given: dict[str, Any]) -> None:
        unknown = set(given) - {each.name for each in fields(self)}
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        if given.get("verify_mode", VERIFY_MODES[0]) not in VERIFY_MODES:
            raise ValueError(f"verify_mode is one of {VERIFY_MODES}")
        faults = [Fault(**each) for each in given.get("fail", ())]
        for name, value in given.items():
            setattr(self, name, faults if name == "fail" else value)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The first fault for this request that has not run out."""
        for fault in self.fail:
            if fault.times > 0 and fault.path in path and fault.method in ("", method):
                fault.times -= 1
                return fault
        return None
