"""Fixtures of the function tests."""

from __future__ import annotations

import pytest

from tests.functions.support import Bundle


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    return Bundle(monkeypatch)
