"""Runs the fake Google: `python -m infra.local.fake_google --port 4700`."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import uvicorn

from .app import build
from .grants import Client
from .seed import BUNDLED, load
from .world import World

CLIENT_ID = "demo.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-demo-secret"  # noqa: S105  # opens nothing but this fake


def demo_client(base: str, connections: list[str], also: list[str]) -> Client:
    """The OAuth client whose redirect URIs are exactly the callbacks of these connections."""
    callbacks = [f"{base.rstrip('/')}/oauth/callback/{name}" for name in connections]
    return Client(CLIENT_ID, CLIENT_SECRET, "Demo app", "demo", frozenset([*callbacks, *also]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="infra.local.fake_google", description=__doc__)
    parser.add_argument("--port", type=int, default=4700)
    parser.add_argument("--seed", type=Path, default=BUNDLED, help="people, mails and events")
    parser.add_argument(
        "--base-date",
        type=date.fromisoformat,
        default=date(2026, 11, 23),
        help="the day that the seed counts from",
    )
    parser.add_argument("--redirect-base", default="http://127.0.0.1:8400")
    parser.add_argument(
        "--connection",
        action="append",
        help="a connection whose callback is allowed (repeatable; default MY_GMAIL, MY_CALENDAR)",
    )
    parser.add_argument(
        "--redirect-uri", action="append", default=[], help="one more, in full (repeatable)"
    )
    parser.add_argument("--log-level", default="warning")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    connections = given.connection or ["MY_GMAIL", "MY_CALENDAR"]
    client = demo_client(given.redirect_base, connections, given.redirect_uri)
    world = World(load(given.seed), given.base_date, [client])
    print(f"Fake Google on http://127.0.0.1:{given.port}", flush=True)
    # Never on another interface: it gives tokens to whoever asks.
    uvicorn.run(build(world), host="127.0.0.1", port=given.port, log_level=given.log_level)


if __name__ == "__main__":
    main()
