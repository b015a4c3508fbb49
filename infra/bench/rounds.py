"""Runs every stack in turn, round after round, so that what disturbs the machine disturbs all."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.bench.packages import without_bytecode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.bench.calls import Event

HERE = Path(__file__).parent
# As Lambda runs it, with nothing of this environment: the standard library and one package.
PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()


@dataclass(frozen=True)
class Stack:
    """What is measured: a module with a `handler`, and the package that it comes with."""

    title: str
    module: str
    package: Path
    client: bool  # with a DynamoDB client made at init, which the tool uses


class Measured(defaultdict[str, list[float]]):
    """What was found about one stack, by name: `init`, `rss`, a call's name; times in µs."""

    def __init__(self) -> None:
        super().__init__(list)
        self.failed: dict[str, str] = {}
        self.bytes: dict[str, int] = {}

    def add(self, found: Mapping[str, Any]) -> None:
        self["init"].append(found["init"])
        self["rss"].append(found["rss"])
        for what, call in found["calls"].items():
            if "failed" in call:
                self.failed[what] = call["failed"]
            else:
                self[what] += call["took"]
                self.bytes[what] = len(call["body"].encode())


class Runner:
    """Starts measured processes, one at a time."""

    def __init__(self, environment: Mapping[str, str], scratch: Path) -> None:
        self._environment = dict(environment)
        self._scratch = scratch
        self.log = scratch / "log"

    def run(
        self,
        stack: Stack,
        events: Mapping[str, Event],
        times: int,
        *,
        warm_up: int = 0,
        bytecode: bool = True,
    ) -> Mapping[str, Any]:
        """One fresh process: import, then each event `times` times.

        Raises:
            SystemExit: it did not come through; says what it logged.
        """
        package = stack.package if bytecode else without_bytecode(stack.package)
        order, answer = self._scratch / "order.json", self._scratch / "answer.json"
        order.write_text(
            json.dumps(
                {
                    "answer": str(answer),
                    "events": events,
                    "paths": [str(package), str(HERE / "stacks")],
                    "stack": stack.module,
                    "times": times,
                    "warm_up": warm_up,
                }
            )
        )
        answer.unlink(missing_ok=True)
        environment = {**self._environment, "BENCH_CLIENT": "1" if stack.client else ""}
        with self.log.open("wb") as log:
            subprocess.run(
                [PYTHON, "-I", "-S", "-B", HERE / "probe.py", order],
                env=environment,
                stdout=log,
                stderr=log,
                check=False,
            )
        if not answer.exists():
            sys.exit(f"bench: {stack.title} failed:\n{self.log.read_text()[-2000:]}")
        found: Mapping[str, Any] = json.loads(answer.read_text())
        return found

    def rounds(
        self,
        stacks: Sequence[Stack],
        events: Mapping[str, Event],
        *,
        rounds: int,
        times: int = 1,
        warm_up: int = 0,
        bytecode: bool = True,
    ) -> dict[Stack, Measured]:
        measured = {stack: Measured() for stack in stacks}
        for number in range(rounds):
            for stack in stacks:
                _say(f"round {number + 1} of {rounds}: {stack.title}")
                found = self.run(stack, events, times, warm_up=warm_up, bytecode=bytecode)
                measured[stack].add(found)
        _say("")
        return measured


def pin_to_one_cpu() -> None:
    """Keep this process and those that it starts on one processor, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:78}", end="\r", file=sys.stderr, flush=True)
