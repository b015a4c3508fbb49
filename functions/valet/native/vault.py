"""The port to the vault: sealing what must be unreadable at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from valet.errors import ValetError

if TYPE_CHECKING:
    from valet.models import UserKey


type Purpose = Literal["tokens", "authorization"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose secret it is and what for; a sealed value opens for exactly this and nothing else."""

    user: UserKey
    connection: str
    connector: str
    purpose: Purpose


class SealBroken(ValetError):
    """A sealed value was edited, truncated, or moved to another owner: never served, alarmed."""

    code = "seal_broken"

    def __init__(self) -> None:
        super().__init__(
            "what is stored for this connection cannot be trusted and was not used: "
            "disconnect and connect again"
        )


class Vault(Protocol):
    def seal(self, plaintext: bytes, owner: Owner) -> bytes: ...

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        """
        Raises:
            SealBroken: not what was sealed for this owner.
            Busy: the key service is unavailable; says nothing about the value.
        """
        ...
