"""Whatever comes in, an answer of the protocol goes out: a little of what `tests/fuzz` does."""

from __future__ import annotations

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import requests
from tests.fuzz.rules import Got, Sent, check
from tests.unit.mcp_support import ECHO, World

SCHEMAS = {ECHO.name: jsonschema_rs.Draft202012Validator(dict(ECHO.output_schema))}

params = requests.params_for(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["echo", "send", "drop"])},
        optional={"arguments": st.fixed_dictionaries({"text": requests.scalars})},
    )
)
anything = st.tuples(
    requests.bodies_of(requests.messages_for(params)),
    requests.header_sets | requests.refused_headers,
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(sent=anything | requests.coherent(params))
def test_any_request_gets_a_well_formed_answer(sent: tuple[bytes, dict[str, str]]) -> None:
    body, headers = sent
    world = World()
    headers = {"content-type": "application/json"} | headers
    got = world.send(body, **headers).http
    check(Sent("POST", headers, body), Got(got.status, got.headers, got.body), SCHEMAS)
    assert not world.reported
