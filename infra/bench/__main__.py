"""Measures our MCP function beside its peers and prints Markdown.

python -m infra.bench [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.bench import calls, packages, report
from infra.bench.counting import for_peers, requests_of, too_many
from infra.bench.environment import SECRETS, environment
from infra.bench.rounds import Runner, Stack, pin_to_one_cpu
from infra.bench.standins import running

if TYPE_CHECKING:
    from collections.abc import Mapping

COLD = ("legacy read", "legacy list")
PEERS = (
    ("awslabs.mcp-lambda-handler 0.1.15", "awslabs_handler", "awslabs"),
    ("mcp 2.3.0, Mangum", "sdk2", "sdk2"),
    ("mcp 1.30.0, Mangum", "sdk1", "sdk1"),
    ("fastmcp 4.1.2, Mangum", "fast", "fastmcp"),
)


def main() -> None:
    options = _options()
    ours = Stack("**mcp-valet**", "mcp_server", packages.ours(), client=True)
    stacks = [ours, *_others(ours)]
    pin_to_one_cpu()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with running(scratch, SECRETS) as standins:
            settings = environment(standins)
            events = calls.events(_key(settings))
            alone = Runner(settings, scratch)
            requests = requests_of(alone, ours, events, standins.aws)
            shared = for_peers(alone, ours, events["legacy list"], standins)
            runner = Runner(settings | {"BENCH_SCENE": shared}, scratch)
            first = {what: events[what] for what in COLD}
            compiled = runner.rounds(stacks, first, rounds=options.rounds)
            source = runner.rounds(stacks, first, rounds=options.rounds, bytecode=False)
            warm = runner.rounds(
                stacks, events, rounds=options.rounds, times=options.calls, warm_up=options.calls
            )
        sizes = {stack: _sizes(stack) for stack in stacks}
    print(report.machine(options.rounds, options.calls), end="\n\n")
    print(report.cold(compiled, source, sizes), end="\n\n")
    print(report.warm(warm), end="\n\n")
    print(report.requests(requests), end="\n\n")
    print(report.budgets(ours, stacks, compiled, warm, sizes))
    report.print_failures((compiled, source, warm))
    if more := too_many(requests):
        sys.exit(f"bench: more AWS requests than there may be: {'; '.join(more)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="one short round: does it all work?")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.calls = 1, 3
    return options


def _key(settings: Mapping[str, str]) -> str:
    """Set the scene in a process of its own, whose environment is a function's."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.bench.scene"],
        cwd=packages.ROOT,
        env={**settings, "PYTHONPATH": "functions"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.split()[-1]


def _others(ours: Stack) -> list[Stack]:
    """Handlers without any framework, and the peers, each with and without a DynamoDB client."""
    found = [
        Stack("bare handler", "bare", ours.package, client=False),
        Stack("bare handler + client", "bare", ours.package, client=True),
    ]
    for title, module, name in PEERS:
        package = packages.peer(name)
        if name != "awslabs":  # which imports boto3 in any case
            found.append(Stack(title, module, package, client=False))
        found.append(Stack(f"{title} + client", module, package, client=True))
    return found


def _sizes(stack: Stack) -> packages.Sizes | None:
    return None if stack.module == "bare" else packages.sizes(stack.package)


if __name__ == "__main__":
    main()
