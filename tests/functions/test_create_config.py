"""/configs and /tools, as an operator or a pipeline uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests import events
from tests.world import CALENDAR, CONFIG, GMAIL
from valet.connectors.catalog import load_connector

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle


def call(bundle: Bundle, route: str, name: str | None = None, **event: Any) -> Answer:
    path = {"name": name} if name else None
    return bundle.call("create_config", route, path=path, caller=events.iam(), **event)


def put(bundle: Bundle, name: str = "mine", **body: Any) -> Answer:
    return call(bundle, "PUT /configs/{name}", name, body=body)


def test_a_config_is_shown_as_it_was_put(bundle: Bundle) -> None:
    answer = put(
        bundle,
        description="Mail only",
        connections=[{"connection": GMAIL, "tools": ["gmail_fetch_mails"]}],
    )
    assert answer.status == 200
    assert answer.json == {
        "name": "mine",
        "description": "Mail only",
        "revision": 1,
        "updated_at": "2026-11-23T09:00:00Z",
        "connections": [
            {
                "connection": GMAIL,
                "connector": "gmail",
                "removed": False,
                "tools": ["gmail_fetch_mails"],
                "tool_count": 1,
                "all_tools": False,
            }
        ],
        "removed_tools": [],
        "instances_losing_tools": 0,
    }
    shown = call(bundle, "GET /configs/{name}", "mine").json
    assert shown.items() < answer.json.items()
    listed = call(bundle, "GET /configs").json["configs"]
    assert [config["name"] for config in listed] == [CONFIG, "mine"]


def test_without_a_tool_list_all_tools_are_exposed(bundle: Bundle) -> None:
    connections = put(bundle, connections=[{"connection": CALENDAR}]).json["connections"]
    tools = list(load_connector("googlecalendar").tools)
    assert connections[0]["all_tools"] is True
    assert connections[0]["tools"] == tools
    assert connections[0]["tool_count"] == len(tools)


def test_putting_the_same_again_makes_no_new_revision(bundle: Bundle) -> None:
    body: dict[str, Any] = {"connections": [{"connection": GMAIL}]}
    assert put(bundle, **body).json["revision"] == 1
    assert put(bundle, **body).json["revision"] == 1
    assert put(bundle, **body, description="new").json["revision"] == 2


def test_a_deleted_config_is_gone_and_a_second_delete_says_so(bundle: Bundle) -> None:
    deleted = call(bundle, "DELETE /configs/{name}", CONFIG)
    assert deleted.status == 200
    again = call(bundle, "DELETE /configs/{name}", CONFIG)
    assert (again.status, again.code) == (404, "not_found")
    assert call(bundle, "GET /configs/{name}", CONFIG).status == 404


def test_a_wrong_tool_is_answered_with_the_nearest(bundle: Bundle) -> None:
    answer = put(bundle, connections=[{"connection": GMAIL, "tools": ["gmail_fetch_mail"]}])
    assert (answer.status, answer.code) == (400, "unknown_tool")
    assert answer.json["detail"] == (
        "unknown tool 'gmail_fetch_mail': did you mean 'gmail_fetch_mails'?"
    )


def test_a_wrong_connection_is_answered_with_the_nearest(bundle: Bundle) -> None:
    answer = put(bundle, connections=[{"connection": "MY_GMIAL"}])
    assert answer.json["detail"] == "unknown connection 'MY_GMIAL': did you mean 'MY_GMAIL'?"


def test_a_config_whose_connection_was_removed_is_still_shown_and_says_so(bundle: Bundle) -> None:
    before = call(bundle, "GET /configs/{name}", CONFIG).json
    bundle.world.configs.delete_connection(GMAIL, owner="")
    shown = call(bundle, "GET /configs/{name}", CONFIG).json
    assert [each["removed"] for each in shown["connections"]] == [True, False]
    shown["connections"][0]["removed"] = False
    assert shown == before


def test_answers_are_not_stored_or_sniffed(bundle: Bundle) -> None:
    headers = call(bundle, "GET /configs").headers
    assert headers == {
        "cache-control": "no-store",
        "content-type": "application/json",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
