"""The README's section on clients: its programs, and what its table says of each client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from infra.local.stack import ROOT

_PROGRAM: Final = re.compile(r"<!-- run: ([^>]+) -->\n```(\w+)\n(.*?)\n```\n", re.DOTALL)
_JSON: Final = re.compile(r"```json\n(.*?)```\n", re.DOTALL)
_FENCE: Final = re.compile(r"```(?:python|js)\n")


@dataclass(frozen=True)
class Program:
    """A whole program, as the page has it; it takes a tool and the arguments as JSON."""

    language: str
    text: str


@dataclass(frozen=True)
class Row:
    """What the table says of a client that is run here."""

    version: str
    revision: str
    credentials: list[str]
    link: str


@cache
def section() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## Point a client at a URL\n")[2].partition("\n## ")[0]


@cache
def programs() -> dict[str, Program]:
    """Each program, by its client's name."""
    return {name: Program(language, text) for name, language, text in _found()}


@cache
def table() -> dict[str, Row]:
    """The rows of those that are run here, by the client's name without its language."""
    rows = {}
    for line in section().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[-1] == "yes":
            name = cells[0].rpartition(", ")[2].replace("`", "")
            rows[name] = Row(cells[1], cells[2], cells[3].split(", "), cells[4])
    return rows


def json_blocks() -> list[str]:
    return _JSON.findall(section())


def unrun() -> int:
    """How many blocks of a program's language are not marked to be run."""
    return len(_FENCE.findall(section())) - sum(kind != "sh" for _, kind, _ in _found())


def _found() -> list[tuple[str, str, str]]:
    return list(_PROGRAM.findall(section()))
