"""What an app that listens on EventBridge hears."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.consent import GMAIL, connect
from tests.e2e.deployed import aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.people import User

type Heard = Callable[[User, int], list[dict[str, Any]]]

_PATIENCE = 15.0


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Waits for so many events about a user, through a rule and a queue as an app would have."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    sqs, events = aws("sqs"), aws("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["mcp-valet"]}))
    target = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
    events.put_targets(Rule=name, Targets=[target])
    found: list[dict[str, Any]] = []

    def wait(user: User, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in got.get("Messages", []):
                event = json.loads(message["Body"])
                if event["detail"]["user"] == user.key:
                    found.append(event)
            if len(found) >= count:
                break
        return found

    yield wait
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=queue)


def test_a_grants_life_and_a_urls_changes_are_told(user: User, heard: Heard) -> None:
    instance = user.ensure()
    connect(user)
    assert user.call("DELETE", f"/connections/{GMAIL}").status_code == 200
    assert user.call("POST", f"/instances/{instance['id']}/rotate").status_code == 200
    assert user.call("DELETE", f"/instances/{instance['id']}").status_code == 204
    told = heard(user, 5)
    # A queue keeps no order.
    assert {(event["detail-type"], event["detail"].get("status")) for event in told} == {
        ("AccountStatusChanged", "PENDING_VERIFICATION"),
        ("AccountStatusChanged", "ACTIVE"),
        ("AccountStatusChanged", "DISCONNECTED"),
        ("UrlRotated", None),
        ("UrlRevoked", None),
    }
    text = json.dumps(told)
    assert user.email not in text
    assert user.id not in text
