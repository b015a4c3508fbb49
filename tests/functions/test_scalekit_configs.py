"""Declaring with Scalekit behind: its config follows what is declared, however often that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import events
from tests.functions.hosted import CALENDAR_TOOL, MAIL_TOOL, Hosted
from tests.world import CALENDAR, CONFIG, GMAIL
from valet.errors import Conflict, UnknownName, ValetError
from valet.models import ConnectionTools

if TYPE_CHECKING:
    from tests.infra.scalekit_support import Scalekit

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit) -> Hosted:
    return Hosted(monkeypatch, scalekit).deployed()


def fails_once(hosted: Hosted, method: str, path: str, *, after: bool, status: int = 503) -> None:
    fault = {"method": method, "path": path, "status": status, "times": 1, "after": after}
    hosted.scalekit.control("config", fail=[fault])


def test_a_config_is_made_at_scalekit_with_its_tools(hosted: Hosted) -> None:
    assert hosted.remote_tools() == {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]}


def test_the_same_again_changes_nothing_and_a_change_follows(hosted: Hosted) -> None:
    before = hosted.remote_config()
    same = hosted.put(CONFIG, {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]})
    assert (same.status, same.json["revision"]) == (200, 1)
    assert hosted.remote_config() == before
    changed = hosted.put(CONFIG, {GMAIL: [MAIL_TOOL, "gmail_send_message"]}, description="Mail")
    assert changed.json["revision"] == 2
    assert changed.json["removed_tools"] == [CALENDAR_TOOL]
    after = hosted.remote_config()
    assert (after["id"], after["description"]) == (before["id"], "Mail")
    assert hosted.remote_tools() == {GMAIL: [MAIL_TOOL, "gmail_send_message"]}


def test_what_somebody_changed_in_the_dashboard_is_put_right(hosted: Hosted) -> None:
    remote = hosted.api.config(CONFIG)
    assert remote
    hosted.api.update_config(remote.id, "", [ConnectionTools(GMAIL, ("gmail_send_message",))])
    hosted.put(CONFIG, {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]})
    assert hosted.remote_tools() == {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]}


def test_an_older_revision_goes_back_to_scalekit_as_well(hosted: Hosted) -> None:
    hosted.put(CONFIG, {GMAIL: [MAIL_TOOL]})
    answer = hosted.call(
        "create_config",
        "POST /configs/{name}/revisions/{revision}/restore",
        path={"name": CONFIG, "revision": "1"},
        caller=events.iam(),
    )
    assert answer.status == 200, answer.body
    assert hosted.remote_tools() == {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]}


def test_no_list_of_tools_is_written_out_and_never_sent_empty(hosted: Hosted) -> None:
    answer = hosted.put("everything", {GMAIL: None})
    (line,) = answer.json["connections"]
    assert hosted.remote_tools("everything") == {GMAIL: line["tools"]}
    assert len(line["tools"]) > 20
    refused = hosted.put("nothing", {GMAIL: []})
    assert refused.code == "empty_tools"
    assert hosted.remote_config("nothing") is None


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ({GMAIL: ["gmail_fetch_mail"]}, "unknown tool 'gmail_fetch_mail': did you mean"),
        ({GMAIL: [CALENDAR_TOOL]}, f"unknown tool '{CALENDAR_TOOL}'"),
        ({"MY_GMAILS": [MAIL_TOOL]}, "unknown connection 'MY_GMAILS': did you mean 'MY_GMAIL'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_and_nothing_is_declared(
    hosted: Hosted, lines: dict[str, list[str] | None], hint: str
) -> None:
    answer = hosted.put("wrong", lines)
    assert answer.status == 400
    assert hint in answer.json["detail"]
    assert hosted.parts.configs().current("wrong") is None
    assert hosted.remote_config("wrong") is None


def test_a_connection_must_be_one_of_scalekits(hosted: Hosted) -> None:
    configs = hosted.parts.configs()
    with pytest.raises(UnknownName, match="did you mean 'MY_GMAIL'"):
        configs.put_connection("MY_GMIAL", "gmail", None, owner="o", replaces=False)
    with pytest.raises(Conflict, match="one of 'gmail' at Scalekit"):
        configs.put_connection(GMAIL, "slack", None, owner="s/MY_GMAIL", replaces=False)
    hosted.scalekit.control("connection", name="MY_OTHER", provider="GMAIL", enabled=False)
    with pytest.raises(Conflict, match="not enabled at Scalekit"):
        configs.put_connection("MY_OTHER", "gmail", None, owner="o", replaces=False)
    with pytest.raises(ValetError, match="Scalekit has in its own") as refused:
        configs.put_connection(GMAIL, "gmail", "google", owner="s/MY_GMAIL", replaces=False)
    assert refused.value.code == "unsupported_by_backend"


@pytest.mark.parametrize("after", [True, False], ids=["answer lost", "not carried out"])
def test_a_creation_without_an_answer_ends_with_one_config_or_none(
    hosted: Hosted, after: bool
) -> None:
    fails_once(hosted, "POST", "/mcp/configs", after=after)
    answer = hosted.put("second", {GMAIL: [MAIL_TOOL]})
    assert answer.status == (200 if after else 502), answer.body
    declared = hosted.parts.configs().current("second")
    assert bool(declared) == after
    assert bool(hosted.remote_config("second")) == after
    assert hosted.put("second", {GMAIL: [MAIL_TOOL]}).status == 200
    found = hosted.state()["configs"].values()
    assert [config["name"] for config in found].count("second") == 1


def test_two_deploys_at_once_end_with_what_was_declared_last(hosted: Hosted) -> None:
    """The other one comes between our declaration and our call, in the order that would lose it."""

    def other() -> None:
        hosted.put("shared", {GMAIL: ["gmail_send_message"]})

    hosted.table.before_next_write(other)
    answer = hosted.put("shared", {GMAIL: [MAIL_TOOL]})
    assert answer.status == 200, answer.body
    declared = hosted.parts.configs().get("shared")
    assert {m.connection: list(m.tools or ()) for m in declared.mappings} == hosted.remote_tools(
        "shared"
    )


def test_a_config_of_the_name_that_is_there_already_is_taken_over(hosted: Hosted) -> None:
    hosted.api.create_config("by-hand", "", [ConnectionTools(GMAIL, ("gmail_send_message",))])
    assert hosted.put("by-hand", {GMAIL: [MAIL_TOOL]}).status == 200
    assert hosted.remote_tools("by-hand") == {GMAIL: [MAIL_TOOL]}


def test_deleting_takes_it_from_scalekit_and_twice_is_as_once(hosted: Hosted) -> None:
    configs = hosted.parts.configs()
    configs.delete(CONFIG, owner="somebody else")
    assert hosted.remote_config()
    configs.delete(CONFIG, owner="")
    assert hosted.remote_config() is None
    configs.delete(CONFIG, owner="")


def test_what_was_never_declared_here_is_not_deleted_there(hosted: Hosted) -> None:
    hosted.api.create_config("by-hand", "", [ConnectionTools(GMAIL, (MAIL_TOOL,))])
    hosted.parts.configs().delete("by-hand", owner="")
    assert hosted.remote_config("by-hand")


def test_the_catalogue_is_scalekits(hosted: Hosted) -> None:
    answer = hosted.call(
        "create_config",
        "GET /tools",
        query=f"connector=gmail&name={MAIL_TOOL}",
        caller=events.iam(),
    )
    (tool,) = answer.json["tools"]
    assert (tool["name"], tool["connector"], tool["read_only"]) == (MAIL_TOOL, "gmail", True)
    assert tool["input_schema"]["type"] == "object"
    assert (tool["scopes"], tool["aliases"]) == ([], [])
    unknown = hosted.call(
        "create_config", "GET /tools", query="connector=gmial", caller=events.iam()
    )
    assert "did you mean 'gmail'" in unknown.json["detail"]
