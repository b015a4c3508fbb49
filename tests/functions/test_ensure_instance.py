"""/instances: the same URL every time, and what is still missing to use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.world import ALICE, CALENDAR, CONFIG, GMAIL, URL
from valet.native import keys

if TYPE_CHECKING:
    from tests.functions.support import Bundle


def of_alice(bundle: Bundle, route: str, instance: str = "", **event: Any) -> Any:
    path = {"id": instance} if instance else None
    return bundle.call("ensure_instance", route, path=path, caller=events.jwt(), **event)


def test_a_first_call_answers_with_everything_a_frontend_needs(bundle: Bundle) -> None:
    answer = bundle.ensure()
    assert answer == {
        "id": answer["id"],
        "config": CONFIG,
        "url": answer["url"],
        "created_at": "2026-11-23T09:00:00Z",
        "connect_url": answer["connect_url"],
        "connect_url_expires_at": "2026-11-23T09:10:00Z",
        "connections": [
            {"connection": GMAIL, "connector": "gmail", "status": "PENDING_AUTH"},
            {"connection": CALENDAR, "connector": "googlecalendar", "status": "PENDING_AUTH"},
        ],
        "tools": [
            {
                "name": "gmail_fetch_mails",
                "connection": GMAIL,
                "ready": False,
                "reason": "not_connected",
            },
            {
                "name": "googlecalendar_create_event",
                "connection": CALENDAR,
                "ready": False,
                "reason": "not_connected",
            },
        ],
    }
    assert answer["id"].startswith("ins_")
    assert answer["url"].startswith(f"{URL}/mcp/mvk_")
    assert answer["connect_url"].startswith(f"{URL}/connect/")


def test_asking_again_gives_the_same_url_and_a_fresh_link(bundle: Bundle) -> None:
    first, second = bundle.ensure(), bundle.ensure()
    assert (first["id"], first["url"]) == (second["id"], second["url"])
    assert first["connect_url"] != second["connect_url"]


def test_a_direct_call_answers_as_the_route_does(bundle: Bundle) -> None:
    own = bundle.ensure("alice")
    told = bundle.invoke("ensure_instance", {"config": CONFIG, "user": "alice"})
    changing = {"connect_url", "connect_url_expires_at"}
    assert {k: v for k, v in told.items() if k not in changing} == {
        k: v for k, v in own.items() if k not in changing
    }
    assert set(told) == set(own)


def test_a_config_that_does_not_exist_is_answered_with_the_nearest(bundle: Bundle) -> None:
    answer = of_alice(bundle, "POST /instances", body={"config": "email-calender-assistant"})
    assert (answer.status, answer.code) == (400, "unknown_config")
    assert answer.json["detail"] == (
        f"unknown config 'email-calender-assistant': did you mean '{CONFIG}'?"
    )


def test_a_connected_account_makes_its_tools_ready(bundle: Bundle) -> None:
    bundle.connected()
    answer = bundle.ensure()
    assert [c["status"] for c in answer["connections"]] == ["ACTIVE", "PENDING_AUTH"]
    assert answer["tools"][0] == {
        "name": "gmail_fetch_mails",
        "connection": GMAIL,
        "ready": True,
    }


def test_a_consent_that_waits_for_the_app_is_shown_as_such(bundle: Bundle) -> None:
    bundle.consent().authorization()
    answer = bundle.ensure()
    assert answer["connections"][0]["status"] == "PENDING_VERIFICATION"
    assert answer["tools"][0]["reason"] == "not_verified"


def test_an_instance_is_listed_shown_and_deleted(bundle: Bundle) -> None:
    made = bundle.ensure()
    listed = of_alice(bundle, "GET /instances").json
    assert listed == {
        "instances": [{k: made[k] for k in ("id", "config", "url", "created_at")}],
    }
    shown = of_alice(bundle, "GET /instances/{id}", made["id"]).json
    assert shown["connections"] == made["connections"]
    assert "connect_url" not in shown, "looking makes no link"
    deleted = of_alice(bundle, "DELETE /instances/{id}", made["id"])
    assert (deleted.status, deleted.body) == (204, "")
    assert of_alice(bundle, "DELETE /instances/{id}", made["id"]).status == 404
    assert of_alice(bundle, "GET /instances").json == {"instances": []}
    assert bundle.ensure()["url"] != made["url"], "a deleted URL never comes back"


def test_looking_writes_nothing(bundle: Bundle) -> None:
    made = bundle.ensure()
    before = {key: dict(item) for key, item in bundle.world.table.items.items()}
    of_alice(bundle, "GET /instances")
    of_alice(bundle, "GET /instances/{id}", made["id"])
    assert bundle.world.table.items == before


@pytest.mark.parametrize("grace", [None, {}, {"grace_seconds": 0}, {"grace_seconds": 86_400}])
def test_rotating_gives_another_url(bundle: Bundle, grace: Any) -> None:
    made = bundle.ensure()
    rotated = of_alice(bundle, "POST /instances/{id}/rotate", made["id"], body=grace)
    assert rotated.status == 200
    assert rotated.json["id"] == made["id"]
    assert rotated.json["url"] != made["url"]
    assert bundle.ensure()["url"] == rotated.json["url"]


def test_no_answer_holds_what_is_stored_of_a_grant(bundle: Bundle) -> None:
    bundle.connected()
    account = bundle.world.table.items[keys.account(ALICE, GMAIL)]
    text = json.dumps(bundle.ensure()) + of_alice(bundle, "GET /instances").body
    for hidden in ("at-1", "rt-1", "google-alice", "alice@example.com", ALICE, "sealed"):
        assert hidden not in text
    assert account["sealed"].hex()[:40] not in text


def test_the_public_url_is_never_taken_from_the_request(bundle: Bundle) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "x"}
    answer = of_alice(bundle, "POST /instances", body={"config": CONFIG}, headers=headers)
    assert "evil" not in answer.body


def test_a_deployment_without_a_public_url_says_so_to_its_operator(bundle: Bundle) -> None:
    del bundle.world.table.items[keys.endpoint()]
    bundle.world.endpoint._url = None
    answer = of_alice(bundle, "POST /instances", body={"config": CONFIG})
    assert (answer.status, answer.code) == (503, "misconfigured")
