"""What every test runs in: a made-up AWS environment, fresh caches, and no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before any handler is imported: Powertools reads its settings when a Logger is made.
for leaked in [name for name in os.environ if name.startswith(("AWS_PROFILE", "POWERTOOLS_"))]:
    del os.environ[leaked]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "McpValet",
    "POWERTOOLS_SERVICE_NAME": "mcp-valet",
}

pytest_plugins = ["tests.scalekit_process"]

_LOOPBACK = ["127.0.0.1"]
_SAYS_ITSELF = {"enable_socket", "disable_socket", "allow_hosts"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "native_only(reason): end to end, what just the native backend has"
    )
    config.addinivalue_line(
        "markers", "scalekit_only: end to end, with a Scalekit environment behind the API"
    )
    config.addinivalue_line(
        "markers", "emulator: needs the local AWS emulator (AWS_ENDPOINT_URL, or port 4566)"
    )
    config.addinivalue_line(
        "markers", "scalekit: starts the fake Scalekit, which has an environment of its own"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if "scalekit" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.scalekit)
        if _SAYS_ITSELF & {mark.name for mark in item.iter_markers()}:
            continue
        room = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if room in ("unit", "functions", "fuzz"):
            item.add_marker(pytest.mark.disable_socket)
        elif room in ("adapters", "infra"):
            item.add_marker(pytest.mark.allow_hosts(_LOOPBACK))


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    """A warm function keeps what it built; a test must not find what another one built."""
    from valet import settings
    from valet.wiring import native, scalekit, server, shared

    for module in (settings, shared, native, server, scalekit):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
