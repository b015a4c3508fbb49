"""The whole way with Scalekit behind the API, and that nothing of its secrets stays here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.deployment import SCALEKIT, SCALEKIT_CLIENT
from tests.e2e import canaries
from tests.e2e.consent import CALENDAR, GMAIL, connect
from tests.e2e.scalekit import state
from tests.e2e.test_leaks import logged, stored
from tests.e2e.wire import call, list_tools

if TYPE_CHECKING:
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


def test_nothing_of_scalekits_is_in_a_log_or_in_the_table(
    user: User, deployment: Deployment
) -> None:
    connect(user)
    url = user.ensure()["url"]
    known = state()
    secrets = {
        url.rsplit("/", 1)[1]: "URL",
        SCALEKIT_CLIENT["SCALEKIT_CLIENT_SECRET"]: "API client",
        **dict.fromkeys(known["api_tokens"], "access token"),
        **dict.fromkeys(known["links"], "link"),
        **{link["state"]: "state" for link in known["links"].values() if link["state"]},
        **{value: kind for value, kind in canaries.SEEN.items() if kind in ("JWT", "cookie")},
        **{value: kind for value, kind in canaries.SEEN.items() if kind == "authorization_id"},
        **{value: kind for value, kind in canaries.SEEN.items() if kind == "session token"},
    }
    lines, items = list(logged()), list(stored(deployment))
    # The search has seen what it is about, and what it looks for.
    assert {"CreateConfigLogs", "EnsureInstanceLogs", "OAuthCallbackLogs"} <= {
        place.rpartition("/")[2] for place, _ in lines
    }
    kinds = {"URL", "API client", "access token", "link", "state", "cookie", "authorization_id"}
    assert kinds <= set(secrets.values())
    assert any(user.key in text for _, text in items)
    assert canaries.find(lines + items, secrets) == []
