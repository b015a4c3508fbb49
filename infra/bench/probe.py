"""Runs inside the measured process, which sees the standard library and one package.

    python -I -S probe.py ORDER.json   # says what to do, and where to write what was found

Imports as little as it can: what is loaded here already costs the stack nothing.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False  # `typing` itself would be loaded at our cost, not at a stack's
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

cpu = time.process_time_ns


def main(order_path: str) -> None:
    """Import the stack, call it as ordered, write what that took (µs of CPU time)."""
    import json

    with open(order_path, encoding="utf-8") as file:
        order = json.load(file)
    sys.path[:0] = order["paths"]
    began = cpu()
    handler = __import__(order["stack"]).handler
    found: dict[str, Any] = {"init": (cpu() - began) / 1000, "calls": {}}
    for what, event in order["events"].items():
        found["calls"][what] = _called(handler, event, order["times"], order["warm_up"])
    found["rss"] = _peak_memory()
    with open(order["answer"], "w", encoding="utf-8") as file:
        json.dump(found, file)


def _called(
    handler: Callable[[Any, Any], Any], event: dict[str, Any], times: int, warm_up: int
) -> dict[str, Any]:
    """What each call took once it is warm, or why the first did not work."""
    took = []
    for number in range(warm_up + times):
        sent = {**event, "body": event["body"].replace("@n", f"{time.time_ns()}")}
        began = cpu()
        try:
            answer = handler(sent, Context())
        except BaseException as error:  # noqa: BLE001 (a stack's failure is a finding)
            return {"failed": repr(error)[:200]}
        took.append((cpu() - began) / 1000)
        if number == 0:
            body = str(answer["body"])
            compact = body.replace(" ", "")
            if '"result"' not in compact or '"isError":true' in compact:
                return {"failed": f"{answer['statusCode']} {body[:200]}"}
    return {"took": took[warm_up:], "body": body}


def _peak_memory() -> float:
    """In MB. Of this program alone: what `getrusage` says began in the one that started it."""
    with open("/proc/self/status", encoding="ascii") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1000


class Context:
    """What Lambda hands to a handler beside the event."""

    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    log_group_name = "/aws/lambda/bench"
    log_stream_name = "2026/11/24/[$LATEST]0123456789abcdef"

    def get_remaining_time_in_millis(self) -> int:
        return 30000


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    import os

    os._exit(0)  # some stacks keep threads and loops that would wait for each other
