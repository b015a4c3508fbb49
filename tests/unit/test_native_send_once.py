"""Send once: what a client repeats within the window does not happen twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import FakeProviderHttp
from tests.world import ALICE, BOB, CALENDAR, GMAIL, World
from valet.errors import Busy
from valet.models import ConnectionTools, Secret
from valet.native.ledger import WINDOW
from valet.native.provider import TokenGrant
from valet.tools.provider import ProviderResponse, ProviderUnreachable

if TYPE_CHECKING:
    from valet.tools.results import ToolResult

SEND, CREATE, TRASH = "gmail_send_message", "googlecalendar_create_event", "gmail_trash_message"
MAIL = {"to": "bob@example.com", "subject": "s", "body": "b"}
EVENT = {"summary": "s", "start_datetime": "2026-12-01T09:00:00Z", "event_duration_minutes": 30}
SENT = {"id": "m1", "threadId": "t1"}
UNAVAILABLE = ProviderResponse(503)


def connected(*users: Any) -> World:
    world = World().deployed()
    world.exposing(
        ConnectionTools(GMAIL, (SEND, TRASH)),
        ConnectionTools(CALENDAR, (CREATE,)),
    )
    for user in users or (ALICE,):
        world.connected(user, GMAIL)
        world.connected(user, CALENDAR)
    return world


def lost(*, maybe_sent: bool = True) -> ProviderUnreachable:
    return ProviderUnreachable("x", maybe_sent=maybe_sent)


def call(world: World, http: FakeProviderHttp, name: str, arguments: dict[str, Any]) -> ToolResult:
    return world.toolbox(http).call_tool(name, arguments)


def send(world: World, http: FakeProviderHttp, **changes: str) -> ToolResult:
    return call(world, http, SEND, MAIL | changes)


def test_a_repeated_send_within_the_window_is_not_sent_and_names_what_was() -> None:
    world = connected()
    http = FakeProviderHttp(SENT)
    assert send(world, http).code == "ok"
    world.now.advance(seconds=WINDOW.total_seconds())
    again = send(world, http)
    assert (again.is_error, again.code) == (True, "already_done")
    assert "m1" in again.text
    assert len(http.sent) == 1


def test_after_the_window_with_other_arguments_or_by_another_user_it_is_sent() -> None:
    world = connected(ALICE, BOB)
    http = FakeProviderHttp(SENT, SENT, SENT, SENT)
    send(world, http)
    assert send(world, http, subject="another").code == "ok"
    assert world.toolbox(http, BOB).call_tool(SEND, MAIL).code == "ok"
    world.now.advance(seconds=WINDOW.total_seconds() + 1)
    assert send(world, http).code == "ok"


def test_the_same_mail_from_two_connections_is_two_mails() -> None:
    world = connected()
    world.configs.put_connection("WORK", "gmail", None, owner="o", replaces=False)
    work = ConnectionTools("WORK", ("gmail_send_mail",))
    world.exposing(ConnectionTools(GMAIL, (SEND,)), work)
    world.connected(connection="WORK")
    http = FakeProviderHttp(SENT, {"id": "m2"})
    assert send(world, http).code == "ok"
    assert call(world, http, "gmail_send_mail", MAIL).code == "ok"


def test_of_ten_same_sends_at_once_one_is_sent() -> None:
    world = connected()
    http = FakeProviderHttp(SENT)
    toolbox = world.toolbox(http)
    start = Barrier(10)

    def one(_: int) -> str:
        start.wait()
        return toolbox.call_tool(SEND, MAIL).code

    with ThreadPoolExecutor(10) as threads:
        codes = list(threads.map(one, range(10)))
    assert codes.count("ok") == 1
    assert set(codes) <= {"ok", "already_done", "outcome_unknown"}
    assert len(http.sent) == 1


@pytest.mark.parametrize("answer", [lost(), UNAVAILABLE], ids=["no answer", "503"])
def test_a_send_whose_answer_was_lost_is_not_repeated_and_says_so(answer: Any) -> None:
    world = connected()
    http = FakeProviderHttp(answer)
    first, again = send(world, http), send(world, http)
    assert (first.is_error, first.code) == (True, "outcome_unknown")
    assert (again.is_error, again.code) == (True, "outcome_unknown")
    assert len(http.sent) == 1


def test_an_unknown_outcome_frees_the_call_after_the_window() -> None:
    world = connected()
    http = FakeProviderHttp(lost(), SENT)
    send(world, http)
    world.now.advance(seconds=WINDOW.total_seconds() + 1)
    assert send(world, http).code == "ok"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lost(maybe_sent=False), "provider_unreachable"),
        (ProviderResponse(400), "rejected"),
        (ProviderResponse(403), "forbidden"),
        (ProviderResponse(429), "rate_limited"),
    ],
    ids=str,
)
def test_a_send_that_certainly_failed_may_be_repeated_at_once(answer: Any, code: str) -> None:
    world = connected()
    http = FakeProviderHttp(answer, SENT)
    assert send(world, http).code == code
    assert send(world, http).code == "ok"


def test_a_send_that_got_no_token_may_be_repeated_at_once() -> None:
    world = connected()
    http = FakeProviderHttp(SENT)
    world.vault.fails_with = Busy("the key service is throttled: try again")
    assert send(world, http).code == "busy"
    world.vault.fails_with = None
    world.disconnect.disconnect(ALICE, GMAIL)
    assert send(world, http).code == "not_connected"
    world.connected()
    assert send(world, http).code == "ok"


def test_a_send_refused_for_its_token_is_sent_once_with_the_new_one_and_recorded() -> None:
    world = connected()
    world.provider.default = TokenGrant(Secret("at-2"), None, 3600, None)
    http = FakeProviderHttp(ProviderResponse(401), SENT)
    assert send(world, http).code == "ok"
    assert send(world, http).code == "already_done"
    assert http.tokens == ["at-1", "at-2"]


def test_a_send_refused_twice_for_its_token_may_be_repeated() -> None:
    world = connected()
    world.provider.default = TokenGrant(Secret("at-2"), None, 3600, None)
    http = FakeProviderHttp(ProviderResponse(401), ProviderResponse(401), SENT)
    assert send(world, http).code == "token_refused"
    assert send(world, http).code == "ok"


def event_ids(http: FakeProviderHttp) -> list[str]:
    return [request.json["id"] for request in http.sent if request.method == "POST"]


def test_an_event_whose_outcome_is_unknown_is_repeated_under_the_same_id() -> None:
    world = connected()
    http = FakeProviderHttp(lost(), lost())  # the write, and the look whether it took effect
    assert call(world, http, CREATE, EVENT).code == "outcome_unknown"
    first = event_ids(http)
    http.answers = [ProviderResponse(409), {"id": first[0], "status": "confirmed"}]
    result = call(world, http, CREATE, EVENT)
    assert (result.is_error, result.code) == (False, "ok")
    assert event_ids(http) == first * 2
    assert call(world, http, CREATE, EVENT).code == "already_done"


def test_a_repeated_event_that_was_made_is_not_made_again() -> None:
    world = connected()
    http = FakeProviderHttp({"id": "e1", "status": "confirmed"})
    assert call(world, http, CREATE, EVENT).code == "ok"
    assert call(world, http, CREATE, EVENT).code == "already_done"
    assert len(http.sent) == 1


def test_an_event_after_the_window_has_an_id_of_its_own() -> None:
    world = connected()
    http = FakeProviderHttp({"id": "e1"}, {"id": "e2"})
    call(world, http, CREATE, EVENT)
    world.now.advance(seconds=WINDOW.total_seconds() + 1)
    call(world, http, CREATE, EVENT)
    assert len(set(event_ids(http))) == 2


def test_a_write_that_repeats_without_effect_is_not_kept_from_repeating() -> None:
    world = connected()
    http = FakeProviderHttp({"id": "1a", "labelIds": ["TRASH"]}, {"id": "1a"})
    for _ in range(2):
        assert call(world, http, TRASH, {"message_id": "1a"}).code == "ok"
    assert not [key for key in world.table.items if key.pk.startswith("CALL#")]


def test_the_ledger_holds_no_content_of_a_call() -> None:
    world = connected()
    send(world, FakeProviderHttp(SENT), subject="canary-subject", body="canary-body")
    records = [item for key, item in world.table.items.items() if key.pk.startswith("CALL#")]
    assert len(records) == 1
    assert "canary" not in repr(records)
    assert "bob@example.com" not in repr(records)
