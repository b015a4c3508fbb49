"""Secrets are compared in constant time, or found by hash: the code has no other comparison."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.infra.template_support import ROOT
from valet.models import Secret

# What a value that nobody may guess is called here. A comparison with one stops at the first byte
# that differs, and tells by its time how far a guess was right. Tokens are `Secret`s, which compare
# in constant time; a nonce is looked for in what the provider answered, where nobody guesses.
SECRETS = {"authorization", "authorization_id", "check", "checksum", "code_verifier", "cookie"}
SECRETS |= {"digest", "hmac", "key_text", "mac", "password", "reveal", "signature", "state"}
SECRETS |= {"ticket", "verifier"}
SOURCES = sorted((ROOT / "functions").rglob("*.py"))


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=called):
            return name_of(called)
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def comparisons(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            by_value = any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
            operands = [node.left, *node.comparators]
            literal = any(isinstance(operand, ast.Constant) for operand in operands)
            if by_value and not literal and SECRETS & {name_of(part) for part in operands}:
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(Path(path).relative_to(ROOT)))
def test_no_secret_is_compared_byte_by_byte(path: Path) -> None:
    assert comparisons(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["mac != given", "a.signature == b", "token.reveal() == x", "record['state'] != state"],
)
def test_such_a_comparison_would_be_seen(source: str) -> None:
    assert comparisons(source)


def test_secrets_compare_by_their_whole_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("\u00e9") != Secret("e")
    assert Secret("a") != "a"
