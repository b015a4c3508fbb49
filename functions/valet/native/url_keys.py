"""The key in an MCP URL: the same every time, and nothing at rest can reproduce it.

`mvk_` and what `signed_keys` makes of the instance's id and the URL's generation. The instance
record decides whether the generation still lives. Rolling the ring keeps old URLs: an instance
remembers its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Misconfigured
from valet.models import InstanceId
from valet.native.signed_keys import SignedForm

if TYPE_CHECKING:
    from valet.native.key_ring import Signers

_ID_BYTES = 16
_FORM = SignedForm("mvk_", b"mcp-url:", f"{_ID_BYTES}sI")  # instance, generation


@dataclass(frozen=True, slots=True)
class UrlKey:
    """What a well-signed key says: not yet whether it still lives."""

    instance: InstanceId
    generation: int
    key_id: str


@dataclass(frozen=True, slots=True)
class UrlKeys:
    signers: Signers

    def current_key_id(self) -> str:
        return self.signers.current_key_id()

    def derive(self, key: UrlKey) -> str:
        """The same URL key every time.

        Raises:
            Misconfigured: the ring has lost the key that signed this instance's URL.
        """
        signer = self.signers.find(key.key_id)
        if signer is None:
            raise Misconfigured(
                f"the URL keys secret has lost key {key.key_id!r}: put it back, or rotate the URL"
            )
        return _FORM.write(signer, key.key_id, id_bytes(key.instance), key.generation)

    def parse(self, text: str) -> UrlKey | None:
        """The key's content if it was signed by this ring, else None; all wrong keys look alike."""
        signed = _FORM.read(text, self.signers)
        if signed is None:
            return None
        key_id, (instance, generation) = signed
        return UrlKey(id_of(instance), generation, key_id)


def id_of(instance: bytes) -> InstanceId:
    return InstanceId(f"ins_{instance.hex()}")


def id_bytes(instance: InstanceId) -> bytes:
    return bytes.fromhex(instance.removeprefix("ins_"))
