"""The private names of MiniStack that our additions lean on, checked before anything is patched.

MiniStack releases often and promises nothing about its internals. A name that is gone must stop
the emulator at once and say why, not surface as a strange answer in some test.
"""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PIN = "1.5.33"


def check_version() -> None:
    """Stop unless the emulator installed is the one that the additions were written for."""
    try:
        found = version("ministack")
    except PackageNotFoundError:
        sys.exit(f"emulator: ministack=={PIN} is not installed here: start it with `make up`")
    if found != PIN:
        sys.exit(f"emulator: our additions are written for ministack=={PIN}, found {found}")


def pinned(module: str, *names: str) -> Any:
    """Import a module of MiniStack and vouch for the names that the caller reads or replaces."""
    loaded = importlib.import_module(module)
    missing = [name for name in names if not hasattr(loaded, name)]
    if missing:
        sys.exit(
            f"emulator: {module} has no {', '.join(missing)}: "
            f"our additions are written for ministack=={PIN}"
        )
    return loaded
