"""Runs the fake Scalekit: `python -m infra.local.fake_scalekit --port 4900`."""

from __future__ import annotations

import argparse

import uvicorn

from infra.local.fake_google.__main__ import CLIENT_ID, CLIENT_SECRET

from .app import build
from .google import Google
from .world import World


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="infra.local.fake_scalekit", description=__doc__)
    parser.add_argument("--port", type=int, default=4900)
    parser.add_argument("--google", default="http://127.0.0.1:4700", help="the fake Google")
    parser.add_argument("--log-level", default="warning")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    base = f"http://127.0.0.1:{given.port}"
    world = World(base, Google(given.google, CLIENT_ID, CLIENT_SECRET))
    print(f"Fake Scalekit on {base}", flush=True)
    # Never on another interface: it gives tokens to whoever asks.
    uvicorn.run(build(world), host="127.0.0.1", port=given.port, log_level=given.log_level)


if __name__ == "__main__":
    main()
