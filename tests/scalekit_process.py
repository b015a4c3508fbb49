"""The fake Scalekit of the session: a process in its own environment, with a fake Google."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.scalekit_support import Scalekit, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def _scalekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scalekit]:
    logs: Path = tmp_path_factory.mktemp("scalekit")
    with started(logs) as scalekit:
        yield scalekit


@pytest.fixture
def scalekit(_scalekit: Scalekit) -> Scalekit:
    """Put back to its seed, with an access token."""
    _scalekit.reset()
    return _scalekit
