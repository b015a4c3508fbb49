"""/mcp/{key}: one user's tools behind one URL, and nothing behind any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.lunch import CREATE, EVENTS, LUNCH, MADE
from tests.world import CALENDAR, CONFIG, GMAIL
from valet.models import ConnectionTools, InstanceId, Secret
from valet.native.key_ring import KeyRing, Signers
from valet.native.url_keys import UrlKey, UrlKeys
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
MESSAGES = "/gmail/v1/users/me/messages"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Type": "application/json",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def key_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


@pytest.fixture
def key(bundle: Bundle) -> str:
    return key_of(bundle.ensure()["url"])


def fetch(bundle: Bundle, key: str, **arguments: Any) -> Any:
    """Call gmail_fetch_mails; the JSON-RPC result."""
    message = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails", "arguments": arguments},
    }
    answer = bundle.mcp(key, message)
    assert answer.status == 200, answer.body
    assert answer.json["id"] == 7
    return answer.json["result"]


def test_the_tools_of_the_config_are_listed_in_its_order(bundle: Bundle, key: str) -> None:
    answer = bundle.mcp(key, LIST)
    assert answer.status == 200
    assert answer.headers == HEADERS
    names = [tool["name"] for tool in answer.json["result"]["tools"]]
    assert names == ["gmail_fetch_mails", "googlecalendar_create_event"]


def test_the_list_does_not_change_with_the_state_of_the_grants(bundle: Bundle, key: str) -> None:
    before = bundle.mcp(key, LIST).body
    bundle.connected()
    assert bundle.mcp(key, LIST).body == before


def test_a_tool_acts_with_the_users_own_grant(bundle: Bundle, key: str) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    result = fetch(bundle, key, query="from:bob")
    assert not result.get("isError")
    assert result["structuredContent"]["messages"] == []
    (request,) = bundle.provider.requests
    assert (request.method, request.host) == ("GET", "gmail.googleapis.com")
    assert ("q", "from:bob") in request.query
    assert [token.reveal() for token in bundle.provider.tokens] == ["at-1"]


def test_a_tool_that_is_not_connected_answers_with_a_link(bundle: Bundle, key: str) -> None:
    result = fetch(bundle, key)
    assert result["isError"] is True
    text = result["content"][0]["text"]
    assert "https://valet.example/connect/" in text
    assert key not in text
    assert not bundle.provider.requests


def test_the_link_in_an_answer_works(bundle: Bundle, key: str) -> None:
    text = fetch(bundle, key)["content"][0]["text"]
    ticket = text.split("/connect/")[1].split()[0]
    assert bundle.start(ticket, GMAIL).status == 303


def test_a_write_is_recorded_and_not_repeated(bundle: Bundle, key: str) -> None:
    bundle.connected(connection=CALENDAR)
    bundle.provider.answers[EVENTS] = ProviderResponse(200, MADE)
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": CREATE, "arguments": LUNCH},
    }
    first = bundle.mcp(key, message).json["result"]
    assert not first.get("isError"), first
    again = bundle.mcp(key, message | {"id": 2}).json["result"]
    assert again["isError"] is True
    assert "not repeated" in again["content"][0]["text"]
    assert len([r for r in bundle.provider.requests if r.method == "POST"]) == 1


def test_another_users_url_leads_to_their_grants_only(bundle: Bundle) -> None:
    bundle.connected("alice")
    result = fetch(bundle, key_of(bundle.ensure("bob")["url"]))
    assert result["isError"] is True
    assert not bundle.provider.requests


def bad_keys(bundle: Bundle) -> dict[str, str]:
    """URL keys behind which there is nothing, each for another reason."""
    made = bundle.ensure("carol")
    key = key_of(made["url"])
    parsed = bundle.world.url_keys.parse(key)
    assert parsed
    alien = KeyRing("k1", {"k1": Secret("another deployment's key " + "x" * 20)})
    rotated = bundle.ensure("dave")
    path = {"id": rotated["id"]}
    route = "POST /instances/{id}/rotate"
    bundle.call("ensure_instance", route, path=path, caller=events.jwt("dave"))
    deleted = bundle.ensure("erin")
    path = {"id": deleted["id"]}
    route = "DELETE /instances/{id}"
    bundle.call("ensure_instance", route, path=path, caller=events.jwt("erin"))
    never = UrlKey(InstanceId("ins_" + "0" * 32), 1, "k1")
    return {
        "empty": "",
        "word": "mcp",
        "prefix alone": "mvk_",
        "one character changed": key[:-10] + ("A" if key[-10] != "A" else "B") + key[-9:],
        "checksum changed": key[:-1] + ("0" if key[-1] != "0" else "1"),
        "cut": key[:-1],
        "longer": f"{key}A",
        "in capitals": key.upper(),
        "with a space": f" {key}",
        "with a newline": f"{key}\n",
        "signed by another": UrlKeys(Signers(lambda: alien)).derive(parsed),
        "signed, of a generation to come": bundle.world.url_keys.derive(
            UrlKey(parsed.instance, 2, "k1")
        ),
        "signed, of no instance": bundle.world.url_keys.derive(never),
        "rotated": key_of(rotated["url"]),
        "deleted": key_of(deleted["url"]),
        "10 KB": "mvk_" + "A" * 10_000,
        "not ASCII": "mvk_" + "\u00e9" * 86,
        "half a surrogate pair": "mvk_\ud800",
        "NUL": "mvk_\x00",
    }


@pytest.mark.parametrize("message", [LIST, {}, [], "text", None], ids=repr)
def test_all_bad_keys_get_the_same_answer_to_the_byte(bundle: Bundle, message: Any) -> None:
    answers = {name: bundle.mcp(key, message) for name, key in bad_keys(bundle).items()}
    unknown = answers["word"]
    assert unknown.status == 404
    assert unknown.headers == HEADERS
    for name, answer in answers.items():
        assert answer == unknown, name


def test_a_key_that_nobody_signed_costs_no_read(bundle: Bundle) -> None:
    keys = bad_keys(bundle)
    bundle.world.table.requests.clear()
    for name, key in keys.items():
        if name not in ("rotated", "deleted") and not name.startswith("signed,"):
            bundle.mcp(key, LIST)
    assert bundle.world.table.requests == []


def test_the_url_of_a_deleted_config_answers_no_more(bundle: Bundle, key: str) -> None:
    assert bundle.mcp(key, LIST).status == 200
    bundle.world.configs.delete(CONFIG, owner="")
    bundle.world.now.advance(seconds=30)
    assert bundle.mcp(key, LIST).status == 404


def test_a_rotated_url_goes_on_for_its_grace(bundle: Bundle, key: str) -> None:
    path = {"id": bundle.ensure()["id"]}
    route, body = "POST /instances/{id}/rotate", {"grace_seconds": 60}
    bundle.call("ensure_instance", route, path=path, body=body, caller=events.jwt())
    bundle.world.now.advance(seconds=59)
    assert bundle.mcp(key, LIST).status == 200
    bundle.world.now.advance(seconds=1)
    assert bundle.mcp(key, LIST).status == 404


def raw(bundle: Bundle, key: str, method: str = "POST", **event: Any) -> Answer:
    headers = {"content-type": "application/json", "accept": "application/json"}
    event["headers"] = headers | event.get("headers", {})
    return bundle.call("mcp_server", "ANY /mcp/{key}", path={"key": key}, method=method, **event)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
def test_methods_other_than_post_are_refused_as_the_protocol_asks(
    bundle: Bundle, key: str, method: str
) -> None:
    for text in (key, "unknown"):
        answer = raw(bundle, text, method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"accept": "text/html"}, 406),
        ({"authorization": "Bearer x"}, 400),
        ({"authorization": ""}, 400),
    ],
    ids=repr,
)
def test_a_request_that_no_key_makes_good_is_refused_alike_for_all_keys(
    bundle: Bundle, key: str, headers: dict[str, str], status: int
) -> None:
    good, bad = (raw(bundle, text, body=LIST, headers=headers) for text in (key, "unknown"))
    assert good.status == status
    assert good == bad
    assert "WWW-Authenticate" not in good.headers


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000, '{"a": 1, "a": 2}', '"\\ud800"'])
def test_what_is_no_json_is_a_parse_error(bundle: Bundle, key: str, text: str) -> None:
    answer = raw(bundle, key, text=text)
    assert answer.status == 400
    assert answer.json["error"]["code"] == -32700


@pytest.mark.parametrize("body", ["!", "YQ", "\u00e9\u00e9\u00e9\u00e9"])
def test_wrong_base64_is_a_parse_error(bundle: Bundle, key: str, body: str) -> None:
    event = events.http(
        "ANY /mcp/{key}",
        path={"key": key},
        method="POST",
        headers={"content-type": "application/json"},
    )
    answer = bundle.send("mcp_server", event | {"body": body, "isBase64Encoded": True})
    assert answer.status == 400
    assert answer.json["error"]["code"] == -32700


def test_a_body_in_base64_is_read(bundle: Bundle, key: str) -> None:
    assert raw(bundle, key, raw=json.dumps(LIST).encode()).status == 200


@pytest.mark.parametrize("form", ["text", "raw"])
def test_a_body_above_a_megabyte_is_refused(bundle: Bundle, key: str, form: str) -> None:
    body = json.dumps(LIST | {"params": {"x": "x" * 1_100_000}})
    event: dict[str, Any] = {"text": body} if form == "text" else {"raw": body.encode()}
    answer = raw(bundle, key, **event)
    assert answer.status == 413


def test_a_tool_that_the_config_does_not_expose_is_unknown(bundle: Bundle, key: str) -> None:
    bundle.connected()
    message = LIST | {
        "method": "tools/call",
        "params": {"name": "gmail_send_mail", "arguments": {}},
    }
    answer = bundle.mcp(key, message)
    assert answer.json["error"]["code"] == -32602
    assert not bundle.provider.requests


def test_a_warm_call_is_one_read(bundle: Bundle, key: str) -> None:
    bundle.connected()
    bundle.provider.answers[MESSAGES] = ProviderResponse(200, {"messages": []})
    fetch(bundle, key)
    bundle.world.table.requests.clear()
    fetch(bundle, key)
    assert bundle.world.table.requests == ["get_many"]


def test_an_unexpected_failure_keeps_its_words_to_itself(
    bundle: Bundle, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> ProviderResponse:
        raise RuntimeError("ya29.secret")

    bundle.connected()
    monkeypatch.setattr(bundle.provider, "send", fails)
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "gmail_fetch_mails", "arguments": {}},
    }
    answer = bundle.mcp(key, message)
    assert "ya29" not in answer.body
    assert answer.json["error"]["code"] == -32603


def test_a_changed_config_reaches_the_url_within_half_a_minute(bundle: Bundle, key: str) -> None:
    bundle.mcp(key, LIST)
    one = [ConnectionTools(GMAIL, ("gmail_list_drafts",))]
    bundle.world.configs.put(CONFIG, "", one, owner="", replaces=True)
    bundle.world.now.advance(seconds=30)
    names = [tool["name"] for tool in bundle.mcp(key, LIST).json["result"]["tools"]]
    assert names == ["gmail_list_drafts"]
