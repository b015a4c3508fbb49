"""The vault: AES-256-GCM under a data key of its own, wrapped by KMS.

KMS `Encrypt` alone would cap at 4,096 bytes, less than some providers' tokens. The owner is bound
twice: as the KMS encryption context (who may unwrap, and what CloudTrail shows: ids, no e-mail) and
as the associated data of the GCM. A value that was moved to another owner opens under neither.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from valet.errors import Busy
from valet.native.vault import Owner, SealBroken

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_kms import KMSClient

_FORMAT = b"\x01"
_NONCE = 12
_CACHE_SECONDS = 300.0  # how long a disabled key may go on opening what a warm function opened
_CACHE_SIZE = 1000
_NOT_THE_VALUE = ("InvalidCiphertextException", "IncorrectKeyException")

type _Context = tuple[tuple[str, str], ...]


class KmsVault:
    """`valet.native.vault.Vault` over one KMS key.

    A sealed value is: format (1 byte), length of the wrapped key (2 bytes), wrapped key, nonce
    (12 bytes), ciphertext and tag.
    """

    def __init__(
        self, client: KMSClient, key_arn: str, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._key_arn = key_arn
        self._elapsed = elapsed
        self._unwrapped: OrderedDict[tuple[bytes, _Context], tuple[bytes, float]] = OrderedDict()

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        context = _context(owner)
        try:
            data_key = self._client.generate_data_key(
                KeyId=self._key_arn, KeySpec="AES_256", EncryptionContext=dict(context)
            )
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        wrapped, key = data_key["CiphertextBlob"], data_key["Plaintext"]
        self._remember(wrapped, context, key)
        nonce = os.urandom(_NONCE)
        box = AESGCM(key).encrypt(nonce, plaintext, _associated(context))
        return _FORMAT + len(wrapped).to_bytes(2) + wrapped + nonce + box

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        context = _context(owner)
        length = int.from_bytes(sealed[1:3])
        wrapped, rest = sealed[3 : 3 + length], sealed[3 + length :]
        if sealed[:1] != _FORMAT or len(wrapped) != length or len(rest) <= _NONCE:
            raise SealBroken
        key = self._unwrap(wrapped, context)
        try:
            return AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], _associated(context))
        except (InvalidTag, ValueError):  # ValueError: a forged wrapped key of another length
            raise SealBroken from None

    def _unwrap(self, wrapped: bytes, context: _Context) -> bytes:
        cached = self._unwrapped.get((wrapped, context))
        if cached and self._elapsed() - cached[1] < _CACHE_SECONDS:
            return cached[0]
        if not wrapped:
            raise SealBroken
        try:
            key = self._client.decrypt(
                KeyId=self._key_arn, CiphertextBlob=wrapped, EncryptionContext=dict(context)
            )["Plaintext"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THE_VALUE:
                raise SealBroken from None
            raise _unavailable() from error
        except BotoCoreError as error:
            raise _unavailable() from error
        self._remember(wrapped, context, key)
        return key

    def _remember(self, wrapped: bytes, context: _Context, key: bytes) -> None:
        self._unwrapped[wrapped, context] = (key, self._elapsed())
        while len(self._unwrapped) > _CACHE_SIZE:
            self._unwrapped.popitem(last=False)


def _context(owner: Owner) -> _Context:
    return (
        ("connection", owner.connection),
        ("connector", owner.connector),
        ("purpose", owner.purpose),
        ("service", "mcp-valet"),
        ("user", owner.user),
    )


def _associated(context: _Context) -> bytes:
    return _FORMAT + "\0".join(f"{name}={value}" for name, value in context).encode()


def _unavailable() -> Busy:
    # Whatever KMS says, the stored grant is as good as before: never a reason to re-authorize.
    return Busy("the vault is not available: try again in a few seconds", code="vault_unavailable")
