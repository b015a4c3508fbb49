"""Events as EventBridge gets them, and what happens when it does not take them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.world import ALICE, GMAIL
from valet.adapters.eventbridge import EventBridge
from valet.native.events import Event, EventType

EVENT = Event(
    EventType.ACCOUNT_STATUS_CHANGED,
    ALICE,
    connection=GMAIL,
    connector="gmail",
    status="EXPIRED",
    previous_status="ACTIVE",
)


class Bus:
    """EventBridge's client, as far as it is used."""

    def __init__(self, failed: int = 0, error: Exception | None = None) -> None:
        self.entries: list[dict[str, Any]] = []
        self._failed = failed
        self._error = error

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        if self._error:
            raise self._error
        self.entries += Entries
        return {"FailedEntryCount": self._failed}


def bridge(bus: Bus) -> EventBridge:
    return EventBridge(bus)  # type: ignore[arg-type]  # a fake


def test_an_event_carries_what_the_documentation_says_and_no_more() -> None:
    bus = Bus()
    bridge(bus).publish(EVENT)
    (entry,) = bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("mcp-valet", "AccountStatusChanged")
    assert json.loads(entry["Detail"]) == {
        "version": 1,
        "user": ALICE,
        "connection": GMAIL,
        "connector": "gmail",
        "status": "EXPIRED",
        "previous_status": "ACTIVE",
    }


def test_a_metric_counts_it(capsys: pytest.CaptureFixture[str]) -> None:
    bridge(Bus()).publish(EVENT)
    lines = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    changed, expired = map(json.loads, lines)
    assert changed["AccountStatusChanged"] == [1.0]
    assert expired["AccountExpired"] == [1.0]
    assert changed["service"] == expired["service"] == "mcp-valet"
    assert ALICE not in "".join(lines)


@pytest.mark.parametrize(
    "bus",
    [
        Bus(failed=1),
        Bus(error=ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents")),
    ],
    ids=["refused", "unavailable"],
)
def test_a_bus_that_does_not_take_it_fails_nobody(bus: Bus) -> None:
    bridge(bus).publish(EVENT)
