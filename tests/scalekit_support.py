"""Scalekit's API at the client's port: answers of the shape that its documents show."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from valet.scalekit.client import Client
from valet.scalekit.credentials import CredentialsSecret
from valet.scalekit.transport import Answer, Call, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENV = "https://acme.scalekit.dev"
SECRET = {
    "SCALEKIT_ENV_URL": ENV,
    "SCALEKIT_CLIENT_ID": "skc_1",
    "SCALEKIT_CLIENT_SECRET": "canary-secret",
}

type Scripted = Answer | NoAnswer | Callable[[], Answer]


def said(body: object, status: int = 200, **more: Any) -> Answer:
    return Answer(status, json.dumps(body).encode(), **more)


def refusal(status: int, error_code: str) -> Answer:
    """As grpc-gateway words errors: the code within `details`, beside prose."""
    details = [{"@type": "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo"}]
    details.append({"error_code": error_code, "debug_info": "prose-canary"})
    return said({"code": 5, "message": "prose-canary", "details": details}, status)


@dataclass
class FakeSecret:
    value: Mapping[str, Any] = field(default_factory=lambda: dict(SECRET))
    newest: Mapping[str, Any] | None = None
    fresh_reads: int = 0

    def read(self, *, fresh: bool = False) -> Mapping[str, Any]:
        self.fresh_reads += fresh
        if fresh and self.newest is not None:
            self.value = self.newest
        return self.value


@dataclass
class Wire:
    """The transport, scripted: tokens are `at-1`, `at-2`, …; the rest is as the test says."""

    answers: list[Scripted] = field(default_factory=list)
    token_answers: list[Scripted] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    secret: FakeSecret = field(default_factory=FakeSecret)
    paused: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0

    def client(self) -> Client:
        return Client(
            self, CredentialsSecret(self.secret), elapsed=lambda: self.seconds, pause=self._pause
        )

    def send(self, call: Call, seconds: float) -> Answer:
        assert 0 < seconds <= 15
        self.calls.append(call)
        if call.url.endswith("/oauth/token"):
            return _play(self.token_answers.pop(0)) if self.token_answers else self._token()
        assert self.answers, f"a call that the test did not expect: {call}"
        return _play(self.answers.pop(0))

    def _token(self) -> Answer:
        self.tokens += 1
        return said({"access_token": f"at-{self.tokens}", "expires_in": 3600, "scope": ""})

    def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.seconds += seconds

    @property
    def sent(self) -> list[Call]:
        """What was asked beside tokens."""
        return [call for call in self.calls if not call.url.endswith("/oauth/token")]

    @property
    def bearers(self) -> list[str]:
        return [call.headers["authorization"] for call in self.sent]


def _play(scripted: Scripted) -> Answer:
    if isinstance(scripted, NoAnswer):
        raise scripted
    return scripted() if callable(scripted) else scripted


def query(call: Call) -> dict[str, list[str]]:
    return parse_qs(urlsplit(call.url).query)


def body(call: Call) -> Any:
    assert call.body is not None
    return json.loads(call.body)
