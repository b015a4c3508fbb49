"""One tool for a user, run by a service: over HTTP, and as the README says to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from infra.local.deployment import REGION
from tests.e2e import wire
from tests.e2e.api import problem
from tests.e2e.consent import CALENDAR, connect, start
from tests.e2e.deployed import ROOT, ROOT_USER
from tests.e2e.people import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api import Api
    from tests.e2e.people import User

FETCH, CREATE = "gmail_fetch_mails", "googlecalendar_create_event"


def test_a_service_runs_what_the_config_exposes_and_nothing_else(user: User, api: Api) -> None:
    run = f"/users/{user.id}/tools"
    assert problem(api.as_service("POST", f"{run}/{FETCH}", {})) == (404, "no_instance")
    connect(user)
    for tool in ("gmail_send_message", "gmail_fetch_mail", "nope"):
        assert problem(api.as_service("POST", f"{run}/{tool}", {})) == (400, "unknown_tool")
    wrong = api.as_service("POST", f"{run}/{FETCH}", {"arguments": {"max_results": "all"}}).json()
    assert (wrong["is_error"], wrong["code"]) == (True, "invalid_arguments")


def test_a_service_gets_the_link_for_an_account_that_is_not_connected(user: User, api: Api) -> None:
    user.ensure()
    run = f"/users/{user.id}/tools/{FETCH}"
    refused = api.as_service("POST", run, {"config": CONFIG}).json()
    assert refused["code"] == "not_connected"
    authorization = start(api, refused["connect_url"]).allow().authorization()
    assert user.verify(authorization).status_code == 200
    assert api.as_service("POST", run, {"config": CONFIG}).json()["code"] == "ok"


@pytest.mark.native_only("Scalekit does a call as often as it comes")
def test_a_write_is_done_once_whichever_way_it_comes(user: User, api: Api) -> None:
    connect(user, CALENDAR)
    lunch = {"summary": "Lunch", "start_datetime": "2026-12-01T12:00:00+01:00"}
    run = f"/users/{user.id}/tools/{CREATE}"
    made = api.as_service("POST", run, {"arguments": lunch}).json()
    assert made["result"]["event"]["summary"] == "Lunch"
    assert api.as_service("POST", run, {"arguments": lunch}).json()["code"] == "already_done"
    again = wire.post_call(api, user.ensure()["url"], CREATE, lunch)
    assert again["isError"] is True
    assert "not repeated" in again["content"][0]["text"]


def test_a_config_that_exposes_the_tool_is_found_or_has_to_be_named(
    user: User, api: Api, new_config: Callable[..., str]
) -> None:
    labels, fetch = new_config(gmail=["gmail_list_labels"]), new_config(gmail=[FETCH])
    connect(user)
    for config in (labels, fetch):
        user.ensure(config)
    run = f"/users/{user.id}/tools"
    assert problem(api.as_service("POST", f"{run}/{FETCH}", {})) == (400, "ambiguous_config")
    assert api.as_service("POST", f"{run}/{FETCH}", {"config": fetch}).json()["config"] == fetch
    assert api.as_service("POST", f"{run}/gmail_list_labels").json()["config"] == labels


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's example is one of curl")
def test_the_readmes_example_runs_a_tool(user: User, api: Api) -> None:
    connect(user)
    section = (ROOT / "README.md").read_text().partition("\n## Run a tool without MCP\n")[2]
    (example, *_) = re.findall(r"```sh\n(.+?)```", section, re.DOTALL)
    done = subprocess.run(  # noqa: S603  # the README's own words
        ["/bin/sh", "-euc", example],
        env={
            "PATH": "/usr/bin:/bin",
            "API": api.url,
            "USER_ID": user.id,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ROOT_USER.key,
            "AWS_SECRET_ACCESS_KEY": ROOT_USER.secret,
            "AWS_SESSION_TOKEN": "",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(done.stdout)["result"]["messages"]) == 3
