"""The descriptors in Scalekit's SDK, without the SDK: its own start takes a second and a client."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def _module(name: str) -> Any:
    return import_module(f"scalekit.v1.{name}.{name}_pb2")


def _package() -> ModuleType:
    """`scalekit` as a bare folder, so that its `__init__` is not run for what lies below it."""
    spec = importlib.util.find_spec("scalekit")
    assert spec is not None
    package = ModuleType("scalekit")
    package.__path__ = spec.submodule_search_locations or []
    return package


sys.modules.setdefault("scalekit", _package())
options = _module("options")
errdetails = _module("errdetails")
FILES = [_module(name) for name in ("mcp", "connected_accounts", "tools", "connections")]
