"""Starts MiniStack with our additions: the AWS endpoint, and the deployed API on a port of its own.

python -m infra.local.emulator --port 4566 --api-port 8400 --scratch DIR
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.local import (
    alarms,
    httpapi_fidelity,
    httpapi_import,
    iam_conditions,
    lambda_sandbox,
)
from infra.local.httpapi_root import Receive, RootListener, Scope, Send
from infra.local.pins import check_version, pinned

HOST = "127.0.0.1"
REGION = "us-east-1"


def settings(port: int, scratch: Path) -> dict[str, str]:
    """Give the whole environment of the emulator, most of which functions inherit."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,  # the default would listen on every interface
        "IOT_MTLS_ENABLED": "0",
        "AUTH": "true",  # IAM policies are enforced
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LOG_LEVEL": "INFO",
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--api-port", type=int, default=8400)
    parser.add_argument("--stack", default="mcp-valet-local")
    parser.add_argument("--api", default="Api", help="logical id of the API to serve")
    parser.add_argument("--scratch", type=Path, required=True)
    options = parser.parse_args(argv)

    check_version()
    scratch = options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    # MiniStack reads its settings while it is imported, and workers inherit what is left here.
    os.environ.clear()
    os.environ.update(settings(options.port, scratch))
    alarms.install()
    httpapi_import.install()
    httpapi_fidelity.install()
    iam_conditions.install()
    lambda_sandbox.install(scratch)
    api_id = httpapi_import.stable_api_id(options.stack, options.api)
    try:
        asyncio.run(_serve(options.port, options.api_port, api_id))
    except OSError as error:
        sys.exit(f"emulator: cannot listen: {error}")
    return 0


async def _serve(port: int, api_port: int, api_id: str) -> None:
    emulator = pinned("ministack.app", "app").app
    config = pinned("hypercorn.config", "Config").Config()
    config.bind = [f"{HOST}:{port}", f"{HOST}:{api_port}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    # Our own limit answers first, with API Gateway's words.
    config.h11_max_incomplete_size = 256 * 1024
    root = RootListener(api_id, REGION)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        own_port = scope["type"] == "http" and scope["server"][1] == api_port
        await (root if own_port else emulator)(scope, receive, send)

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serve = pinned("hypercorn.asyncio", "serve").serve
    await serve(application, config, shutdown_trigger=stopping.wait)


if __name__ == "__main__":
    sys.exit(main())
