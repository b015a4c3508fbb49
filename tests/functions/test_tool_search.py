"""GET /tools: the catalogue, searched by what a developer knows of a tool, with its schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from valet.connectors.catalog import connector_names, load_connector

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle

EVERYTHING = [name for each in connector_names() for name in load_connector(each).tools]


def ask(bundle: Bundle, query: str = "") -> Answer:
    return bundle.call("create_config", "GET /tools", query=query, caller=events.iam())


def tools(bundle: Bundle, query: str = "") -> list[dict[str, Any]]:
    answer = ask(bundle, query)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["tools"]
    return found


def names(bundle: Bundle, query: str) -> list[str]:
    return [tool["name"] for tool in tools(bundle, query)]


def test_without_a_question_the_whole_catalogue_comes_in_a_fixed_order(bundle: Bundle) -> None:
    assert names(bundle, "") == EVERYTHING
    assert names(bundle, "q=") == EVERYTHING
    assert names(bundle, "q=+") == EVERYTHING
    assert ask(bundle).body == ask(bundle).body


def test_a_tool_comes_with_all_that_a_developer_needs_to_expose_and_call_it(
    bundle: Bundle,
) -> None:
    (found,) = tools(bundle, "name=gmail_send_message")
    tool = load_connector("gmail").tool("gmail_send_message")
    assert found == {
        "name": "gmail_send_message",
        "connector": "gmail",
        "title": tool.title,
        "description": tool.description,
        "read_only": False,
        "destructive": tool.destructive,
        "aliases": list(tool.aliases),
        "scopes": list(tool.scopes),
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": tool.destructive,
            "idempotentHint": tool.idempotent,
            "openWorldHint": True,
        },
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
    }


def test_the_schemas_can_be_left_out(bundle: Bundle) -> None:
    short, long = tools(bundle, "schemas=false"), tools(bundle, "schemas=true")
    assert [tool["name"] for tool in short] == [tool["name"] for tool in long]
    assert set(long[0]) - set(short[0]) == {"input_schema", "output_schema"}


@pytest.mark.parametrize("connector", connector_names())
def test_one_connectors_tools(bundle: Bundle, connector: str) -> None:
    assert names(bundle, f"connector={connector}") == list(load_connector(connector).tools)


@pytest.mark.parametrize("query", ["q=DRAFT+create", "q=create+draft", "q=%20Draft%09CREATE%20"])
def test_all_words_must_match_in_any_order_and_case(bundle: Bundle, query: str) -> None:
    found = tools(bundle, query)
    assert "gmail_create_draft" in [tool["name"] for tool in found]
    assert len(found) < 10
    for tool in found:
        text = f"{tool['name']} {tool['title']} {tool['description']}".lower()
        assert all(word in text for word in ("create", "draft"))


@pytest.mark.parametrize(
    "query",
    [
        "q=no+such+words+anywhere",
        "q=create_draft&connector=googlecalendar",
        "q=create_draft&read_only=true",
    ],
)
def test_what_fits_only_a_part_of_the_question_is_not_found(bundle: Bundle, query: str) -> None:
    assert names(bundle, query) == []
    assert "gmail_create_draft" in names(bundle, "q=create_draft&read_only=false")


@pytest.mark.parametrize("read_only", [True, False])
def test_reading_tools_are_told_from_those_that_change_something(
    bundle: Bundle, read_only: bool
) -> None:
    found = tools(bundle, f"read_only={str(read_only).lower()}")
    assert {tool["read_only"] for tool in found} == {read_only}
    assert len(found) > 10


def test_an_alias_finds_its_tool(bundle: Bundle) -> None:
    assert names(bundle, "name=gmail_send_mail") == ["gmail_send_message"]


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("conector=gmail", "unknown_parameter", "did you mean 'connector'?"),
        ("readonly=true", "unknown_parameter", "did you mean 'read_only'?"),
        ("limit=10", "unknown_parameter", "known are"),
        ("=x", "unknown_parameter", "known are"),
        ("connector=gmial", "unknown_connector", "did you mean 'gmail'?"),
        ("connector=", "unknown_connector", "known are"),
        ("connector=../gmail", "unknown_connector", "gmail"),
        ("name=gmail_send_messages", "unknown_tool", "did you mean 'gmail_send_message'?"),
        ("name=gmail_send_message&connector=googlecalendar", "unknown_tool", "googlecalendar_"),
        ("connector=gmail&connector=googlecalendar", "bad_query", "connector comes twice"),
        ("q=a&q=b", "bad_query", "q comes twice"),
        ("read_only=yes", "bad_query", "read_only is true or false"),
        ("read_only=True", "bad_query", "read_only is true or false"),
        ("read_only=", "bad_query", "read_only is true or false"),
        ("schemas=0", "bad_query", "schemas is true or false"),
        ("q=%ff", "bad_query", "malformed"),
    ],
)
def test_what_is_not_understood_is_refused_and_never_guessed(
    bundle: Bundle, query: str, code: str, says: str
) -> None:
    answer = ask(bundle, query)
    assert (answer.status, answer.code) == (400, code)
    assert says in answer.json["detail"]
