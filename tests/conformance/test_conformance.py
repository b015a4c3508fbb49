"""The official conformance suite against what is deployed: by name, and nothing unaccounted for.

`test_server` has the suite's tools, so what a server without streams can pass at all has to pass
there. The product's own URL has none of them and passes the scenarios that need none.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from tests.conformance import suite
from tests.conformance.deployed import PACKAGE
from tests.e2e.deployed import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_EVERY: Final = [
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
]
_LEGACY: Final = ["server-initialize", "ping", *_EVERY]
_2025: Final = ["json-schema-2020-12", "dns-rebinding-protection"]
_ROUNDS: Final = [
    f"input-required-result-{name}"
    for name in (
        "basic-elicitation",
        "basic-sampling",
        "basic-list-roots",
        "request-state",
        "multiple-input-requests",
        "multi-round",
        "missing-input-response",
        "result-type",
        "unsupported-methods",
        "tampered-state",
        "capability-check",
        "ignore-extra-params",
        "validate-input",
    )
]
_STATELESS: Final = [
    "server-stateless",
    "server-sse-multiple-streams",
    "caching",
    "http-header-validation",
    "http-custom-header-server-validation",
]
PASSES: Final = {
    ("0.1", "2025-11-25"): [*_LEGACY, *_2025],
    ("0.2", "2025-06-18"): _LEGACY,
    ("0.2", "2025-11-25"): [*_LEGACY, *_2025],
    ("0.2", "2026-07-28"): [*_EVERY, *_2025, *_STATELESS, *_ROUNDS],
}
# What a scenario only notes: there is no session, so none of it applies.
NOTES: Final = {"server-session-lifecycle"}
PRODUCT: Final = [
    *(("2025-06-18", name) for name in ("server-initialize", "ping", "tools-list")),
    *(("2025-11-25", name) for name in ("server-initialize", "ping", "tools-list")),
    ("2025-11-25", "dns-rebinding-protection"),
    ("2026-07-28", "tools-list"),
    ("2026-07-28", "dns-rebinding-protection"),
    ("2026-07-28", "http-header-validation"),
    ("2026-07-28", "input-required-result-unsupported-methods"),
    ("2026-07-28", "server-stateless"),
    ("2026-07-28", "caching"),
]


@pytest.mark.parametrize(
    ("version", "revision", "scenario"),
    [(*suite_and_revision, name) for suite_and_revision, names in PASSES.items() for name in names],
)
def test_a_scenario_passes(
    version: str,
    revision: str,
    scenario: str,
    report: Callable[[str, str], suite.Report],
) -> None:
    expected = suite.expected_failures(f"{version}-{revision}.yml")
    assert_passes(report(version, revision).of(scenario), scenario, expected)


@pytest.mark.parametrize(("version", "revision"), PASSES)
def test_what_fails_is_just_what_is_listed(
    version: str, revision: str, report: Callable[[str, str], suite.Report]
) -> None:
    found = report(version, revision)
    assert found.agreed, found.output[-4000:]
    listed = suite.expected_failures(f"{version}-{revision}.yml")
    named = {*PASSES[version, revision], *(entry.partition(":")[0] for entry in listed)}
    assert {check.scenario for check in found.checks} - NOTES == named


@pytest.mark.parametrize(("revision", "scenario"), PRODUCT)
def test_a_scenario_without_tools_passes_on_a_users_own_url(
    revision: str, scenario: str, product: str, tmp_path: Path
) -> None:
    options = ["--scenario", scenario, "--spec-version", revision]
    found = suite.run("0.2", product, tmp_path, "product.yml", *options)
    assert found.agreed, found.output[-4000:]
    assert_passes(found.of(scenario), scenario, suite.expected_failures("product.yml"))


@pytest.mark.parametrize("file", sorted(file.name for file in suite.EXPECTED.glob("*.yml")))
def test_every_expected_failure_has_its_reason(file: str) -> None:
    listed = suite.expected_failures(file)
    assert listed
    assert [entry for entry, reason in listed.items() if len(reason) < 15] == []


def test_the_readme_counts_what_passes_and_what_cannot() -> None:
    rows = [
        f"| {revision} | {version} | {len(names)} | {len(cannot(version, revision))} |"
        for (version, revision), names in PASSES.items()
    ]
    readme = (ROOT / "README.md").read_text()
    assert [row for row in rows if row not in readme] == []


def cannot(version: str, revision: str) -> set[str]:
    """The scenarios that fail as a whole."""
    listed = suite.expected_failures(f"{version}-{revision}.yml")
    return {entry for entry in listed if ":" not in entry}


def test_the_package_that_is_deployed_holds_nothing_of_the_suite() -> None:
    names = zipfile.ZipFile(PACKAGE).namelist()
    assert "mcp_server.py" in names
    assert [name for name in names if name.startswith("tests/") or "conformance" in name] == []


def assert_passes(checks: list[suite.Check], scenario: str, expected: dict[str, str]) -> None:
    failed = {f"{check.scenario}:{check.id}": check.message for check in checks if check.failed}
    assert {name: said for name, said in failed.items() if name not in expected} == {}
    assert any(check.status == "SUCCESS" for check in checks), f"{scenario} looked at nothing"
