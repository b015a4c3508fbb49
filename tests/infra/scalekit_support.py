"""Starts the fake Scalekit beside a fake Google, and drives it as an app and as a browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from infra.local.fake_scalekit.seed import CLIENT_ID, CLIENT_SECRET, redirect_uris

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".local" / "venv-scalekit" / "bin" / "python"
CREDENTIALS: Final = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}
MAIL: Final = {"connection_name": "MY_GMAIL", "tools": ["gmail_fetch_mails", "gmail_send_message"]}
CALENDAR: Final = {
    "connection_name": "MY_CALENDAR",
    "tools": ["googlecalendar_list_events", "googlecalendar_create_event"],
}
ALICE: Final = "alice@example.com"
ALLOW: Final = {"account": ALICE, "decision": "allow"}
VERIFY: Final = "https://app.example.com/verify?from=scalekit"

type Json = dict[str, Any]


class Scalekit:
    """A client of the environment at `base`, whose connections lead to the Google at `google`."""

    def __init__(self, base: str, google: str) -> None:
        self.base = base
        self.google = google
        self.http = httpx.Client(base_url=base, timeout=20, trust_env=False)
        self.browser = httpx.Client(timeout=20, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self.browser.close()

    def reset(self) -> None:
        self.control("reset")
        self.sign_in()

    def sign_in(self) -> None:
        issued = self.http.post("/oauth/token", data=CREDENTIALS).raise_for_status().json()
        self.http.headers["authorization"] = f"Bearer {issued['access_token']}"

    def control(self, command: str, **given: Any) -> Any:
        return self.http.post(f"/_test/{command}", json=given).raise_for_status().json()

    def google_control(self, command: str, **given: Any) -> None:
        """The fake Google's own control plane, which a reset here leaves alone."""
        answer = self.browser.post(f"{self.google}/_test/{command}", json=given)
        answer.raise_for_status()

    def call(
        self, method: str, path: str, body: object = None, **query: str | list[str]
    ) -> httpx.Response:
        return self.http.request(method, f"/api/v1{path}", json=body, params=query or None)

    def ok(self, method: str, path: str, body: object = None, **query: str | list[str]) -> Json:
        answer = self.call(method, path, body, **query)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def config(self, name: str = "assistant", *mappings: Json) -> Json:
        body = {"name": name, "connection_tool_mappings": list(mappings or (MAIL, CALENDAR))}
        return dict(self.ok("POST", "/mcp/configs", body)["config"])

    def instance(self, config: str = "assistant", user: str = "u1", **more: str) -> Json:
        body = {"config_name": config, "user_identifier": user, **more}
        return dict(self.ok("POST", "/mcp/instances", body)["instance"])

    def link(self, connection: str = "MY_GMAIL", user: str = "u1", **more: str) -> str:
        body = {"connector": connection, "identifier": user, **more}
        return str(self.ok("POST", "/connected_accounts/magic_link", body)["link"])

    def verify(self, auth_request: str, user: str = "u1") -> httpx.Response:
        body = {"auth_request_id": auth_request, "identifier": user}
        return self.call("POST", "/connected_accounts/user/verify", body)

    def connect(self, connection: str = "MY_GMAIL", user: str = "u1") -> None:
        told = self.allow(self.link(connection, user, state="s1", user_verify_url=VERIFY))
        assert self.verify(told["auth_request_id"], user).status_code == 200

    def allow(self, link: str, account: str = ALICE) -> dict[str, str]:
        """What the app's verify page is told after a person allowed everything."""
        answer = self.consent(link, {"account": account, "decision": "allow"})
        assert answer.status_code == 302, answer.text
        parts = urlsplit(answer.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://app.example.com/verify"
        return dict(parse_qsl(parts.query))

    def consent(
        self, link: str, form: Mapping[str, str] = ALLOW, *, cookie: bool = True
    ) -> httpx.Response:
        """Scalekit's answer to the browser that comes back from the provider."""
        self.browser.cookies.clear()
        opened = self.browser.get(link)
        assert opened.status_code == 302, opened.text
        provider = opened.headers["location"]
        asked = dict(parse_qsl(urlsplit(provider).query))["scope"].split()
        answer = self.browser.post(provider, data={"scope": asked, **form})
        assert answer.status_code == 302, answer.text
        if not cookie:
            self.browser.cookies.clear()
        return self.browser.get(answer.headers["location"])

    def status(self, connection: str = "MY_GMAIL", user: str = "u1") -> str:
        found = self.ok("GET", "/connected_accounts/details", connector=connection, identifier=user)
        return str(found["connected_account"]["status"])

    def token(self, config: Json, user: str = "u1", **more: str) -> str:
        body = {"identifier": user, **more}
        return str(self.ok("POST", f"/mcp/configs/{config['id']}/tokens", body)["token"])


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and error code of a refusal, which has Scalekit's whole shape."""
    said = answer.json()
    (detail,) = said["details"]
    assert detail["@type"] == "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo"
    assert isinstance(said["code"], int)
    assert said["message"]
    return answer.status_code, detail["error_code"]


@contextmanager
def started(logs: Path) -> Iterator[Scalekit]:
    google, scalekit = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
    callbacks = [part for uri in redirect_uris(scalekit) for part in ("--redirect-uri", uri)]
    commands = {
        google: [sys.executable, "-m", "infra.local.fake_google", *callbacks],
        scalekit: [str(PYTHON), "-m", "infra.local.fake_scalekit", "--google", google],
    }
    processes = [_start(command, url, logs) for url, command in commands.items()]
    try:
        for url, process in zip(commands, processes, strict=True):
            _wait(f"{url}/_test/state", process, logs)
        client = Scalekit(scalekit, google)
        yield client
        client.close()
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def _start(command: Sequence[str], url: str, logs: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "functions")}
    port = url.rpartition(":")[2]
    with (logs / port).open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # ours
            [*command, "--port", port], cwd=ROOT, env=env, stdout=log, stderr=log
        )


def _wait(url: str, process: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    said = "\n".join(log.read_text(errors="replace")[-1000:] for log in logs.iterdir())
    pytest.fail(f"{process.args!r} does not answer: {said}", pytrace=False)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
