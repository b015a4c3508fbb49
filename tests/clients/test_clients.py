"""Clients that people use, as the README says to use them, against the deployed stack."""

from __future__ import annotations

import json
import shlex
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

from infra.local.stack import ROOT
from tests.clients import readme
from tests.clients.conftest import OAUTH, READ, WRITE, pointed_at
from tests.clients.programs import run
from tests.clients.readme import Program
from tests.clients.wiretap import tapping
from tests.e2e.consent import start
from tests.e2e.google import ALICE
from tests.e2e.issuer import RESOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Walk
    from tests.e2e.api import Api
    from tests.e2e.google import Google
    from tests.e2e.issuer import Issuer
    from tests.e2e.people import User

BY_ELICITATION: Final = "by elicitation"


def test_every_program_of_the_page_is_run_and_in_its_table() -> None:
    assert readme.unrun() == 0
    assert sorted(readme.programs()) == sorted(readme.table())


@pytest.mark.parametrize("text", readme.json_blocks())
def test_what_is_only_documented_is_json_at_least(text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize("client", readme.table())
def test_the_table_names_the_version_that_is_run(client: str) -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    npm = json.loads((ROOT / "tests/clients/package.json").read_text())["dependencies"]
    pins = [pin for group in groups.values() for pin in group]
    pins += [f"{name}=={version}" for name, version in npm.items()]
    assert f"{client.partition(' ')[0]}=={readme.table()[client].version}" in pins


def test_a_client_lists_the_tools(walk: Walk) -> None:
    for outcome in (walk.refused, walk.read, walk.written):
        assert outcome.tools == [READ, WRITE]


def test_a_client_without_an_account_is_told_where_to_connect(walk: Walk, api: Api) -> None:
    assert walk.refused.failed
    words = walk.refused.text.split()
    link = next(word for word in words if word.startswith(f"{api.url}/connect/"))
    assert api.send("GET", link.removeprefix(api.url)).status_code == 200


def test_a_client_reads_structured_content(walk: Walk) -> None:
    assert not walk.read.failed
    assert len(walk.read.structured["messages"]) == 2


def test_a_client_writes_once(walk: Walk, google: Google) -> None:
    assert not walk.written.failed
    assert walk.written.structured["event"]["summary"] == walk.summary
    calendars = google.state()["people"][ALICE]["events"].values()
    summaries = [event["summary"] for events in calendars for event in events]
    assert summaries.count(walk.summary) == 1


def test_a_client_speaks_the_revision_that_the_table_names(walk: Walk) -> None:
    calls = [sent for sent in walk.sent if sent.body.get("method") == "tools/call"]
    revisions = {sent.headers["mcp-protocol-version"] for sent in calls}
    assert revisions == {readme.table()[walk.client].revision}


def test_a_client_asks_for_nothing_but_its_url(walk: Walk) -> None:
    by_key = walk.credential == "URL key"
    assert {sent.path.partition("/mvk_")[0] for sent in walk.sent} == {"/mcp"}
    assert {"/mvk_" in sent.path for sent in walk.sent} == {by_key}
    assert {"authorization" in sent.headers for sent in walk.sent} == {not by_key}
    posts = {sent.status for sent in walk.sent if sent.verb == "POST"}
    others = {sent.status for sent in walk.sent if sent.verb != "POST"}
    assert posts <= {200, 202}
    assert others <= {405}


def test_a_client_declares_what_the_table_says_of_the_link(walk: Walk) -> None:
    opens_urls = any("url" in sent.elicitation for sent in walk.sent)
    form = BY_ELICITATION if opens_urls else "in the answer"
    assert readme.table()[walk.client].link == form


@pytest.mark.parametrize(
    "client", [name for name, row in readme.table().items() if row.link == BY_ELICITATION]
)
def test_a_client_that_shows_links_goes_on_once_its_user_has_connected(
    client: str, user: User, api: Api, tmp_path: Path
) -> None:
    def connects(link: str) -> None:
        assert user.verify(start(api, link).allow().authorization()).status_code == 200

    program, call = readme.programs()[client], (READ, '{"max_results": 1}')
    with tapping(api.url) as tap:
        env = pointed_at(user, tap)
        outcome = run(client, program, tmp_path, env, *call, meanwhile=connects)
    assert not outcome.failed
    assert len(outcome.structured["messages"]) == 1


@pytest.mark.parametrize(
    "client", [name for name, row in readme.table().items() if OAUTH in row.credentials]
)
def test_a_client_that_signs_in_needs_the_bare_url_alone(
    client: str, connected: User, issuer: Issuer, tmp_path: Path
) -> None:
    assert issuer
    browser = [str(ROOT / ".venv/bin/python"), str(ROOT / "tests/clients/browser.py")]
    env = {
        "MCP_URL": RESOURCE,
        "MCP_TOKEN": "oauth",
        "BROWSER": f"{shlex.join([*browser, connected.id])} %s &",
    }
    call = (READ, '{"max_results": 2}')
    outcome = run(client, readme.programs()[client], tmp_path, env, *call)
    assert outcome.tools == [READ, WRITE]
    assert len(outcome.structured["messages"]) == 2


def test_the_typescript_client_has_to_be_told_to_speak_the_newest_revision(
    connected: User, api: Api, tmp_path: Path
) -> None:
    client = "@modelcontextprotocol/client"
    program = readme.programs()[client]
    told = [line for line in program.text.splitlines() if "versionNegotiation" not in line]
    untold = Program(program.language, "\n".join(told))
    assert untold.text != program.text
    with tapping(api.url) as tap:
        assert not run(client, untold, tmp_path, pointed_at(connected, tap), READ, "{}").failed
    assert {sent.headers.get("mcp-protocol-version") for sent in tap.seen} == {None, "2025-11-25"}
