"""An emulator, a certified OAuth server and worker processes of our own, on ports of our own."""

from __future__ import annotations

import itertools
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.refresh.broker import KINDS, NOTES, Broker, Site, client_secrets, connector_of
from tests.refresh.crew import LOCAL, Google, Process, Provider, start, stop, until
from valet.connectors.catalog import added
from valet.native.clock import utc_now
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valet.models import Account, UserKey

PROCESSES = 8
_FIGURES = pytest.StashKey[list[tuple[str, ...]]]()
_HEADINGS = (
    "scenario",
    "callers",
    "served",
    "requests",
    "redemptions",
    "lost families",
    "re-consents",
)
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/refresh/" in str(item.path):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(_FIGURES, [])
    if not rows:
        return
    table = [_HEADINGS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADINGS))]
    terminalreporter.section("refreshing, against oidc-provider with real processes")
    for row in table:
        first, *figures = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join([first, *figures]).rstrip())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def serving(process: Any, url: str, log: Path) -> Iterator[None]:
    try:
        until(lambda: process.poll() is not None or answers(url), url)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        stop(process)


@pytest.fixture(scope="package")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    assert (LOCAL / "oidc/node_modules").exists(), "`make refresh` installs what this needs"
    port, log = free_port(), tmp_path_factory.mktemp("oidc") / "log"
    provider = Provider(f"http://127.0.0.1:{port}")
    with serving(Provider.start(port, log), f"{provider.url}/_control", log):
        yield provider
    provider.http.close()


@pytest.fixture(scope="package")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    port, log = free_port(), tmp_path_factory.mktemp("google") / "log"
    google = Google(f"http://127.0.0.1:{port}")
    with serving(Google.start(port, log), f"{google.url}/_test/log", log):
        yield google
    google.http.close()


@pytest.fixture(scope="package")
def site(
    provider: Provider, google: Google, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("aws"), free_port()
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LOG_LEVEL": "WARNING",
    }
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    process = start([str(LOCAL / "venv-emulator/bin/ministack")], env, log)
    with serving(process, f"{url}/_ministack/health", log):
        yield _furnished(Site(url, provider.url, "refresh", "", "", google.url))


def _furnished(bare: Site) -> Site:
    bare.client("dynamodb").create_table(
        TableName=bare.table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    key = bare.client("kms").create_key(Description="refresh")["KeyMetadata"]["Arn"]
    secret = bare.client("secretsmanager").create_secret(
        Name="oauth-clients", SecretString=client_secrets()
    )["ARN"]
    return replace(bare, key=key, secret=secret)


@pytest.fixture(scope="package")
def broker(site: Site) -> Iterator[Broker]:
    with ExitStack() as stack:
        for connection in KINDS:
            stack.enter_context(added(connector_of(connection)))
        broker = Broker(site)
        broker.deploy()
        yield broker
        broker.http.close()


@pytest.fixture(scope="package")
def pool(site: Site, broker: Broker) -> Iterator[list[Process]]:
    """Workers that outlive a test, started together: starting is most of their cost."""
    del broker  # what they read is deployed by then
    processes = [Process(site) for _ in range(PROCESSES)]
    for process in processes:
        process.reported("ready")
    yield processes
    for process in processes:
        process.end()


@dataclass
class Scene:
    """One person whose access token has run out, the provider, and whoever calls."""

    provider: Provider
    broker: Broker
    pool: list[Process]
    figures: list[tuple[str, ...]]
    user: UserKey
    lone: list[Process] = field(default_factory=list)

    def fresh(self) -> Process:
        """A process of its own, to be killed."""
        process = Process(self.broker.site)
        self.lone.append(process)
        process.reported("ready")
        return process

    @property
    def account(self) -> Account:
        return self.broker.account(self.user)

    def tally(self, scenario: str, callers: int = 1, served: int = 1) -> dict[str, int]:
        """What it came to, as the provider counted, and whether the person has to consent again.

        Whether a grant still lives shows when it is used: a last refresh asks.
        """
        counts = self.provider.counts()
        counts["re_consents"] = int(self._is_lost())
        counts["lost_families"] = self.provider.counts()["lost_families"]
        names = ("token_requests", "redemptions", "lost_families", "re_consents")
        row = (callers, served, *(counts[name] for name in names))
        self.figures.append((scenario, *map(str, row)))
        return counts

    def _is_lost(self) -> bool:
        self.broker.clients.get(NOTES, fresh=True)
        later = replace(self.broker.tokens(), now=lambda: utc_now() + timedelta(minutes=5))
        try:
            later.usable(self.account, self.broker.connection, refused=True)
        except NotConnected:
            return True
        return False


def came_to(counts: dict[str, int]) -> tuple[int, int, int]:
    return counts["redemptions"], counts["lost_families"], counts["re_consents"]


@pytest.fixture
def scene(
    provider: Provider, broker: Broker, pool: list[Process], request: pytest.FixtureRequest
) -> Iterator[Scene]:
    provider.tell("zero")
    provider.tell("set", rotate=True, grants=None, access_ttl=20)  # too short to be used
    user = broker.connect(f"person-{next(_numbers)}")
    provider.tell("set", access_ttl=3600)
    provider.tell("zero")
    figures = request.config.stash.setdefault(_FIGURES, [])
    scene = Scene(provider, broker, pool, figures, user)
    yield scene
    provider.tell("release")
    for process in scene.lone:
        process.end()
