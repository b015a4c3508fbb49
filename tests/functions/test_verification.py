"""/authorizations and /connections: the app finishes what the browser began, or ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.world import BOB, CALENDAR, GMAIL
from valet.native import keys
from valet.native.provider import InvalidGrant, ProviderUnavailable

if TYPE_CHECKING:
    from tests.functions.support import Bundle


def test_the_app_finishes_for_the_user_who_consented(bundle: Bundle) -> None:
    answer = bundle.verify(bundle.consent().authorization())
    assert answer.status == 200
    assert answer.json["connection"] == GMAIL
    assert answer.json["connector"] == "gmail"
    assert answer.json["status"] == "ACTIVE"
    assert [call["grant"] for call in bundle.world.provider.calls] == ["code"]
    for secret in ("at-1", "rt-1", "google-alice", "alice@example.com"):
        assert secret not in answer.body


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "{}"}, {"raw": b"{}"}, {}])
def test_verifying_needs_no_body(bundle: Bundle, body: dict[str, Any]) -> None:
    assert bundle.verify(bundle.consent().authorization(), **body).status == 200


def test_the_wrong_user_ends_the_authorization_for_everyone(bundle: Bundle) -> None:
    """A forwarded link: Alice's link, Bob's consent, Bob's sign-in at the app."""
    authorization_id = bundle.consent("alice").authorization()
    refused = bundle.verify(authorization_id, "bob")
    assert (refused.status, refused.code) == (403, "wrong_user")
    assert "alice" not in refused.body
    again = bundle.verify(authorization_id, "alice")
    assert (again.status, again.code) == (409, "authorization_used")
    assert not bundle.world.provider.calls
    assert not bundle.world.table.query(keys.grants_partition(BOB))


def test_an_authorization_is_verified_once(bundle: Bundle) -> None:
    authorization_id = bundle.consent().authorization()
    assert bundle.verify(authorization_id).status == 200
    again = bundle.verify(authorization_id)
    assert (again.status, again.code) == (409, "authorization_used")
    assert len(bundle.world.provider.calls) == 1


def test_an_authorization_waits_five_minutes(bundle: Bundle) -> None:
    authorization_id = bundle.consent().authorization()
    bundle.world.now.advance(minutes=5)
    late = bundle.verify(authorization_id)
    assert (late.status, late.code) == (410, "authorization_expired")
    assert not bundle.world.provider.calls


def test_a_made_up_authorization_is_not_found(bundle: Bundle) -> None:
    answer = bundle.verify("A" * 43)
    assert (answer.status, answer.code) == (404, "authorization_unknown")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (InvalidGrant("provider prose"), 502, "code_refused"),
        (ProviderUnavailable("later"), 502, "provider_unavailable"),
    ],
)
def test_a_provider_that_refuses_leaves_nothing_connected(
    bundle: Bundle, failure: Exception, status: int, code: str
) -> None:
    authorization_id = bundle.consent().authorization()
    bundle.world.provider.answers.append(failure)
    answer = bundle.verify(authorization_id)
    assert (answer.status, answer.code) == (status, code)
    assert "provider prose" not in answer.body
    listed = bundle.call("oauth_callback", "GET /connections", caller=events.jwt())
    assert {c["status"] for c in listed.json["connections"]} == {"PENDING_AUTH"}


def test_connections_are_listed_and_taken_back(bundle: Bundle) -> None:
    bundle.connected()
    listed = bundle.call("oauth_callback", "GET /connections", caller=events.jwt()).json
    assert [(c["connection"], c["status"]) for c in listed["connections"]] == [
        (CALENDAR, "PENDING_AUTH"),
        (GMAIL, "ACTIVE"),
    ]
    assert listed["connections"][1]["account"] == "alice@example.com"
    gone = bundle.call(
        "oauth_callback", "DELETE /connections/{name}", path={"name": GMAIL}, caller=events.jwt()
    )
    assert gone.json == {"connection": GMAIL, "status": "DISCONNECTED", "revoked": True}
    assert bundle.world.provider.calls[-1]["grant"] == "revoke"
    again = bundle.call(
        "oauth_callback", "DELETE /connections/{name}", path={"name": GMAIL}, caller=events.jwt()
    )
    assert (again.status, again.code) == (404, "not_found")


def test_a_service_is_not_told_which_account_of_the_provider_a_user_has(bundle: Bundle) -> None:
    bundle.connected()
    route = "GET /users/{user}/connections"
    listed = bundle.call("oauth_callback", route, path={"user": "alice"}, caller=events.iam())
    assert "alice@example.com" not in listed.body


def test_a_service_verifies_for_the_user_it_names(bundle: Bundle) -> None:
    authorization_id = bundle.consent("alice").authorization()
    route = "POST /users/{user}/authorizations/{id}/verify"
    path = {"user": "alice", "id": authorization_id}
    answer = bundle.call("oauth_callback", route, path=path, caller=events.iam())
    assert (answer.status, answer.json["status"]) == (200, "ACTIVE")
