"""The key in an MCP URL: derived, so nothing at rest can reproduce it.

`mvk_` + base64url(instance id, generation, key id, HMAC-SHA-256 over them) + 6 characters of
CRC-32. The prefix and the checksum let secret scanners recognise one, and refuse a typo; the HMAC
refuses a guess before any database read. The instance record then decides whether the generation
still lives. Rolling the ring keeps old URLs: an instance remembers its key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Misconfigured
from valet.models import InstanceId, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "mvk_"
_ID_BYTES = 16
_HEAD = struct.Struct(f">{_ID_BYTES}sI8s")  # instance, generation, key id padded with NUL
_MAC_BYTES = 32
_BODY_CHARS = 80  # base64url of 28 + 32 bytes, no padding
_CHECK_CHARS = 6
_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{{_BODY_CHARS}}}[0-9a-zA-Z]{{{_CHECK_CHARS}}}")
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_ID = re.compile(r"[A-Za-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The signing keys by id, and which one signs new URLs."""

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
class UrlKey:
    """What a well-signed key says: not yet whether it still lives."""

    instance: InstanceId
    generation: int
    key_id: str


@dataclass(frozen=True, slots=True)
class UrlKeys:
    ring: Callable[[], KeyRing]
    latest: Callable[[], KeyRing] | None = None  # the ring past its cache

    def current_key_id(self) -> str:
        return self.ring().current

    def derive(self, key: UrlKey) -> str:
        """The same URL key every time.

        Raises:
            Misconfigured: the ring has lost the key that signed this instance's URL.
        """
        signer = self._signer(key.key_id)
        if signer is None:
            raise Misconfigured(
                f"the URL keys secret has lost key {key.key_id!r}: put it back, or rotate the URL"
            )
        head = _HEAD.pack(_instance_bytes(key.instance), key.generation, key.key_id.encode())
        body = urlsafe_b64encode(head + _mac(signer, head)).decode().rstrip("=")
        return f"{PREFIX}{body}{_checksum(body)}"

    def parse(self, text: str) -> UrlKey | None:
        """The key's content if it was signed by this ring, else None; all wrong keys look alike."""
        if not _SHAPE.fullmatch(text):
            return None
        body, check = text[len(PREFIX) : -_CHECK_CHARS], text[-_CHECK_CHARS:]
        if not hmac.compare_digest(_checksum(body), check):
            return None
        raw = urlsafe_b64decode(body)
        head, mac = raw[: _HEAD.size], raw[_HEAD.size :]
        instance, generation, padded = _HEAD.unpack(head)
        key_id = padded.rstrip(b"\0").decode("ascii", errors="replace")
        signer = self._signer(key_id)
        if signer is None or not hmac.compare_digest(_mac(signer, head), mac):
            return None
        return UrlKey(InstanceId(f"ins_{instance.hex()}"), generation, key_id)

    def _signer(self, key_id: str) -> Secret | None:
        signer = self.ring().keys.get(key_id)
        if signer is None and self.latest:
            signer = self.latest().keys.get(key_id)
        return signer


def new_instance_id(random: Callable[[int], bytes]) -> InstanceId:
    return InstanceId(f"ins_{random(_ID_BYTES).hex()}")


def _instance_bytes(instance: InstanceId) -> bytes:
    return bytes.fromhex(instance.removeprefix("ins_"))


def _mac(signer: Secret, head: bytes) -> bytes:
    # The label keeps the ring's other uses (cursors, say) from producing a URL.
    return hmac.digest(signer.reveal().encode(), b"mcp-url:" + head, hashlib.sha256)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_CHARS):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
