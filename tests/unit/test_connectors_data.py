"""The data files, held against our own rules and against Google's discovery documents."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from tests.unit.tools_support import all_tools, tool
from valet.connectors.catalog import connector_names, load_connector, load_view
from valet.tools.template import _OPERATORS as REQUEST_OPERATORS
from valet.tools.views import tool_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valet.connectors.models import RequestTemplate, Tool

GOLDEN = Path(__file__).with_name("tools_golden.json")
MOST_USED = (
    "gmail_fetch_mails",
    "gmail_get_message_by_id",
    "gmail_send_message",
    "googlecalendar_list_calendars",
    "googlecalendar_list_events",
    "googlecalendar_create_event",
)
SEED = (
    "gmail_fetch_mails",
    "gmail_get_message_by_id",
    "gmail_list_threads",
    "gmail_get_thread_by_id",
    "gmail_list_drafts",
    "gmail_create_draft",
    "gmail_get_attachment_by_id",
    "gmail_send_message",
    "gmail_send_mail",
    "googlecalendar_list_calendars",
    "googlecalendar_list_events",
    "googlecalendar_get_event_by_id",
    "googlecalendar_create_event",
    "googlecalendar_update_event",
    "googlecalendar_delete_event",
)
RESERVED = {"call", "before", "item"}
PLACE = re.compile(r"\{([a-zA-Z_.]+)\}")

each_tool = pytest.mark.parametrize("tested", all_tools(), ids=lambda tested: tested.name)


def requests_of(tested: Tool) -> list[RequestTemplate]:
    return [
        request
        for request in (
            tested.request,
            tested.before,
            tested.fan_out.request if tested.fan_out else None,
            tested.recover.request if tested.recover else None,
        )
        if request
    ]


def walk(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas within."""
    if isinstance(schema, dict):
        yield schema
        for part in schema.get("properties", {}).values():
            yield from walk(part)
        yield from walk(schema.get("items"))
        for part in schema.get("anyOf", ()):
            yield from walk(part)


def places(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from PLACE.findall(template)
    elif isinstance(template, list):
        for item in template:
            yield from places(item)
    elif isinstance(template, dict):
        for key, value in template.items():
            if key in {"$if", "$map", "$moment", "unless"}:
                yield value
            else:
                yield from places(value)


@pytest.mark.parametrize("name", SEED)
def test_every_promised_tool_exists(name: str) -> None:
    assert name in (tool(name).name, *tool(name).aliases)


def test_names_and_aliases_are_unique_and_start_with_their_connector() -> None:
    names = [name for found in all_tools() for name in (found.name, *found.aliases)]
    assert len(set(names)) == len(names)
    for found in all_tools():
        assert found.name.startswith(f"{found.connector}_")


@each_tool
def test_a_tool_is_named_described_and_classified(tested: Tool) -> None:
    for name in (tested.name, *tested.aliases):
        assert re.fullmatch(r"[a-z0-9_]{1,64}", name)
    assert 3 <= len(tested.title) <= 40
    assert 10 <= len(tested.description) <= 140
    annotations = tool_view(tested).annotations
    assert set(annotations) == {
        "readOnlyHint",
        "destructiveHint",
        "idempotentHint",
        "openWorldHint",
    }
    assert not (tested.read_only and tested.destructive)
    assert tested.scopes
    assert all(scope.startswith("https://") for scope in tested.scopes)


@each_tool
def test_only_reads_claim_to_be_read_only(tested: Tool) -> None:
    reading_posts = {"googlecalendar_query_freebusy"}
    assert tested.read_only == (tested.request.method == "GET" or tested.name in reading_posts)


@each_tool
def test_schemas_are_valid_and_bound_every_value(tested: Tool) -> None:
    jsonschema_rs.meta.validate(dict(tested.input_schema))
    jsonschema_rs.meta.validate(dict(tested.output_schema))
    assert tested.input_schema["additionalProperties"] is False
    for schema in walk(tested.input_schema):
        kind = schema.get("type")
        assert kind or "anyOf" in schema, schema
        if kind == "string":
            assert {"maxLength", "enum", "pattern"} & set(schema), schema
            if "pattern" in schema:
                assert schema["pattern"].startswith("^")
                assert schema["pattern"].endswith("$")
        if kind == "array":
            assert "maxItems" in schema
        if kind == "integer":
            assert "maximum" in schema


@each_tool
def test_the_caller_cannot_say_who_they_are(tested: Tool) -> None:
    names = {name.lower().replace("_", "") for name in tested.input_schema["properties"]}
    assert not names & {"userid", "user", "connectionid", "connection", "account", "from", "token"}
    assert not names & RESERVED


@each_tool
def test_defaults_fit_their_schemas(tested: Tool) -> None:
    for schema in tested.input_schema["properties"].values():
        if "default" in schema:
            jsonschema_rs.validate(schema, schema["default"])


@each_tool
def test_output_promises_only_what_is_always_there(tested: Tool) -> None:
    for schema in walk(tested.output_schema):
        for name in schema.get("required", ()):
            field = schema["properties"][name]
            assert "const" in field or field["type"] == "array", name


@each_tool
def test_every_place_in_a_template_is_an_argument_and_every_argument_is_used(tested: Tool) -> None:
    used: set[str] = set(tested.requires)
    for request in requests_of(tested):
        for part in (request.path, request.query, request.body, request.if_match):
            used |= {name.partition(".")[0] for name in places(part)}
    arguments = set(tested.input_schema["properties"])
    echoed = {"file_name"} | ({"format"} if "format" in arguments else set())
    assert used - RESERVED <= arguments
    assert arguments - used <= echoed


@each_tool
def test_every_place_in_a_path_is_a_whole_segment_with_a_pattern(tested: Tool) -> None:
    for request in requests_of(tested):
        assert request.host in load_connector(tested.connector).hosts
        for segment in request.path.split("/")[1:]:
            place = PLACE.fullmatch(segment)
            assert segment
            assert place or not PLACE.search(segment)
            if place:
                pattern = request.patterns[place[1]]
                for bad in ("", ".", "..", "a/b", "a\\b", "a?b", "%2e%2e", "a\nb", "a b", "a;b"):
                    assert not re.fullmatch(pattern, bad), (place[1], bad)


@each_tool
def test_operators_and_views_exist(tested: Tool) -> None:
    def operators(template: Any) -> Iterator[str]:
        if isinstance(template, list):
            for item in template:
                yield from operators(item)
        if isinstance(template, dict):
            yield from (key for key in template if key.startswith("$"))
            for value in template.values():
                yield from operators(value)

    for request in requests_of(tested):
        assert set(operators([request.body, dict(request.query)])) <= set(REQUEST_OPERATORS)
    for view in re.findall(r'"\$view": "(\w+)"', json.dumps(tested.result)):
        assert callable(load_view(tested.connector, view))


@each_tool
def test_what_third_parties_write_is_marked_as_untrusted(tested: Tool) -> None:
    outside = {"snippet", "body", "description", "subject", "summary", "text"}
    own_words = {"gmail_get_vacation_settings", "gmail_update_vacation_settings"}
    shown = {name for s in walk(tested.output_schema) for name in s.get("properties", ())}
    if shown & outside and tested.name not in own_words:
        assert tested.untrusted
        assert tested.output_schema["properties"]["untrusted"] == {"const": True}


def test_the_same_argument_has_the_same_form_in_every_tool() -> None:
    # The catalogue that these names come from has send_updates as a boolean here, a string there.
    by_name: dict[str, set[str]] = {}
    for found in all_tools():
        for name, schema in found.input_schema["properties"].items():
            key = f"{found.connector} {name}"
            shape = {k: schema.get(k) for k in ("type", "pattern", "enum", "anyOf")}
            by_name.setdefault(key, set()).add(json.dumps(shape))
    differing = {key for key, shapes in by_name.items() if len(shapes) > 1}
    # Query is a search syntax in Gmail; clear_calendar works on the primary calendar only.
    assert differing <= {"googlecalendar calendar_id"}


def test_calendar_writes_mail_nobody_unless_told_to() -> None:
    for found in load_connector("googlecalendar").tools.values():
        if "sendUpdates" in found.request.query:
            schema = found.input_schema["properties"]["send_updates"]
            assert schema["default"] == "none"
            assert schema["enum"] == ["none", "externalOnly", "all"]


def test_the_most_used_tools_fit_in_the_context_budget() -> None:
    views = [tool_view(tool(name)) for name in MOST_USED]
    size = sum(
        len(json.dumps([v.name, v.description, v.input_schema, v.output_schema]).replace(" ", ""))
        for v in views
    )
    assert size / 4 <= 2_500


def test_no_definition_of_a_tool_changes_unreviewed() -> None:
    """A changed description or schema changes what agents do: it must show in a review."""
    now = {found.name: fingerprint(found) for found in all_tools()}
    then = json.loads(GOLDEN.read_text(encoding="utf-8"))
    changed = {
        name: now.get(name) for name in now.keys() | then.keys() if now.get(name) != then.get(name)
    }
    assert not changed, f"intended? then {GOLDEN.name} needs these lines"


def fingerprint(found: Tool) -> str:
    view = tool_view(found)
    shown = [
        view.name,
        list(found.aliases),
        view.title,
        view.description,
        view.input_schema,
        view.output_schema,
        view.annotations,
        list(found.scopes),
    ]
    canonical = json.dumps(shown, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@cache
def google_methods() -> dict[tuple[str, str], dict[str, Any]]:
    """All methods of both APIs by verb and path, with the schemas that their bodies refer to."""
    spec = find_spec("googleapiclient")
    assert spec
    assert spec.submodule_search_locations
    documents = Path(spec.submodule_search_locations[0]) / "discovery_cache" / "documents"
    methods: dict[tuple[str, str], dict[str, Any]] = {}
    for file in ("gmail.v1.json", "calendar.v3.json"):
        document = json.loads((documents / file).read_text(encoding="utf-8"))

        def collect(resources: dict[str, Any], document: dict[str, Any] = document) -> None:
            for resource in resources.values():
                for method in resource.get("methods", {}).values():
                    path = "/" + document["servicePath"] + method["path"]
                    key = (method["httpMethod"], normal(path.replace("{userId}", "me")))
                    methods[key] = method | {"schemas": document["schemas"]}
                collect(resource.get("resources", {}))

        collect(document["resources"])
    return methods


def normal(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@each_tool
def test_google_has_the_method_its_parameters_and_its_scopes(tested: Tool) -> None:
    for request in requests_of(tested):
        method = google_methods()[request.method, normal(request.path)]
        known = {
            name
            for name, spec in method.get("parameters", {}).items()
            if spec["location"] == "query"
        }
        needed = {
            name
            for name, spec in method.get("parameters", {}).items()
            if spec["location"] == "query" and spec.get("required")
        }
        assert set(request.query) <= known
        assert needed <= set(request.query)
        assert set(tested.scopes) <= set(method["scopes"])
        check_body(request.body, method.get("request"), method["schemas"])


def check_body(template: Any, schema: dict[str, Any] | None, schemas: dict[str, Any]) -> None:
    """Every field of a body template is one that Google's schema has, at every depth."""
    if not isinstance(template, dict) or schema is None:
        assert not isinstance(template, dict) or schema is not None, template
        return
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if "$map" in template:
        check_body(template["to"], schema["items"], schemas)
    elif any(key.startswith("$") for key in template):
        for branch in ("then", "else", "new"):
            check_body(template.get(branch), schema, schemas)
    else:
        assert set(template) <= set(schema["properties"]), template
        for key, value in template.items():
            check_body(value, schema["properties"][key], schemas)


def test_no_tool_asks_for_all_of_a_calendar_or_mailbox_when_less_will_do() -> None:
    broad = {
        "https://mail.google.com/",
        "https://www.googleapis.com/auth/calendar",
    }
    for found in all_tools():
        if set(found.scopes) - broad:
            assert found.scopes[0] not in broad, found.name


def test_connectors_reach_google_hosts_only() -> None:
    hosts = {host for name in connector_names() for host in load_connector(name).hosts}
    assert hosts == {"gmail.googleapis.com", "www.googleapis.com"}
