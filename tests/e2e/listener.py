"""An app that listens on EventBridge, through a rule and a queue of its own."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.deployed import aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE: Final = 15.0


class Listener:
    def __init__(self, sqs: Any, queue: str) -> None:
        self._sqs = sqs
        self._queue = queue
        self._heard: list[str] = []

    def until(self, wanted: Callable[[str], bool]) -> list[str]:
        """All that was heard, once that includes what is wanted and the queue is empty."""
        deadline = time.monotonic() + _PATIENCE
        while (got := self._receive()) or not any(map(wanted, self._heard)):
            assert got or time.monotonic() < deadline, f"not among {len(self._heard)} events"
        return self._heard

    def _receive(self) -> bool:
        got = self._sqs.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages", [])
        for message in got:
            self._heard.append(message["Body"])
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return bool(got)


@contextmanager
def listening() -> Iterator[Listener]:
    """Hears all events of the app from here on."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    sqs, events = aws("sqs"), aws("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    try:
        asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        events.put_rule(Name=name, EventPattern=json.dumps({"source": ["mcp-valet"]}))
        try:
            target = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
            events.put_targets(Rule=name, Targets=[target])
            yield Listener(sqs, queue)
        finally:
            events.remove_targets(Rule=name, Ids=["queue"])
            events.delete_rule(Name=name)
    finally:
        sqs.delete_queue(QueueUrl=queue)
