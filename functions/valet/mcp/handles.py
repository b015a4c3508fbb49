"""The port through which the protocol signs what a client keeps for it and brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class Handles(Protocol):
    """The handles of one caller; another caller's cannot be read here."""

    def issue(self, about: Sequence[str], content: str, lifetime: timedelta) -> str:
        """A handle that is good until `lifetime` is over, for what it is `about` and nothing else.

        The client can read `content`, and not change it.
        """
        ...

    def read(self, about: Sequence[str], handle: str) -> str | None:
        """The content of a living handle that is about just this; None for every other."""
        ...
