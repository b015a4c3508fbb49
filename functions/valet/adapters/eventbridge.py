"""Events to EventBridge's default bus, and each to a metric of its name."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from valet.native.events import Event

SOURCE = "mcp-valet"
VERSION = 1  # of the detail's shape; a field that is added does not raise it

logger = Logger()


class EventBridge:
    """`valet.native.events.Events`."""

    def __init__(self, client: EventBridgeClient) -> None:
        self._client = client

    def publish(self, event: Event) -> None:
        detail = {name: value for name, value in asdict(event).items() if value is not None}
        del detail["type"]
        _count(event.type)
        if event.status:
            _count(f"Account{event.status.title().replace('_', '')}")
        entry: PutEventsRequestEntryTypeDef = {
            "Source": SOURCE,
            "DetailType": event.type.value,
            "Detail": json.dumps({"version": VERSION, **detail}),
        }
        try:
            refused = self._client.put_events(Entries=[entry])["FailedEntryCount"]
        except (BotoCoreError, ClientError):
            refused = 1
        if refused:
            # The user's request is done and stays done; the metric still counts what happened.
            logger.error("event not delivered", type=event.type.value, user=event.user)


def _count(name: str) -> None:
    """A metric without a dimension but the service: what it was about is in the event."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1):
        return
