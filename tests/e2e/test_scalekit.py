"""The whole way with Scalekit behind the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.deployment import SCALEKIT
from tests.e2e.api import problem
from tests.e2e.consent import CALENDAR, GMAIL, connect, start
from tests.e2e.scalekit import log, state
from tests.e2e.wire import call, list_tools

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.deployed import Deployment
    from tests.e2e.people import User

pytestmark = pytest.mark.scalekit_only

TOOLS = {"gmail_fetch_mails", "googlecalendar_create_event"}


def test_the_deploy_made_the_config_at_scalekit(deployment: Deployment) -> None:
    assert "McpServerFunction" not in deployment.resources
    found = {config["name"]: config["mappings"] for config in state()["configs"].values()}
    lines = found["email-calendar-assistant"]
    assert {line["connection"]: line["tools"] for line in lines} == {
        GMAIL: ["gmail_fetch_mails"],
        CALENDAR: ["googlecalendar_create_event"],
    }


def test_a_user_connects_and_calls_a_tool_with_nothing_but_the_url(user: User) -> None:
    url = user.ensure()["url"]
    assert url.startswith(SCALEKIT)
    assert set(list_tools(url)) == TOOLS
    assert call(url, "gmail_fetch_mails", {"max_results": 3}).is_error
    assert connect(user)["status"] == "ACTIVE"
    assert not call(url, "gmail_fetch_mails", {"max_results": 3}).is_error
    assert user.call("DELETE", f"/connections/{GMAIL}").status_code == 200
    assert call(url, "gmail_fetch_mails", {"max_results": 3}).is_error


def test_a_forwarded_link_connects_nobody_and_scalekit_is_not_asked(
    api: Api, user: User, other: User
) -> None:
    """It has the tokens by then, and waits for the word that does not come."""
    authorization = start(api, user.ensure()["connect_url"]).allow().authorization()
    before = len(_verifications())
    assert problem(other.verify(authorization)) == (403, "wrong_user")
    assert problem(user.verify(authorization)) == (409, "authorization_used")
    assert len(_verifications()) == before
    assert other.connections()[GMAIL]["status"] == "PENDING_AUTH"
    assert user.connections()[GMAIL]["status"] == "PENDING_VERIFICATION"
    assert call(user.ensure()["url"], "gmail_fetch_mails", {"max_results": 3}).is_error


def _verifications() -> list[str]:
    return [row["path"] for row in log() if row["path"].endswith("/user/verify")]
