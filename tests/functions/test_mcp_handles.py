"""What `/mcp/{key}` hands out to come back: another's, an edited or an old one opens nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.world import CONFIG, GMAIL
from valet.tools.provider import ProviderResponse

if TYPE_CHECKING:
    from tests.functions.support import Answer, Bundle

FETCH: dict[str, Any] = {"name": "gmail_fetch_mails", "arguments": {"query": "from:bob"}}
ACCEPT = {"inputResponses": {"connect": {"action": "accept"}}}


def key_of(bundle: Bundle, user: str = "alice") -> str:
    return str(bundle.ensure(user)["url"].rsplit("/", 1)[1])


def call(bundle: Bundle, key: str, **params: Any) -> Answer:
    return bundle.mcp_modern(key, "tools/call", **FETCH | params)


def asked(bundle: Bundle, key: str) -> dict[str, Any]:
    result: dict[str, Any] = call(bundle, key).json["result"]
    assert result["resultType"] == "input_required"
    return result


def refused(answer: Answer) -> bool:
    return (answer.status, answer.json["error"]["code"]) == (400, -32602)


def test_a_client_that_opens_urls_is_led_through_the_connect_page(bundle: Bundle) -> None:
    key = key_of(bundle)
    question = asked(bundle, key)
    request = question["inputRequests"]["connect"]
    assert request["method"] == "elicitation/create"
    assert request["params"]["mode"] == "url"
    link = request["params"]["url"]
    assert link.startswith("https://valet.example/connect/")
    assert key not in link
    assert bundle.start(link.rsplit("/", 1)[1], GMAIL).status == 303
    bundle.connected()
    bundle.provider.answers["/gmail/v1/users/me/messages"] = ProviderResponse(200, {"messages": []})
    state = question["requestState"]
    done = call(bundle, key, requestState=state, **ACCEPT).json["result"]
    assert (done["resultType"], done["isError"]) == ("complete", False)
    assert len(bundle.provider.requests) == 1


def test_who_accepts_without_connecting_gets_a_link_in_text(bundle: Bundle) -> None:
    key = key_of(bundle)
    state = asked(bundle, key)["requestState"]
    result = call(bundle, key, requestState=state, **ACCEPT).json["result"]
    assert (result["resultType"], result["isError"]) == ("complete", True)
    assert "https://valet.example/connect/" in result["content"][0]["text"]


def test_a_state_of_another_user_opens_nothing(bundle: Bundle) -> None:
    bundle.connected()
    state = asked(bundle, key_of(bundle, "bob"))["requestState"]
    assert refused(call(bundle, key_of(bundle), requestState=state, **ACCEPT))
    assert not bundle.provider.requests


def test_a_state_outlives_the_rotation_of_its_url_and_dies_with_its_instance(
    bundle: Bundle,
) -> None:
    state = asked(bundle, key_of(bundle))["requestState"]
    instance = bundle.world.instances.ensure(CONFIG, bundle.world.session().user)
    bundle.world.instances.rotate(instance.id, instance.user, timedelta(0))
    assert "result" in call(bundle, key_of(bundle), requestState=state, **ACCEPT).json
    bundle.world.instances.delete(instance.id, instance.user)
    assert refused(call(bundle, key_of(bundle), requestState=state, **ACCEPT))


@pytest.mark.parametrize("handle", ["requestState", "url key"])
def test_no_handle_is_a_cursor(bundle: Bundle, handle: str) -> None:
    key = key_of(bundle)
    cursor = key if handle == "url key" else asked(bundle, key)["requestState"]
    assert refused(bundle.mcp_modern(key, "tools/list", cursor=cursor))
