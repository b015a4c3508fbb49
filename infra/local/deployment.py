"""Builds and deploys the unmodified template into the emulator, with the real SAM CLI."""

# ruff: noqa: S603 (starting programs is what this is for)
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.fake_scalekit import seed
from infra.local.packaging import PackagingError, finish
from infra.local.processes import StackError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_secretsmanager import SecretsManagerClient

STACK = "mcp-valet-local"
REGION = "us-east-1"
ENDPOINT = "http://127.0.0.1:4566"
PARAMETERS = {
    "Stage": "local",
    "AppName": "Demo app",
    "PublicUrl": "http://127.0.0.1:8400",
    "VerifyUrl": "http://127.0.0.1:8500/verify",
    "ProviderOverride": "http://127.0.0.1:4700",
    "McpOAuthIssuer": "http://127.0.0.1:4800",  # runs only where a test starts it
    "McpOAuthConfig": "email-calendar-assistant",
}
OAUTH_CLIENTS = {
    "google": {
        "client_id": "demo.apps.googleusercontent.com",
        "client_secret": "GOCSPX-demo-secret",  # opens nothing but the fake Google
    }
}
SCALEKIT = "http://127.0.0.1:4900"
SCALEKIT_SECRET = "mcp-valet-local/scalekit"  # noqa: S105 (its name)
SCALEKIT_CLIENT = {
    "SCALEKIT_ENV_URL": SCALEKIT,
    "SCALEKIT_CLIENT_ID": seed.CLIENT_ID,
    "SCALEKIT_CLIENT_SECRET": seed.CLIENT_SECRET,
}
_FAILED = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")
_KNOCK_ON = ("cancelled", "Resource creation", "The following resource(s) failed")


@dataclass(frozen=True)
class Layout:
    """Where things are, below the repository's root."""

    root: Path

    @property
    def template(self) -> Path:
        return self.root / "template.yaml"

    @property
    def build(self) -> Path:
        return self.root / ".local" / "build"

    @property
    def sam(self) -> Path:
        return self.root / ".local" / "venv-sam" / "bin" / "sam"


def architecture(machine: str = platform.machine()) -> str:
    """Give Lambda's name of this machine's architecture: functions run on it directly."""
    return "arm64" if machine.lower() in ("arm64", "aarch64") else "x86_64"


def parameters(backend: str) -> dict[str, str]:
    """Give the template's parameters for this machine, but where Scalekit's secret is."""
    known = {**PARAMETERS, "Architecture": architecture(), "Backend": backend}
    if backend == "scalekit":
        # Said to be empty rather than left out: SAM keeps what the deployment before was given.
        known |= {name: "" for name in known if name.startswith("McpOAuth")}
    return known


def fingerprint(layout: Layout) -> str:
    """Hash what a deployment is made of: sources, template, lock and parameters."""
    digest = hashlib.sha256(json.dumps(parameters(""), sort_keys=True).encode())
    for file in _sources(layout.root):
        digest.update(f"\0{file.relative_to(layout.root)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    yield from (root / name for name in ("template.yaml", "uv.lock"))
    yield from (root / "infra" / "local" / name for name in ("packaging.py", "trimming.py"))
    yield from sorted(
        file
        for file in (root / "functions").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )


def local_env(home: Path) -> dict[str, str]:
    """Give an environment in which no AWS account but the emulator can be reached."""
    kept = {name: os.environ[name] for name in ("LANG", "PATH", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": ENDPOINT,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",
    }


def build(layout: Layout, stamp: str, log: Path) -> bool:
    """Build the package unless it is there already; say whether there was work."""
    kept = layout.build / ".stamp"
    if kept.exists() and kept.read_text() == stamp:
        return False
    kept.unlink(missing_ok=True)
    # The whole environment: pip's settings (mirrors, certificates, proxies) are the user's own.
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}
    env["PATH"] = os.pathsep.join([str(layout.sam.parent), os.environ.get("PATH", os.defpath)])
    overrides = f"Architecture={architecture()}"
    _run(
        [
            *(str(layout.sam), "build", "--cached", "--config-env", "local"),
            *("--build-dir", str(layout.build), "--cache-dir", str(layout.root / ".local/cache")),
            *("--parameter-overrides", overrides),
        ],
        layout.root,
        env,
        log,
        "sam build",
    )
    try:
        finish(layout.build)
    except PackagingError as error:
        raise StackError(str(error)) from error
    kept.write_text(stamp)
    return True


def deploy(layout: Layout, home: Path, log: Path, backend: str) -> None:
    """Deploy the built template; on failure say which resources failed and why."""
    chosen = parameters(backend)
    if backend == "scalekit":
        chosen["ScalekitSecretArn"] = _put_scalekit_secret()
    overrides = [f"{name}={_quoted(value)}" for name, value in chosen.items()]
    command = [
        *(str(layout.sam), "deploy", "--config-env", "local"),
        *("--config-file", str(layout.root / "samconfig.toml")),
        *("--template-file", str(layout.build / "template.yaml")),
        *("--parameter-overrides", " ".join(overrides)),
    ]
    try:
        _run(command, layout.root, local_env(home), log, "sam deploy")
    except StackError as error:
        raise StackError(reasons(_failures()) or str(error)) from error


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value or not value else value


def _run(command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path, what: str) -> None:
    with log.open("ab") as output:
        done = subprocess.run(
            command, cwd=cwd, env=dict(env), stdout=output, stderr=output, check=False
        )
    if done.returncode:
        said = [line.strip() for line in log.read_text(errors="replace").splitlines()]
        last = next((line for line in reversed(said) if line.startswith("Error")), "")
        raise StackError(f"{what} failed. {last} (all of it: {log})")


def cloudformation() -> "CloudFormationClient":
    """Give a client of the emulator's CloudFormation, whatever the environment says."""
    return boto3.client(
        "cloudformation",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the emulator's root key)
        config=Config(connect_timeout=2, retries={"total_max_attempts": 2}),
    )


def outputs() -> dict[str, str]:
    """Read the stack's outputs."""
    stack = cloudformation().describe_stacks(StackName=STACK)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def _failures() -> list[tuple[str, str]]:
    try:
        events = cloudformation().describe_stack_events(StackName=STACK)["StackEvents"]
    except (BotoCoreError, ClientError):  # there may be no stack at all
        return []
    return [
        (event.get("LogicalResourceId", "?"), event.get("ResourceStatusReason", "no reason given"))
        for event in reversed(events)
        if event.get("ResourceStatus") in _FAILED
    ]


def reasons(failures: Sequence[tuple[str, str]]) -> str:
    """Say in two lines at most what failed first; what fell with it explains nothing."""
    own = [
        (name, reason)
        for name, reason in failures
        if name != STACK and not any(phrase in reason for phrase in _KNOCK_ON)
    ]
    return "\n".join(f"{name}: {' '.join(reason.split())}" for name, reason in own[:2])


def put_oauth_clients(secret: str) -> None:
    """Store the fake Google's OAuth client where an operator would store a real one."""
    _secrets().put_secret_value(SecretId=secret, SecretString=json.dumps(OAUTH_CLIENTS))


def _put_scalekit_secret() -> str:
    """Store the fake Scalekit's API client where an operator would store a real one."""
    client, text = _secrets(), json.dumps(SCALEKIT_CLIENT)
    try:
        return client.create_secret(Name=SCALEKIT_SECRET, SecretString=text)["ARN"]
    except client.exceptions.ResourceExistsException:
        return client.put_secret_value(SecretId=SCALEKIT_SECRET, SecretString=text)["ARN"]


def _secrets() -> "SecretsManagerClient":
    return boto3.client(
        "secretsmanager",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the emulator's root key)
    )
