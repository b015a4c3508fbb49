"""What an app that listens on EventBridge hears."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.consent import GMAIL, connect
from tests.e2e.listener import listening

if TYPE_CHECKING:
    from tests.e2e.people import User


@pytest.mark.native_only("a grant's end by itself is told by Scalekit's own webhooks")
def test_a_grants_life_and_a_urls_changes_are_told(user: User) -> None:
    with listening() as listener:
        instance = user.ensure()
        connect(user)
        assert user.call("DELETE", f"/connections/{GMAIL}").status_code == 200
        assert user.call("POST", f"/instances/{instance['id']}/rotate").status_code == 200
        assert user.call("DELETE", f"/instances/{instance['id']}").status_code == 204
        heard = listener.until(lambda event: "UrlRevoked" in event and user.key in event)
    told: list[dict[str, Any]] = [json.loads(event) for event in heard if user.key in event]
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
