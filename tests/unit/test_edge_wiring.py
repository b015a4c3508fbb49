"""The wiring: every builder builds, from the environment alone and without a network."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template_support import ROOT
from valet.wiring import backend, native, scalekit, server, shared

if TYPE_CHECKING:
    from collections.abc import Callable

BUILDERS: dict[str, Callable[[], Any]] = {
    f"{module.__name__}.{name}": value
    for module in (shared, native, server, scalekit)
    for name, value in vars(module).items()
    if hasattr(value, "cache_clear")
    and not inspect.signature(value).parameters
    and value.__module__ == module.__name__
}


_SET = (
    "TABLE_NAME",
    "VAULT_KEY_ARN",
    "OAUTH_CLIENTS_SECRET",
    "URL_KEYS_SECRET",
    "SCALEKIT_SECRET",
)


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _SET:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MCP_OAUTH_ISSUER", "https://id.example")
    monkeypatch.setenv("MCP_OAUTH_FULL_SCOPE", "mcp:full")
    monkeypatch.setenv("MCP_OAUTH_READ_SCOPE", "mcp:read")


def test_every_builder_makes_what_it_says_once() -> None:
    for name, build in BUILDERS.items():
        built = build()
        promised = inspect.signature(build).return_annotation
        assert type(built).__name__ == promised.rsplit(".", 1)[-1], name
        assert build() is built, name


def test_what_is_shared_is_built_once() -> None:
    assert server.tokens().grants is native.grants()
    assert native.consent().pages.tickets is shared.tickets()
    assert native.instances().endpoint is shared.tickets().endpoint


@pytest.mark.parametrize(("chosen", "module"), [("native", native), ("scalekit", scalekit)])
def test_the_backend_is_the_deployments_choice(
    monkeypatch: pytest.MonkeyPatch, chosen: str, module: object
) -> None:
    monkeypatch.setenv("BACKEND", chosen)
    assert backend() is module


def test_a_function_of_one_backend_does_not_import_the_other() -> None:
    """Neither does its start pay for both."""
    ours = imported("import create_config, ensure_instance, oauth_callback, mcp_server")
    assert not [name for name in ours if "scalekit" in name]
    program = "import create_config, ensure_instance, oauth_callback; ensure_instance.backend()"
    hosted = imported(program, BACKEND="scalekit")
    assert "valet.wiring.scalekit" in hosted
    assert not {"valet.wiring.native", "valet.wiring.server"} & hosted


def test_the_http_client_takes_nothing_from_the_environment() -> None:
    assert shared.http().trust_env is False


def test_the_providers_hosts_are_those_of_the_connectors() -> None:
    assert server.provider_http()._hosts == {"gmail.googleapis.com", "www.googleapis.com"}


def imported(program: str, **environment: str) -> set[str]:
    """The modules that a fresh interpreter holds after a program, as Lambda's would."""
    code = f"{program}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "functions",
        env={"POWERTOOLS_SERVICE_NAME": "x", "PATH": "/usr/bin:/bin", **environment},
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "function", ["create_config", "ensure_instance", "oauth_callback", "mcp_server"]
)
def test_importing_a_function_reaches_for_nothing(function: str) -> None:
    """No client is made and no secret read before the first request."""
    heavy = {"boto3", "botocore.client", "httpx", "cryptography"}
    assert not imported(f"import {function}") & heavy


def test_the_mcp_server_stays_light() -> None:
    heavy = {"pydantic", "aws_lambda_powertools.event_handler", "valet.http", "valet.pages"}
    assert not imported("import mcp_server") & heavy
    assert not imported("import mcp_server, valet.run_tool") & {"pydantic", "valet.bodies"}


def test_who_comes_by_url_or_session_token_pays_for_no_jwt_library() -> None:
    deployed = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "TABLE_NAME": "x",
        "URL_KEYS_SECRET": "x",
        "MCP_OAUTH_ISSUER": "https://id.example",
        "MCP_OAUTH_FULL_SCOPE": "mcp:full",
        "MCP_OAUTH_READ_SCOPE": "mcp:read",
    }
    program = (
        f"import os; os.environ |= {deployed}; import mcp_server; "
        "mcp_server.protected_resource(); mcp_server.sessions()"
    )
    assert not imported(program) & {"joserfc", "valet.adapters.issuer"}
    assert imported(f"{program}; mcp_server.oauth_sessions()") >= {"joserfc"}


LAMBDA = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_LAMBDA_FUNCTION_NAME": "mcp-server",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_SECRET_ACCESS_KEY": "x",
}
SETTINGS = dict.fromkeys(
    ("OAUTH_CLIENTS_SECRET", "TABLE_NAME", "URL_KEYS_SECRET", "VAULT_KEY_ARN"), "x"
)
NO_NETWORK = "import socket; socket.socket.connect = socket.getaddrinfo = None; import mcp_server"


def test_on_lambda_the_mcp_server_starts_with_what_a_call_needs_and_without_a_network() -> None:
    found = imported(NO_NETWORK, **LAMBDA, **SETTINGS)
    used = {"botocore.client", "cryptography", "httpx", "jsonschema_rs", "valet.native.ledger"}
    assert used <= found
    assert not found & {"boto3", "s3transfer", "pydantic", "valet.http"}


def test_a_setting_that_is_missing_stops_no_start() -> None:
    """The first request tells of it, in a sentence."""
    assert "mcp_server" in imported(NO_NETWORK, **LAMBDA)
