"""A missing grant, as a client that opens URLs for its user meets it: asked once, never twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from mcp_types import ElicitResult

from tests.e2e import canaries, wire
from tests.e2e.consent import connect, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp import Client

    from tests.e2e.api import Api
    from tests.e2e.people import User

pytestmark = pytest.mark.native_only("Scalekit serves MCP")

type Action = Literal["accept", "decline", "cancel"]

_FETCH: Final[dict[str, Any]] = {"name": "gmail_fetch_mails", "arguments": {"max_results": 1}}
_ACCEPT: Final = {"inputResponses": {"connect": {"action": "accept"}}}


def fetch(url: str, action: Action, meanwhile: Callable[[str], None]) -> tuple[Any, list[str]]:
    """The official client calls a tool; its user sees a link, does something and answers."""
    shown: list[str] = []

    async def asked(_: object, params: Any) -> ElicitResult:
        assert params.mode == "url"
        canaries.remember_url(params.url)
        shown.append(params.url)
        meanwhile(params.url)
        return ElicitResult(action=action)

    async def use(client: Client) -> Any:
        return await client.call_tool(_FETCH["name"], _FETCH["arguments"])

    return wire.with_client(url, use, elicitation_callback=asked), shown


def nothing(_: str) -> None:
    """The link is left alone."""


def test_who_connects_and_accepts_gets_the_tools_answer_in_one_call(user: User, api: Api) -> None:
    def connects(link: str) -> None:
        assert user.verify(start(api, link).allow().authorization()).status_code == 200

    result, shown = fetch(user.ensure()["url"], "accept", connects)
    assert result.is_error is False
    assert len(result.structured_content["messages"]) == 1
    assert len(shown) == 1


def test_who_accepts_without_connecting_gets_a_link_in_text(user: User, api: Api) -> None:
    result, shown = fetch(user.ensure()["url"], "accept", nothing)
    assert result.is_error is True
    said = wire.text(result)
    link = next(word for word in said.split() if word.startswith(f"{api.url}/connect/"))
    assert len(shown) == 1
    assert user.verify(start(api, link).allow().authorization()).status_code == 200


@pytest.mark.parametrize(
    ("action", "says"),
    [("decline", "declined to connect Gmail"), ("cancel", "closed the request to connect Gmail")],
)
def test_who_does_not_accept_is_told_how_to_go_on(action: Action, says: str, user: User) -> None:
    result, shown = fetch(user.ensure()["url"], action, nothing)
    assert result.is_error is True
    assert says in wire.text(result)
    assert "call it again" in wire.text(result)
    assert len(shown) == 1


def test_the_link_is_neither_the_mcp_url_nor_enough_to_connect(
    user: User, other: User, api: Api
) -> None:
    url = user.ensure()["url"]
    _, (link,) = fetch(url, "cancel", nothing)
    assert url.rsplit("/", 1)[1] not in link
    assert user.id not in link
    assert user.email not in link
    # Whoever opens it consents for nobody until the app says who is signed in.
    authorization = start(api, link).allow().authorization()
    assert other.verify(authorization).status_code == 403
    assert user.connections()["MY_GMAIL"]["status"] != "ACTIVE"


def test_a_state_that_is_edited_another_users_or_of_another_call_is_refused(
    user: User, other: User, api: Api
) -> None:
    connect(other)
    mine, theirs = user.ensure()["url"], other.ensure()["url"]
    asked = wire.post_modern(api, mine, "tools/call", _FETCH).json()["result"]
    assert asked["resultType"] == "input_required"
    state = asked["requestState"]
    canaries.remember_url(asked["inputRequests"]["connect"]["params"]["url"])
    flipped = ("A" if state[0] != "A" else "B") + state[1:]
    edited = (flipped, state[:-1], f"{state}-TAMPERED", "", 1)
    attempts: list[tuple[str, dict[str, Any]]] = [
        *((mine, {"requestState": bad}) for bad in edited),
        (theirs, {"requestState": state}),
        (mine, {"requestState": state, "arguments": {"max_results": 2}}),
        (mine, {}),
    ]
    for url, changes in attempts:
        answer = wire.post_modern(api, url, "tools/call", {**_FETCH, **_ACCEPT, **changes})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602), changes
    answer = wire.post_modern(api, mine, "tools/list", {"cursor": state})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
