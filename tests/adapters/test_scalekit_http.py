"""One exchange with Scalekit: as it was built, no redirect, and never more than is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from valet.adapters.scalekit_http import HttpxScalekit
from valet.scalekit.transport import Answer, Call, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL = Call("POST", "https://acme.scalekit.dev/things", {"authorization": "Bearer t"}, b"{}")


class Chunks(httpx.SyncByteStream):
    def __init__(self, *chunks: bytes, breaks: bool = False) -> None:
        self.chunks = chunks
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.breaks:
            raise httpx.ReadError("cut short")


def send(
    handler: Callable[[httpx.Request], httpx.Response], elapsed: Iterator[float] | None = None
) -> Answer:
    client = httpx.Client(transport=httpx.MockTransport(handler), trust_env=False)
    ticks = elapsed or iter([0.0] * 100)
    return HttpxScalekit(client, lambda: next(ticks)).send(CALL, 5.0)


def test_a_request_is_sent_as_it_was_built_and_the_answer_comes_back() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(429, headers={"retry-after": "3"}, stream=Chunks(b'{"a"', b":1}"))

    assert send(answer) == Answer(429, b'{"a":1}', "3")
    (request,) = seen
    assert (request.method, str(request.url), request.content) == (CALL.method, CALL.url, b"{}")
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["accept-encoding"] == "identity"
    assert request.extensions["timeout"]["read"] == 5.0


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    elsewhere = {"location": "https://elsewhere.example"}
    answer = send(lambda _: httpx.Response(302, headers=elsewhere, stream=Chunks()))
    assert answer.status == 302


def test_a_cookie_is_not_kept_for_the_next_request() -> None:
    cookies: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "a=b"}, stream=Chunks())

    client = httpx.Client(transport=httpx.MockTransport(answer), trust_env=False)
    for _ in range(2):
        HttpxScalekit(client).send(CALL, 5.0)
    assert cookies == [None, None]


def refuses(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "handler",
    [
        refuses,
        lambda _: httpx.Response(200, stream=Chunks(b"{", breaks=True)),
        lambda _: httpx.Response(200, stream=Chunks(*[b"x" * 1024 * 1024] * 5)),
    ],
    ids=["no connection", "cut short", "too large"],
)
def test_what_is_no_whole_answer_is_none(
    handler: Callable[[httpx.Request], httpx.Response],
) -> None:
    with pytest.raises(NoAnswer):
        send(handler)


def test_a_drip_of_bytes_ends_with_the_time_given() -> None:
    with pytest.raises(NoAnswer):
        send(
            lambda _: httpx.Response(200, stream=Chunks(*[b"x"] * 50)),
            iter(float(second) for second in range(100)),
        )
