"""What was measured, as Markdown tables, to be pasted into the README.

Whatever else a machine does only ever adds to what a process takes, so budgets are held against
what the fastest tenth needed: that stays the same under load, where a median moves.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.bench.packages import Sizes
    from infra.bench.rounds import Measured, Stack

type Results = Mapping[Stack, Measured]


def machine(rounds: int, calls: int) -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    processor = f"{len(names)} x {names[0]}" if names else platform.machine()
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench` on one of {processor}, "
        f"Python {platform.python_version()}, {platform.system()}; "
        f"{rounds} rounds, {calls} warm calls each."
    )


def cold(compiled: Results, source: Results, sizes: Mapping[Stack, Sizes | None]) -> str:
    """A fresh process: import, then the first tool call."""

    def row(stack: Stack) -> list[str]:
        with_bytecode, without = compiled[stack], source[stack]
        size = sizes[stack]
        return [
            stack.title,
            _range(with_bytecode["init"]),
            _range(with_bytecode["legacy read"]),
            _range(_both(with_bytecode)),
            _ms(median(_both(without))),
            f"{median(with_bytecode['rss']):.0f}",
            f"{size.unzipped:.0f} / {size.zipped:.0f}" if size else "-",
            f"{size.beside_boto3:.0f}" if size else "-",
        ]

    head = (
        "stack | init | first tool call | both | both, no bytecode | RSS | package, zipped | "
        "beside boto3"
    )
    return _table(head, (row(stack) for stack in compiled))


def warm(results: Results) -> str:
    """The process is warm: what one more request takes, the fastest tenth and the median."""

    def row(stack: Stack) -> list[str]:
        found = results[stack]
        whats = ("legacy list", "modern list", "legacy read", "modern read", "legacy write")
        return [stack.title, *(_us(found, what) for what in whats), _kilobytes(found)]

    head = (
        "stack | tools/list | tools/list 2026-07-28 | reading call | reading call 2026-07-28 | "
        "writing call | tools/list answers"
    )
    return _table(head, (row(stack) for stack in results))


def requests(counted: Mapping[str, Mapping[str, float]]) -> str:
    """What one warm request of ours asks of AWS."""
    named = {
        what: ", ".join(f"{number:g} {operation}" for operation, number in sorted(found.items()))
        for what, found in counted.items()
    }
    return _table(
        "request | AWS requests", ([what, found or "none"] for what, found in named.items())
    )


def budgets(
    ours: Stack,
    stacks: Sequence[Stack],
    compiled: Results,
    warm: Results,
    sizes: Mapping[Stack, Sizes | None],
) -> str:
    """What we hold ourselves to, beside the official SDK and awslabs' handler."""
    by = {(stack.module, stack.client): stack for stack in stacks}
    sdk, alone = by["sdk2", True], by["sdk2", False]
    asking, bare, awslabs = by["bare", True], by["bare", False], by["awslabs_handler", True]
    size = sizes[ours]
    assert size
    cold = _cold(compiled[ours])
    listed, called = warm[ours]["legacy list"], warm[ours]["legacy read"]
    lookup = _fast(warm[asking]["legacy list"]) - _fast(warm[bare]["legacy list"])
    lines = [
        ("cold, ms: half of mcp 2.x with a client", cold, _cold(compiled[sdk]) / 2),
        ("cold, ms: awslabs' handler (stretch)", cold, _cold(compiled[awslabs])),
        (
            "tools/list without its DynamoDB request, µs: a fifth of mcp 2.x",
            _fast(listed) - lookup,
            _fast(warm[alone]["legacy list"]) / 5,
        ),
        (
            "reading call without its two requests, µs: mcp 2.x without any",
            _fast(called) - _fast(warm[asking]["legacy read"]),
            _fast(warm[alone]["legacy read"]),
        ),
        (
            "reading call, µs: mcp 2.x with the same two requests",
            _fast(called),
            _fast(warm[sdk]["legacy read"]),
        ),
        ("package beside boto3, MB", size.beside_boto3, 25),
    ]
    rows = (
        [name, f"{found:.0f}", f"{most:.0f}", "kept" if found <= most else "**missed**"]
        for name, found, most in lines
    )
    return _table("budget | found | at most | ", rows)


def print_failures(results: Iterable[Results]) -> None:
    """Say why the tables have dashes."""
    failures = {
        f"bench: {stack.title}, {what}: {why[:150]}"
        for found in results
        for stack, measured in found.items()
        for what, why in measured.failed.items()
    }
    print(*sorted(failures), sep="\n", file=sys.stderr)


def _both(found: Measured) -> list[float]:
    return [init + first for init, first in zip(found["init"], found["legacy read"], strict=True)]


def _cold(found: Measured) -> float:
    return _fast(_both(found)) / 1000


def _fast(values: Sequence[float]) -> float:
    """The upper end of the fastest tenth; of few, the fastest."""
    return sorted(values)[len(values) // 10]


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.0f}"


def _range(values: Sequence[float]) -> str:
    return f"{_ms(median(values))} ({_ms(min(values))}-{_ms(max(values))})"


def _us(found: Measured, what: str) -> str:
    values = found[what]
    if not values:
        return "-"
    return f"{_fast(values):.0f} ({median(values):.0f})"


def _kilobytes(found: Measured) -> str:
    return f"{found.bytes['legacy list'] / 1000:.1f} kB"


def _table(head: str, rows: Iterable[Sequence[str]]) -> str:
    titles = head.split(" | ")
    lines = [titles, ["---", *("---:" for _ in titles[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
