"""A table that is down: an honest answer at every door, and nothing done twice for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.lunch import CREATE, EVENTS, LUNCH, MADE
from tests.functions.test_routes import CASES, all_routes, event_for
from tests.world import CALENDAR, CONFIG
from valet.native.table import TableUnavailable
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    import io

    from tests.functions.support import Bundle

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": CREATE, "arguments": LUNCH},
}
WITHOUT_THE_TABLE = {"GET /tools"}


def nothing() -> None:
    return


def down() -> None:
    raise TableUnavailable(writing=True)


def codes(log: io.StringIO) -> list[str]:
    """What the alarm's filters count, in whichever of its two places."""
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
    return [line[name] for line in lines for name in ("code", "outcome") if name in line]


@pytest.mark.parametrize("route", sorted(set(CASES) - WITHOUT_THE_TABLE))
def test_every_route_says_that_it_is_down_and_leaves_it_in_the_log(
    bundle: Bundle, log: io.StringIO, route: str
) -> None:
    function, caller = all_routes()[route]
    event = event_for(bundle, route)
    bundle.world.table.fails_with = TableUnavailable(writing=False)
    who = {"jwt": events.jwt(), "iam": events.iam(), "none": None}[caller]
    answer = bundle.call(function, route, **event, caller=who)
    assert (answer.status, answer.code) == (503, "table_unavailable")
    assert "try again" in answer.json["detail"]
    assert codes(log)[-1] == "table_unavailable"


def test_so_does_a_direct_call(bundle: Bundle) -> None:
    bundle.world.table.fails_with = TableUnavailable(writing=False)
    answer = bundle.invoke("ensure_instance", {"config": CONFIG, "user": "alice"})
    assert (answer["status"], answer["code"]) == (503, "table_unavailable")


def test_mcp_answers_503_whatever_the_key_is(bundle: Bundle, log: io.StringIO) -> None:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    token = bundle.token()["token"]
    bundle.world.table.fails_with = TableUnavailable(writing=False)
    for answer in (bundle.mcp(key, CALL), bundle.bearer(token, CALL)):
        assert answer.status == 503
        assert "try again" in answer.json["error"]["message"]
        assert codes(log)[-1] == "table_unavailable"


@pytest.fixture
def key(bundle: Bundle) -> str:
    """Of a user who has been there already: when the URL was last used is written."""
    bundle.connected(connection=CALENDAR)
    bundle.provider.answers[EVENTS] = ProviderResponse(200, MADE)
    found = str(bundle.ensure()["url"].rsplit("/", 1)[1])
    bundle.mcp(found, {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    return found


def called(bundle: Bundle, key: str) -> Any:
    answer = bundle.mcp(key, CALL)
    assert answer.status == 200, answer.body
    return answer.json["result"]


def test_a_call_that_cannot_be_recorded_is_not_made(
    bundle: Bundle, key: str, log: io.StringIO
) -> None:
    bundle.world.table.before_next_write(down)
    result = called(bundle, key)
    assert result["isError"]
    assert "nothing was done" in result["content"][0]["text"]
    assert "table_unavailable" in codes(log)
    assert not bundle.provider.requests
    assert not called(bundle, key)["isError"]


def test_a_call_that_was_made_says_so_though_its_record_cannot_and_is_not_repeated(
    bundle: Bundle, key: str
) -> None:
    bundle.world.table.before_next_write(nothing, down)
    result = called(bundle, key)
    assert not result["isError"], result
    assert result["structuredContent"]["event"]["id"] == "abcde"
    called(bundle, key)
    made = [request.json["id"] for request in bundle.provider.requests if request.method == "POST"]
    assert len(set(made)) == 1, "the provider can tell that it is the same event"


def test_a_refusal_by_the_provider_is_told_though_its_record_cannot_be_taken_back(
    bundle: Bundle, key: str
) -> None:
    bundle.provider.answers[EVENTS] = ProviderResponse(400, {"error": {"code": 400}})
    bundle.world.table.before_next_write(nothing, down)
    result = called(bundle, key)
    assert result["isError"]
    assert "table" not in result["content"][0]["text"]


def test_that_a_url_was_used_need_not_be_written(bundle: Bundle) -> None:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    bundle.world.table.before_next_write(down)
    assert bundle.mcp(key, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).status == 200
