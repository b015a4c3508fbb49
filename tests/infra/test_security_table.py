"""SECURITY.md's catalogue: each entry once, and every test that it names is there to fail."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.infra.template_support import ROOT

EXPECTED = {
    f"{part}{number}"
    for part, last in (("A", 30), ("B", 22), ("C", 26), ("E", 13), ("F", 12))
    for number in range(1, last + 1)
}
_ROW = re.compile(r"\| ([A-F]\d+) \| (.+?) \| (.+) \|")
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def rows() -> list[tuple[str, str, list[str]]]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("\n## Catalogue\n")[2]
    found = []
    for line in text.splitlines():
        if match := _ROW.fullmatch(line):
            found.append((match[1], match[2], match[3].split("<br>")))
        else:
            assert not re.match(r"\| *[A-F]\d", line), f"a row that cannot be read: {line}"
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_entry_of_the_catalogue_is_there_once() -> None:
    ids = [entry for entry, _, _ in rows()]
    assert sorted(ids) == sorted(EXPECTED)


@pytest.mark.parametrize(("entry", "required", "proofs"), rows(), ids=lambda value: str(value)[:4])
def test_every_proof_is_a_test_that_exists_or_a_reason(
    entry: str, required: str, proofs: list[str]
) -> None:
    assert proofs
    for proof in proofs:
        if match := _TEST.fullmatch(proof):
            path, name = match.groups()
            assert name in names_in(path), f"{entry}: {proof}"
        else:
            # `instead`: what is done in place of what the catalogue asks for, and why.
            assert re.fullmatch(r"(open|instead): \S.+", proof), f"{entry}: {proof}"
    tested = any(_TEST.fullmatch(proof) for proof in proofs)
    assert tested or proofs[0].startswith("open: ") or required.startswith("does not apply: ")
