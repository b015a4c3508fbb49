"""Credentials that are derived, so that nothing at rest can reproduce one.

A prefix + base64url(content, key id, HMAC-SHA-256 over them) + 6 characters of CRC-32. The prefix
and the checksum let secret scanners recognise one, and refuse a typo; the HMAC refuses a guess
before any database read. What a well-signed one opens is decided by what is stored, not by it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valet.models import Secret
    from valet.native.key_ring import Signers

_KEY_ID = "8s"  # padded with NUL
_MAC_BYTES = 32
_CHECK_CHARS = 6
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class SignedForm:
    """One kind of such credential.

    `layout` is struct's for the content. The label keeps what is signed for one kind from being
    taken as another. Content, key id and HMAC fill base64's groups of three bytes, so that a
    credential has one spelling.
    """

    def __init__(self, prefix: str, label: bytes, layout: str) -> None:
        self._head = struct.Struct(f">{layout}{_KEY_ID}")
        whole, rest = divmod(self._head.size + _MAC_BYTES, 3)
        if rest:
            raise ValueError("the content leaves stray bits in base64")
        self._prefix = prefix
        self._label = label
        self._shape = re.compile(
            rf"{prefix}[A-Za-z0-9_-]{{{whole * 4}}}[0-9a-zA-Z]{{{_CHECK_CHARS}}}"
        )

    def write(self, signer: Secret, key_id: str, *content: Any) -> str:
        head = self._head.pack(*content, key_id.encode())
        body = urlsafe_b64encode(head + self._mac(signer, head)).decode()
        return f"{self._prefix}{body}{checksum(body)}"

    def read(self, text: str, signers: Signers) -> tuple[str, tuple[Any, ...]] | None:
        """Key id and content if it was signed by the ring, else None; all wrong ones look alike."""
        if not self._shape.fullmatch(text):
            return None
        body, check = text[len(self._prefix) : -_CHECK_CHARS], text[-_CHECK_CHARS:]
        if not hmac.compare_digest(checksum(body), check):
            return None
        raw = urlsafe_b64decode(body)
        head, mac = raw[: self._head.size], raw[self._head.size :]
        *content, padded = self._head.unpack(head)
        key_id = padded.rstrip(b"\0").decode("ascii", errors="replace")
        signer = signers.find(key_id)
        if signer is None or not hmac.compare_digest(self._mac(signer, head), mac):
            return None
        return key_id, tuple(content)

    def _mac(self, signer: Secret, head: bytes) -> bytes:
        return hmac.digest(signer.reveal().encode(), self._label + head, hashlib.sha256)


def checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_CHARS):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
