"""Whatever comes in, a well-formed answer goes out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mcp_support import LEGACY, MODERN, PREFIX, World

STATUSES = {200, 202, 400, 403, 404, 406}
METHODS = ["initialize", "ping", "tools/list", "tools/call", "server/discover", "x/y"]
VERSIONS = [MODERN, *LEGACY, "2024-11-05", "x"]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\ud800")
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
metas = st.fixed_dictionaries(
    {},
    optional={
        f"{PREFIX}protocolVersion": st.sampled_from(VERSIONS) | values,
        f"{PREFIX}clientCapabilities": st.just({}) | values,
    },
)
params = st.fixed_dictionaries(
    {},
    optional={
        "_meta": metas | values,
        "name": st.sampled_from(["echo", "send", "drop"]) | values,
        "arguments": values,
        "cursor": values,
        "protocolVersion": st.sampled_from(VERSIONS) | values,
    },
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | values},
    optional={
        "id": st.integers(-5, 5) | st.text(max_size=3) | values,
        "method": st.sampled_from(METHODS) | values,
        "params": params | values,
        "result": values,
    },
)
bodies = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda value: json.dumps(value).encode(), messages),
    st.builds(lambda value: json.dumps(value).encode(), st.lists(messages | values, max_size=4)),
)
header_sets = st.fixed_dictionaries(
    {"content-type": st.just("application/json")},
    optional={
        "mcp-protocol-version": st.sampled_from(VERSIONS) | st.text(max_size=6),
        "mcp-method": st.sampled_from(METHODS) | st.text(max_size=6),
        "mcp-name": st.sampled_from(["echo", "send"]) | st.text(max_size=6),
        "accept": st.sampled_from(["*/*", "application/json", "text/html"]),
        "origin": st.sampled_from(["https://app.example", "null"]),
    },
)


@st.composite
def coherent(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    """A modern request whose headers repeat its body, so that it gets past their check."""
    method = draw(st.sampled_from(METHODS))
    given_params = draw(params)
    envelope = {f"{PREFIX}protocolVersion": MODERN, f"{PREFIX}clientCapabilities": {}}
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": given_params | {"_meta": envelope},
    }
    mirrors: dict[str, Any] = {"mcp-protocol-version": MODERN, "mcp-method": method}
    if isinstance(given_params.get("name"), str):
        mirrors["mcp-name"] = given_params["name"]
    return json.dumps(body).encode(), mirrors


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(sent=st.tuples(bodies, header_sets) | coherent())
def test_any_request_gets_a_well_formed_answer(sent: tuple[bytes, dict[str, str]]) -> None:
    body, headers = sent
    world = World()
    answer = world.send(body, **headers)
    assert answer.status in STATUSES
    assert not world.reported
    answer.http.body.encode("utf-8")
    if answer.status == 202:
        assert answer.http.body == ""
        return
    responses = answer.json if isinstance(answer.json, list) else [answer.json]
    assert responses
    for response in responses:
        assert_is_a_response(response)


def assert_is_a_response(response: Any) -> None:
    assert response["jsonrpc"] == "2.0"
    assert response["id"] is None or type(response["id"]) in (str, int)
    assert set(response) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    if "error" in response:
        assert isinstance(response["error"]["code"], int)
        assert isinstance(response["error"]["message"], str)
