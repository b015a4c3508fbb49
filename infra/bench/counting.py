"""What only our function can tell: its requests to AWS, and what the peers have to do alike."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from infra.bench.calls import READ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.bench.aws import Aws
    from infra.bench.calls import Event
    from infra.bench.rounds import Runner, Stack
    from infra.bench.standins import StandIns

_CALLS = 20


def requests_of(
    runner: Runner, ours: Stack, events: Mapping[str, Event], aws: Aws
) -> dict[str, dict[str, float]]:
    """The AWS requests that one warm request of each kind makes, by operation."""
    found = {}
    for what, event in events.items():
        totals = []
        for times in (1, 1 + _CALLS):
            aws.requests.clear()
            runner.run(ours, {what: event}, times)
            totals.append(Counter(aws.requests))
        warm = totals[1] - totals[0]
        found[what] = {operation: number / _CALLS for operation, number in warm.items()}
    return found


def for_peers(runner: Runner, ours: Stack, listing: Event, standins: StandIns) -> str:
    """Our tools, and what our reading call asks of DynamoDB and the provider, as JSON."""
    answer = json.loads(runner.run(ours, {"list": listing}, 1)["calls"]["list"]["body"])
    threads = f"{standins.provider_url}/gmail.googleapis.com/gmail/v1/users/me/threads"
    query = f"q={READ[1]['query']}&maxResults={READ[1]['max_results']}".replace(" ", "+")
    return json.dumps(
        {
            "tools": answer["result"]["tools"],
            "dynamodb": standins.aws.last["DynamoDB BatchGetItem"],
            "provider": f"{threads}?{query}",
        }
    )


# By kind of request. Calls are counted by samples: every eighth reading, every third writing one.
_MOST: dict[str, dict[str, float]] = {
    "list": {"DynamoDB BatchGetItem": 1},
    "read": {"DynamoDB BatchGetItem": 1, "DynamoDB UpdateItem": 0.2},
    "write": {"DynamoDB BatchGetItem": 1, "DynamoDB PutItem": 2, "DynamoDB UpdateItem": 0.4},
}


def too_many(requests: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What asks AWS for more than it should: the one thing here that no noise excuses."""
    return [
        f"{what}: {number:g} {operation}"
        for what, found in requests.items()
        for operation, number in found.items()
        if number > _MOST[what.rpartition(" ")[2]].get(operation, 0)
    ]
