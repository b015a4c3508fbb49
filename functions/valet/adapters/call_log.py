"""The audit of tool calls in the log: one line a call, which is its metric at the same time.

CloudWatch takes metrics out of any line that carries `_aws` (its embedded metric format), so calls
are counted by tool and outcome without a second line to pay for. Of one metric the number of
samples is the number of calls; a second one would double what CloudWatch charges by the month.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from valet.native.audit import CallRecord

METRIC: Final = "ToolLatency"
NAMESPACE: Final = "McpValet"  # as POWERTOOLS_METRICS_NAMESPACE in template.yaml
DIMENSIONS: Final = ("service", "tool", "outcome")  # each of few values: no caller can make one up

logger = Logger()
_DIRECTIVE: Final = {
    "Namespace": NAMESPACE,
    "Dimensions": [DIMENSIONS],
    "Metrics": [{"Name": METRIC, "Unit": "Milliseconds"}],
}


class CallLog:
    """`valet.native.audit.Audit`."""

    def __call__(self, call: CallRecord, /) -> None:
        metric: dict[str, Any] = {
            METRIC: call.milliseconds,
            "_aws": {
                "Timestamp": int(time.time() * 1000),
                "CloudWatchMetrics": [_DIRECTIVE],
            },
        }
        log = logger.error if call.outcome == "seal_broken" else logger.info
        log("tool called", **asdict(call), **metric)
