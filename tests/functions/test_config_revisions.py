"""A config's revisions over HTTP: listed, gone back to, and what a change takes away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.world import CALENDAR, CONFIG, GMAIL
from valet.models import ConnectionTools

if TYPE_CHECKING:
    import io

    from tests.functions.support import Answer, Bundle

RESTORE = "POST /configs/{name}/revisions/{revision}/restore"
MAILS: dict[str, Any] = {"connection": GMAIL, "tools": ["gmail_fetch_mails"]}


def call(bundle: Bundle, route: str, **event: Any) -> Answer:
    path = {"name": CONFIG} | event.pop("path", {})
    return bundle.call("create_config", route, path=path, caller=events.iam(), **event)


def put(bundle: Bundle, *connections: dict[str, Any]) -> Answer:
    return call(bundle, "PUT /configs/{name}", body={"connections": connections})


def restore(bundle: Bundle, revision: int | str) -> Answer:
    return call(bundle, RESTORE, path={"revision": str(revision)})


def test_revisions_are_listed_newest_first_and_the_current_one_is_marked(bundle: Bundle) -> None:
    put(bundle, MAILS)
    current = call(bundle, "GET /configs/{name}").json
    revisions = call(bundle, "GET /configs/{name}/revisions").json["revisions"]
    assert [(each["revision"], each["current"]) for each in revisions] == [(2, True), (1, False)]
    assert revisions[0] == current | {"current": True}
    assert revisions[1]["description"] == "Reads email and creates calendar reminders"
    assert [each["connection"] for each in revisions[1]["connections"]] == [GMAIL, CALENDAR]


def test_a_long_history_is_listed_by_its_newest_hundred(bundle: Bundle) -> None:
    for number in range(101):
        bundle.world.configs.put(
            CONFIG, f"{number}", [ConnectionTools(GMAIL)], owner="", replaces=True
        )
    revisions = call(bundle, "GET /configs/{name}/revisions").json["revisions"]
    assert [each["revision"] for each in revisions] == list(range(102, 2, -1))
    assert restore(bundle, 1).json["revision"] == 103


def test_going_back_makes_a_new_revision_and_says_what_it_takes_away(bundle: Bundle) -> None:
    bundle.ensure("alice")
    bundle.ensure("bob")
    put(bundle, {"connection": GMAIL})
    answer = restore(bundle, 1)
    assert answer.status == 200
    lost = answer.json["removed_tools"]
    assert "gmail_send_message" in lost
    assert not {"gmail_fetch_mails", "googlecalendar_create_event"} & set(lost)
    assert answer.json["instances_losing_tools"] == 2
    assert answer.json["revision"] == 3
    assert restore(bundle, 1).json == answer.json, "twice is once"
    listed = call(bundle, "GET /configs/{name}/revisions").json["revisions"]
    assert [each["current"] for each in listed] == [True, False, False]


def test_a_deleted_config_has_a_history_and_comes_back(bundle: Bundle) -> None:
    call(bundle, "DELETE /configs/{name}")
    (revision,) = call(bundle, "GET /configs/{name}/revisions").json["revisions"]
    assert (revision["revision"], revision["current"]) == (1, False)
    assert restore(bundle, 1).json["revision"] == 2
    assert call(bundle, "GET /configs/{name}").json["revision"] == 2


@pytest.mark.parametrize("revision", ["7", "99999999"])
def test_a_revision_that_is_not_there_is_not_found_and_the_answer_says_which_are(
    bundle: Bundle, revision: str
) -> None:
    answer = restore(bundle, revision)
    assert (answer.status, answer.code) == (404, "unknown_revision")
    assert answer.json["detail"] == f"config {CONFIG!r} has no revision {revision}: it has 1 to 1"


@pytest.mark.parametrize("revision", ["0", "-1", "01", "1.0", "latest", "1\n", "\u0661", "9" * 30])
def test_a_revision_that_is_no_number_is_refused(bundle: Bundle, revision: str) -> None:
    answer = restore(bundle, revision)
    assert (answer.status, answer.code) == (400, "bad_revision")


def test_an_unknown_config_has_no_revisions(bundle: Bundle) -> None:
    for route in ("GET /configs/{name}/revisions", RESTORE):
        answer = call(bundle, route, path={"name": "nope", "revision": "1"})
        assert (answer.status, answer.code) == (404, "not_found")


def test_an_update_answers_which_tools_went_and_from_how_many_instances(bundle: Bundle) -> None:
    bundle.ensure("alice")
    answer = put(bundle, MAILS).json
    assert answer["removed_tools"] == ["googlecalendar_create_event"]
    assert answer["instances_losing_tools"] == 1
    more = put(bundle, MAILS, {"connection": CALENDAR}).json
    assert (more["removed_tools"], more["instances_losing_tools"]) == ([], 0)


def test_a_delete_answers_what_dies_with_the_config(bundle: Bundle) -> None:
    bundle.ensure("alice")
    answer = call(bundle, "DELETE /configs/{name}")
    assert answer.status == 200
    assert answer.json == {
        "name": CONFIG,
        "removed_tools": ["gmail_fetch_mails", "googlecalendar_create_event"],
        "instances_losing_tools": 1,
    }


def test_a_change_is_in_the_log_with_what_it_took_away(bundle: Bundle, log: io.StringIO) -> None:
    bundle.ensure("alice")
    put(bundle, MAILS)
    lines = [json.loads(line) for line in log.getvalue().splitlines() if line[0] == "{"]
    (changed,) = [line for line in lines if line["message"] == "config changed"]
    assert (changed["config"], changed["revision"]) == (CONFIG, 2)
    assert changed["removed_tools"] == ["googlecalendar_create_event"]
    assert changed["instances_losing_tools"] == 1
