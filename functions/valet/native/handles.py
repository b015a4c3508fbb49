"""Handles: what a client keeps for us and brings back, such as a place in a list.

A client may edit, swap or keep one, so each is signed for the one caller that it was made for,
and for what it is about: having another's is worth nothing. They run out, and nothing of them is
stored.

base64url, without padding, of: key id, end of life, content, HMAC-SHA-256 over these and what the
handle is bound to. Whoever holds one can read its content, so that is never a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.native.clock import Clock, epoch, utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from valet.models import Secret
    from valet.native.key_ring import Signers

_HEAD = struct.Struct(">8sQ")  # key id padded with NUL, end of life in epoch seconds
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Handles:
    """Makes and reads handles under the ring that signs URLs, with a label of their own."""

    signers: Signers
    now: Clock = utc_now

    def of(self, caller: str) -> CallerHandles:
        """Those of one caller."""
        return CallerHandles(self.signers, caller, self.now)


@dataclass(frozen=True, slots=True)
class CallerHandles:
    """The handles of one caller: nobody else's can be read here, and these nowhere else."""

    signers: Signers
    caller: str
    now: Clock

    def issue(self, about: Sequence[str], content: str, lifetime: timedelta) -> str:
        """A handle that is good until `lifetime` is over, for what it is `about` and nothing else.

        Raises:
            Busy: the key ring cannot be read.
        """
        key_id, signer = self.signers.current()
        until = epoch(self.now() + lifetime)
        body = _HEAD.pack(key_id.encode(), until) + content.encode()
        return _encoded(body + self._mac(signer, about, body))

    def read(self, about: Sequence[str], handle: str) -> str | None:
        """The content of a living handle that is about just this; None for every other."""
        raw = _decoded(handle)
        if raw is None or len(raw) < _HEAD.size + _MAC_BYTES:
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        padded, until = _HEAD.unpack_from(body)
        signer = self.signers.find(padded.rstrip(b"\0").decode("ascii", errors="replace"))
        if signer is None or not hmac.compare_digest(self._mac(signer, about, body), mac):
            return None
        return body[_HEAD.size :].decode() if epoch(self.now()) < until else None

    def _mac(self, signer: Secret, about: Sequence[str], body: bytes) -> bytes:
        # JSON keeps the parts apart: ("a", "bc") is not ("ab", "c"); and it has no raw NUL.
        bound = json.dumps([self.caller, *about]).encode()
        signed = b"mcp-handle:" + bound + b"\0" + body
        return hmac.digest(signer.reveal().encode(), signed, hashlib.sha256)


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes | None:
    """Only one spelling counts: Python's decoder skips characters that it does not know."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return raw if _encoded(raw) == text else None
