"""Runs the demo app: `python -m infra.local.app --user-pool … --client …`."""

from __future__ import annotations

import argparse
import os

import httpx
import uvicorn

from .app import DemoApp, build
from .people import CognitoPeople
from .valet import Valet


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="infra.local.app", description=__doc__)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--api", default=os.environ.get("API_URL", "http://127.0.0.1:8400"))
    parser.add_argument("--user-pool", default=os.environ.get("USER_POOL_ID"))
    parser.add_argument("--client", default=os.environ.get("USER_POOL_CLIENT_ID"))
    parser.add_argument(
        "--config", default=os.environ.get("MCP_CONFIG", "email-calendar-assistant")
    )
    parser.add_argument("--log-level", default="warning")
    given = parser.parse_args()
    if not given.user_pool or not given.client:
        parser.error("give --user-pool and --client, or USER_POOL_ID and USER_POOL_CLIENT_ID")
    return given


def main() -> None:
    given = _arguments()
    # boto3 finds the stack by AWS_ENDPOINT_URL, the region and the credentials of the environment.
    people = CognitoPeople(given.user_pool, given.client)
    valet = Valet(httpx.AsyncClient(base_url=given.api, timeout=30), given.config)
    origin = f"http://127.0.0.1:{given.port}"
    print(f"Demo app on {origin}", flush=True)
    app = build(DemoApp(valet, people.sign_in), origin)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level=given.log_level)


if __name__ == "__main__":
    main()
