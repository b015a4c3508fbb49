"""The last gate before a provider: where a request may go, and what may come back."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from valet.adapters.provider_http import MAX_ANSWER_BYTES, HttpxProvider
from valet.errors import Misconfigured
from valet.models import Secret
from valet.tools.provider import AnswerTooLarge, ProviderRequest, ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "api.example.com"
TOKEN = Secret("ya29.canary")
GET = ProviderRequest("GET", HOST, "/v1/things")


class Chunks(httpx.SyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk


def unread(status: int, content: bytes = b"{}", **headers: bytes) -> httpx.Response:
    """A response as it comes off the wire: its body still to be read."""
    pairs = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return httpx.Response(status, headers=pairs, stream=Chunks([content]))


def provider(
    handler: Callable[[httpx.Request], httpx.Response], override: str | None = None
) -> HttpxProvider:
    client = httpx.Client(transport=httpx.MockTransport(handler), trust_env=False)
    return HttpxProvider([HOST], client, override)


def sent(request: ProviderRequest, override: str | None = None) -> httpx.Request:
    seen: list[httpx.Request] = []

    def answer(outgoing: httpx.Request) -> httpx.Response:
        seen.append(outgoing)
        return unread(200)

    provider(answer, override).send(request, TOKEN)
    return seen[0]


def answered(response: httpx.Response) -> Any:
    return provider(lambda _: response).send(GET, TOKEN)


def test_a_request_is_sent_as_it_was_built() -> None:
    request = ProviderRequest(
        "PATCH",
        HOST,
        "/v1/en.usa%23holiday%40group.v.example.com/e%2Fx",
        (("q", "a b&c=d"), ("q", "é"), ("x", "1")),
        {"summary": "Grüße", "gone": None},
        (("If-Match", '"1"'),),
    )
    outgoing = sent(request)
    assert outgoing.url.scheme == "https"
    assert outgoing.url.host == HOST
    assert outgoing.url.raw_path == (
        b"/v1/en.usa%23holiday%40group.v.example.com/e%2Fx?q=a+b%26c%3Dd&q=%C3%A9&x=1"
    )
    assert json.loads(outgoing.content) == {"summary": "Grüße", "gone": None}
    assert outgoing.headers["if-match"] == '"1"'


def test_only_headers_of_ours_are_sent() -> None:
    assert set(sent(GET).headers) == {
        "host",
        "authorization",
        "accept",
        "accept-encoding",
        "user-agent",
    }
    assert sent(GET).headers["authorization"] == "Bearer ya29.canary"


def test_a_post_without_a_body_says_that_it_has_none() -> None:
    assert sent(ProviderRequest("POST", HOST, "/v1/x")).headers["content-length"] == "0"


@pytest.mark.parametrize("name", ["Authorization", "Host", "Cookie", "X-Forwarded-For"])
def test_a_header_that_is_not_on_the_list_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured):
        sent(ProviderRequest("GET", HOST, "/v1", headers=((name, "x"),)))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api.example.com.evil.example",
        "api.example.com@evil.example",
        "api.example.com:8080",
        "API.example.com",
        "169.254.169.254",
        "127.1",
        "localhost:9001",
        "[::ffff:169.254.169.254]",
        "",
    ],
)
def test_a_host_that_no_connector_declares_is_refused(host: str) -> None:
    with pytest.raises(Misconfigured):
        sent(ProviderRequest("GET", host, "/v1"))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/..",
        "/v1/./x",
        "/v1/x/../../y",
        "v1",
        "",
        "/v1#x",
        "/v1?x=1#y",
        "/v1/a b",
        "/v1/ü",
        "@evil.example/v1",
        "/v1/\x00",
        "/v1\r\nX: y",
    ],
)
def test_a_path_that_would_not_arrive_as_built_is_refused(path: str) -> None:
    try:
        outgoing = sent(ProviderRequest("GET", HOST, path))
    except (Misconfigured, httpx.InvalidURL):
        return
    assert outgoing.url.raw_path.decode() == path


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return unread(302, location=b"http://169.254.169.254/")

    assert provider(answer).send(GET, TOKEN).status == 302
    assert len(requests) == 1


def test_cookies_are_neither_kept_nor_sent() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return unread(200, set_cookie=b"a=b; Path=/")

    port = provider(answer)
    port.send(GET, TOKEN)
    port.send(GET, TOKEN)
    assert "cookie" not in seen[1].headers


@pytest.mark.parametrize(
    ("error", "maybe_sent"),
    [
        (httpx.ConnectError("x"), False),
        (httpx.ConnectTimeout("x"), False),
        (httpx.PoolTimeout("x"), False),
        (httpx.WriteError("x"), True),
        (httpx.WriteTimeout("x"), True),
        (httpx.ReadTimeout("x"), True),
        (httpx.ReadError("x"), True),
        (httpx.RemoteProtocolError("x"), True),
    ],
)
def test_a_lost_answer_tells_whether_the_request_may_have_arrived(
    error: httpx.HTTPError, maybe_sent: bool
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(ProviderUnreachable) as caught:
        provider(answer).send(GET, TOKEN)
    assert caught.value.maybe_sent is maybe_sent
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b"", None),
        (b'{"a": [1]}', {"a": [1]}),
        (b"<html>down</html>", None),
        (b'{"a": NaN}', {"a": None}),
        (b"[" * 200_000, None),
        (b"\xff\xfe", None),
        (b'{"a": ' + b"9" * 5_000 + b"}", None),
    ],
)
def test_a_body_that_is_no_json_is_no_error(content: bytes, body: Any) -> None:
    response = answered(unread(502, content))
    assert (response.status, response.body) == (502, body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("0", 0),
        ("999999999", 86_400),
        ("-1", None),
        ("1e3", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("9" * 5_000, None),
        ("\u0663", None),
    ],
)
def test_a_pause_is_read_when_it_is_a_plain_number(header: str, seconds: int | None) -> None:
    assert answered(unread(429, retry_after=header.encode())).retry_after == seconds


def test_a_zipped_answer_is_read() -> None:
    content = gzip.compress(b'{"a": 1}')
    assert answered(unread(200, content, content_encoding=b"gzip")).body == {"a": 1}


def test_an_answer_over_the_cap_is_not_read_to_its_end() -> None:
    stream = Chunks([b"x" * 1_000_000] * 50)
    with pytest.raises(AnswerTooLarge):
        answered(httpx.Response(200, stream=stream))
    assert stream.read == MAX_ANSWER_BYTES // 1_000_000 + 1


def test_a_zip_bomb_is_stopped_while_it_inflates() -> None:
    bomb = gzip.compress(b"0" * 200_000_000, compresslevel=9)
    assert len(bomb) < 1_000_000
    with pytest.raises(AnswerTooLarge):
        answered(unread(200, bomb, content_encoding=b"gzip"))


@pytest.mark.parametrize(("encoding", "content"), [("br", b"x"), ("gzip", b"no gzip")])
def test_an_answer_in_an_encoding_that_was_not_asked_for_is_lost(
    encoding: str, content: bytes
) -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        answered(unread(200, content, content_encoding=encoding.encode()))
    assert caught.value.maybe_sent


def test_an_override_keeps_host_and_path_apart() -> None:
    outgoing = sent(GET, "http://127.0.0.1:4700/")
    assert str(outgoing.url) == f"http://127.0.0.1:4700/{HOST}/v1/things"


@pytest.mark.parametrize(
    "override",
    [
        "http://evil.example",
        "https://api.example.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://10.0.0.1:80",
        "ftp://127.0.0.1",
        "127.0.0.1:4700",
    ],
)
def test_an_override_leads_to_this_machine_only(override: str) -> None:
    with pytest.raises(Misconfigured):
        provider(lambda _: httpx.Response(200), override)


@contextmanager
def loopback(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[Any]]]:
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            answer(self)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as made:
        yield made


@pytest.mark.enable_socket
def test_the_wire_carries_the_path_and_body_that_were_built(client: httpx.Client) -> None:
    with loopback(lambda handler: reply(handler, 200, b'{"ok": true}')) as (url, seen):
        response = HttpxProvider([HOST], client, url).send(
            ProviderRequest("POST", HOST, "/v1/a%23b%40c", (("x", "é"),), {"k": "ü"}), TOKEN
        )
    assert response.body == {"ok": True}
    ((method, path, headers, body),) = seen
    assert (method, path) == ("POST", f"/{HOST}/v1/a%23b%40c?x=%C3%A9")
    assert json.loads(body) == {"k": "ü"}
    assert headers["Authorization"] == "Bearer ya29.canary"


@pytest.mark.enable_socket
def test_a_connection_that_breaks_after_the_request_may_have_been_sent(
    client: httpx.Client,
) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    with loopback(hang_up) as (url, seen):
        with pytest.raises(ProviderUnreachable) as caught:
            HttpxProvider([HOST], client, url).send(
                ProviderRequest("POST", HOST, "/v1/send", json={}), TOKEN
            )
        assert caught.value.maybe_sent
    assert len(seen) == 1


@pytest.mark.enable_socket
def test_a_closed_port_was_never_sent_to(client: httpx.Client) -> None:
    with loopback(lambda handler: reply(handler, 200, b"")) as (url, _):
        pass
    with pytest.raises(ProviderUnreachable) as caught:
        HttpxProvider([HOST], client, url).send(GET, TOKEN)
    assert not caught.value.maybe_sent
