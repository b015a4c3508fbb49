"""Fixtures of the function tests."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from tests.functions.support import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    return Bundle(monkeypatch)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that would reach the log group."""
    stream = io.StringIO()
    everything = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel(logging.INFO)
    ours = [h for h in logging.getLogger("mcp-valet").handlers if hasattr(h, "setStream")]
    replaced = [(handler, handler.setStream(stream)) for handler in ours]
    yield stream
    for handler, old in replaced:
        handler.setStream(old)
    root.removeHandler(everything)
    root.setLevel(level)
