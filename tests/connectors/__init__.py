"""A connector that no package holds: a made-up provider, for tests of what is not Google's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import read_connector

if TYPE_CHECKING:
    from valet.connectors.models import Connector

HERE = Path(__file__).parent
NOTEBOARD = "noteboard"


def noteboard(**facts: Any) -> Connector:
    """The connector, with these facts about its provider instead."""
    connector = read_connector(HERE / NOTEBOARD, HERE / "providers")
    return replace(connector, provider=replace(connector.provider, **facts))
