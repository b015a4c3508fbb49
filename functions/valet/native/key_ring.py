"""The ring of signing keys: one signs, the others still vouch for what they signed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Misconfigured
from valet.models import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEY_ID = re.compile(r"[A-Za-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The signing keys by id, and which one signs what is new."""

    current: str
    keys: Mapping[str, Secret]

    @classmethod
    def parse(cls, secret: Mapping[str, object]) -> KeyRing:
        """From the secret's JSON: `{"current": "k2", "k1": "…", "k2": "…"}`.

        Raises:
            Misconfigured: no usable key, or a key shorter than 32 characters.
        """
        keys = {name: Secret(str(v)) for name, v in secret.items() if name != "current"}
        current = str(secret.get("current", ""))
        usable = all(_KEY_ID.fullmatch(k) and len(v.reveal()) >= 32 for k, v in keys.items())
        if current not in keys or not usable:
            raise Misconfigured(
                'the URL keys secret must read {"current": "k1", "k1": "<32 or more characters>"}'
            )
        return cls(current, keys)


@dataclass(frozen=True, slots=True)
class Signers:
    """The ring at work."""

    ring: Callable[[], KeyRing]
    latest: Callable[[], KeyRing] | None = None  # the ring past its cache

    def current_key_id(self) -> str:
        return self.ring().current

    def current(self) -> tuple[str, Secret]:
        """What signs now: the key's id, and the key."""
        ring = self.ring()
        return ring.current, ring.keys[ring.current]

    def find(self, key_id: str) -> Secret | None:
        """The key of that id; one that was just added to the ring is found too."""
        signer = self.ring().keys.get(key_id)
        if signer is None and self.latest:
            signer = self.latest().keys.get(key_id)
        return signer
