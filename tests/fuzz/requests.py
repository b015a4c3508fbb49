"""Requests that nobody meant: each is right in most places and wrong in some."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.fuzz.rules import LEGACY, MODERN, PREFIX
from tests.issuer import ISSUER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from tests.issuer import FakeIssuer
    from valet.connectors.models import Tool

METHODS = ["initialize", "ping", "tools/list", "tools/call", "server/discover", "x/y"]
VERSIONS = [MODERN, *LEGACY, "2024-11-05", "x"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
not_json = st.sampled_from([float("nan"), float("inf"), "\ud800", 10**400])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
capabilities = st.sampled_from(
    [{}, {"elicitation": {}}, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}]
)
metas = st.fixed_dictionaries(
    {},
    optional={
        f"{PREFIX}protocolVersion": st.sampled_from(VERSIONS) | values,
        f"{PREFIX}clientCapabilities": capabilities | values,
    },
)


def params_for(calls: SearchStrategy[Mapping[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    """Parameters of any method, with those of a call drawn together."""
    odd = st.fixed_dictionaries(
        {},
        optional={
            "_meta": metas | values,
            "name": values,
            "arguments": values,
            "cursor": values,
            "protocolVersion": st.sampled_from(VERSIONS) | values,
            "inputResponses": values,
            "requestState": values,
        },
    )
    return st.builds(lambda extra, call: {**extra, **call}, odd, calls | st.just({}))


def messages_for(params: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0") | values},
        optional={
            "id": st.integers(-5, 5) | st.text(max_size=3) | values,
            "method": st.sampled_from(METHODS) | values,
            "params": params | values,
            "result": values,
        },
    )


header_sets = st.fixed_dictionaries(
    {"content-type": st.just("application/json")},
    optional={
        "mcp-protocol-version": st.sampled_from(VERSIONS) | st.text(max_size=6),
        "mcp-method": st.sampled_from(METHODS) | st.text(max_size=6),
        "mcp-name": st.text(max_size=6) | st.sampled_from(["=?base64?eA==?=", "=?base64?!?="]),
        "mcp-session-id": st.text(max_size=6),
        "last-event-id": st.just("1"),
        "accept": st.sampled_from(["*/*", "application/json", "application/*;q=0.1"]),
    },
)
refused_headers = st.sampled_from(
    [{"origin": "null"}, {"origin": "https://valet.example"}, {"accept": "text/html"}]
)


def bodies_of(messages: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    return st.one_of(
        st.binary(max_size=64),
        messages.map(encoded),
        messages.map(encoded),
        st.builds(lambda message, odd: encoded({**message, "params": odd}), messages, not_json),
        st.lists(messages | values, max_size=22).map(encoded),
        st.builds(lambda body, at: body[:at], messages.map(encoded), st.integers(0, 200)),
    )


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def coherent(
    draw: st.DrawFn, params: SearchStrategy[dict[str, Any]]
) -> tuple[bytes, dict[str, str]]:
    """A request that is what its revision asks for, so that it gets past the first checks."""
    method = draw(st.sampled_from([*METHODS, "tools/call", "tools/call", "tools/call"]))
    given = draw(params)
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": draw(st.integers(0, 9)), "method": method}
    version = draw(st.sampled_from([MODERN, MODERN, *LEGACY]))
    headers = {"content-type": "application/json", "mcp-protocol-version": version}
    if method == "initialize":
        given["protocolVersion"] = draw(st.sampled_from(VERSIONS))
    if version != MODERN:
        given.pop("_meta", None)
        return encoded(body | {"params": given}), headers
    envelope = {
        f"{PREFIX}protocolVersion": MODERN,
        f"{PREFIX}clientCapabilities": draw(capabilities),
    }
    headers["mcp-method"] = method
    name = given.get("name")
    if isinstance(name, str):
        utf8 = name.encode("utf-8", "replace")
        headers["mcp-name"] = f"=?base64?{b64encode(utf8).decode()}?="
    return encoded(body | {"params": given | {"_meta": envelope}}), headers


@st.composite
def access_tokens(draw: st.DrawFn, issuer: FakeIssuer, now: int) -> str:
    """What claims to be an OAuth access token: signed and wrong inside, or not signed at all."""
    right = {"iss": ISSUER, "sub": "alice", "aud": "https://valet.example/mcp", "scope": "mcp:full"}
    claims = right | {"exp": now + 3600} | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "iss": values,
                "sub": values | st.just("bob"),
                "aud": values | st.lists(st.just(right["aud"]) | values, max_size=3),
                "scope": values | st.sampled_from(["mcp:read", "mcp:read mcp:full", "x", ["x"]]),
                "exp": values | st.sampled_from([0, now, 10**300, 1e300, -(10**300)]),
                "nbf": values,
                "cnf": values,
            },
        )
    )  # fmt: skip
    if draw(st.integers(0, 3)):
        return issuer.sign(claims)
    header = draw(
        st.fixed_dictionaries(
            {"alg": st.sampled_from(["ES256", "RS256", "none", "HS256"]) | values},
            optional={
                name: values | st.just("k1") for name in ("kid", "typ", "crit", "b64", "jwk")
            },
        )
    )
    parts = [encoded(draw(st.just(header) | values)), encoded(claims), draw(st.binary(max_size=64))]
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


WORDS = ["18c0ffee", "primary", "2026-11-24T12:00:00Z", "bob@example.com", "INBOX", "from:bob"]


def calls_of(tools: Mapping[str, Tool]) -> SearchStrategy[dict[str, Any]]:
    """Calls of real tools, whose arguments mostly have the types that they should."""
    return st.sampled_from(sorted(tools)).flatmap(
        lambda name: st.fixed_dictionaries(
            {"name": st.just(name), "arguments": _of(tools[name].input_schema)}
        )
    )


def _of(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([_of(choice) for choice in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            required = schema.get("required", ())
            return st.fixed_dictionaries(
                {name: _value(part) for name, part in properties.items() if name in required},
                optional={n: _value(part) for n, part in properties.items() if n not in required},
            )
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(_of(schema.get("items", {})), min_size=least, max_size=least + 2)
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 100))
        case "boolean":
            return st.booleans()
        case "string":
            return st.sampled_from(WORDS) | st.from_regex(
                r"[ -~\u00a0-\u2fff]{1,12}", fullmatch=True
            )
    return scalars


def _value(schema: Mapping[str, Any]) -> SearchStrategy[Any]:
    """One time in ten something else."""
    return st.integers(0, 9).flatmap(lambda n: values if n == 0 else _of(schema))


FIELDS = [
    "attendees", "body", "data", "date", "dateTime", "description", "drafts", "email", "end",
    "error", "errors", "headers", "history", "id", "items", "labelIds", "labels", "message",
    "messages", "mimeType", "name", "nextPageToken", "parts", "payload", "reason", "size",
    "snippet", "start", "status", "summary", "threadId", "threads", "value",
]  # fmt: skip


def provider_bodies() -> SearchStrategy[Any]:
    """What a provider might answer: its field names, and anything in them."""
    leaves = scalars | st.sampled_from([*WORDS, "PGI+aGk8L2I+", "text/html", "insufficient"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
        ),
        max_leaves=15,
    )


STATUSES: Sequence[int] = [
    *[200] * 30, 201, 204, 302, 400, 400, 401, 403, 404, 409, 410, 412, 413, 429, 418,
]  # fmt: skip
