"""What the domain relies on in its vault: the same of the one in memory and of KMS.

Without the emulator, a small KMS of our own stands behind the real adapter: it wraps keys with
AES-GCM and takes the encryption context as associated data, as KMS does.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fakes import FakeVault
from valet.adapters.kms_vault import KmsVault
from valet.errors import Busy
from valet.models import UserKey
from valet.native.vault import Owner, SealBroken, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

ALICE = Owner(UserKey("a" * 40), "MY_GMAIL", "gmail", "tokens")
OTHERS = {
    "user": replace(ALICE, user=UserKey("b" * 40)),
    "connection": replace(ALICE, connection="WORK_MAIL"),
    "connector": replace(ALICE, connector="googlecalendar"),
    "purpose": replace(ALICE, purpose="authorization"),
}
PLAINTEXTS = {"short": b"x", "empty": b"", "long": os.urandom(20_000), "binary": bytes(range(256))}


class SmallKms:
    """The two calls of KMS that the vault makes."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.contexts: list[Mapping[str, str]] = []
        self.fails_with: Exception | None = None
        self._master = AESGCM(os.urandom(32))

    def generate_data_key(self, **sent: Any) -> Any:
        assert (sent["KeyId"], sent["KeySpec"]) == ("key", "AES_256")
        context = sent["EncryptionContext"]
        self._called("generate", context)
        key, nonce = os.urandom(32), os.urandom(12)
        wrapped = nonce + self._master.encrypt(nonce, key, _bound(context))
        return {"CiphertextBlob": wrapped, "Plaintext": key}

    def decrypt(self, **sent: Any) -> Any:
        assert sent["KeyId"] == "key"
        context, wrapped = sent["EncryptionContext"], sent["CiphertextBlob"]
        self._called("decrypt", context)
        try:
            key = self._master.decrypt(wrapped[:12], wrapped[12:], _bound(context))
            return {"Plaintext": key}
        except (InvalidTag, ValueError):
            raise refusal("InvalidCiphertextException") from None

    def _called(self, name: str, context: Mapping[str, str]) -> None:
        if self.fails_with:
            raise self.fails_with
        self.calls.append(name)
        self.contexts.append(context)


def _bound(context: Mapping[str, str]) -> bytes:
    return repr(sorted(context.items())).encode()


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "Decrypt")


class Ticks:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def kms_vault(kms: SmallKms, ticks: Ticks | None = None) -> KmsVault:
    return KmsVault(kms, "key", ticks or Ticks())  # type: ignore[arg-type]  # a part of the client


@pytest.fixture(params=["memory", "small kms", pytest.param("kms", marks=pytest.mark.emulator)])
def vaults(request: pytest.FixtureRequest) -> tuple[Vault, Vault]:
    """One that seals, and another function's, with nothing cached, that opens."""
    if request.param == "memory":
        return FakeVault(), FakeVault()
    if request.param == "small kms":
        kms = SmallKms()
        return kms_vault(kms), kms_vault(kms)
    client = request.getfixturevalue("aws")("kms")
    arn = request.getfixturevalue("key_arn")
    return KmsVault(client, arn), KmsVault(client, arn)


type Vaults = tuple[Vault, Vault]


@pytest.mark.parametrize("name", PLAINTEXTS)
def test_what_was_sealed_opens_for_its_owner(vaults: Vaults, name: str) -> None:
    sealing, opening = vaults
    sealed = sealing.seal(PLAINTEXTS[name], ALICE)
    assert opening.open(sealed, ALICE) == PLAINTEXTS[name]
    assert sealing.open(sealed, ALICE) == PLAINTEXTS[name]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_it_opens_for_no_other_owner(vaults: Vaults, name: str, warm: bool) -> None:
    sealing, opening = vaults
    sealed = sealing.seal(b"x", ALICE)
    if warm:
        opening.open(sealed, ALICE)
    with pytest.raises(SealBroken):
        opening.open(sealed, OTHERS[name])


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x01", b"\x01\x00\x00", b"not a seal" * 20])
def test_what_was_never_sealed_does_not_open(vaults: Vaults, value: bytes) -> None:
    with pytest.raises(SealBroken):
        vaults[1].open(value, ALICE)


# --- The real format: memory's has no parts to damage


@pytest.fixture(params=["small kms", pytest.param("kms", marks=pytest.mark.emulator)])
def real(request: pytest.FixtureRequest) -> tuple[KmsVault, KmsVault]:
    if request.param == "small kms":
        kms = SmallKms()
        return kms_vault(kms), kms_vault(kms)
    client = request.getfixturevalue("aws")("kms")
    arn = request.getfixturevalue("key_arn")
    return KmsVault(client, arn), KmsVault(client, arn)


def parts(sealed: bytes) -> dict[str, slice]:
    length = int.from_bytes(sealed[1:3])
    ends = [0, 1, 3, 3 + length, 15 + length, len(sealed) - 16, len(sealed)]
    names = ["format", "length", "wrapped key", "nonce", "ciphertext", "tag"]
    return {name: slice(*pair) for name, pair in zip(names, itertools.pairwise(ends), strict=True)}


PARTS = ["format", "length", "wrapped key", "nonce", "ciphertext", "tag"]


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("part", PARTS)
def test_a_flipped_bit_anywhere_breaks_the_seal(
    real: tuple[KmsVault, KmsVault], part: str, warm: bool
) -> None:
    sealed = real[0].seal(b"a plaintext of some length", ALICE)
    where = parts(sealed)[part]
    # The emulator, unlike KMS, does not authenticate the key's name at the head of a wrapped key.
    first = where.start if part != "wrapped key" else (where.start + where.stop) // 2
    for position in {first, where.stop - 1}:
        for bit in (0x01, 0x80):
            damaged = bytearray(sealed)
            damaged[position] ^= bit
            with pytest.raises(SealBroken):
                real[0 if warm else 1].open(bytes(damaged), ALICE)


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_value_breaks_the_seal(real: tuple[KmsVault, KmsVault], part: str) -> None:
    sealed = real[0].seal(b"a plaintext of some length", ALICE)
    where = parts(sealed)[part]
    for end in {where.start, where.stop - 1}:
        with pytest.raises(SealBroken):
            real[1].open(sealed[:end], ALICE)


@pytest.mark.parametrize("part", ["wrapped key", "nonce", "ciphertext", "tag"])
def test_a_part_of_another_value_of_the_same_owner_breaks_the_seal(
    real: tuple[KmsVault, KmsVault], part: str
) -> None:
    mine, other = (real[0].seal(text, ALICE) for text in (b"mine " * 5, b"other" * 5))
    swapped = bytearray(mine)
    swapped[parts(mine)[part]] = other[parts(other)[part]]
    for vault in real:
        with pytest.raises(SealBroken):
            vault.open(bytes(swapped), ALICE)


def test_a_longer_value_breaks_the_seal(real: tuple[KmsVault, KmsVault]) -> None:
    sealed = real[0].seal(b"x", ALICE)
    with pytest.raises(SealBroken):
        real[1].open(sealed + b"\x00", ALICE)


def test_two_seals_of_the_same_share_no_key_and_no_nonce(real: tuple[KmsVault, KmsVault]) -> None:
    one, two = (real[0].seal(b"x" * 40, ALICE) for _ in range(2))
    for part in ("wrapped key", "nonce", "ciphertext", "tag"):
        assert one[parts(one)[part]] != two[parts(two)[part]]


def test_the_plaintext_is_not_in_the_sealed_value(real: tuple[KmsVault, KmsVault]) -> None:
    assert b"refresh-token" not in real[0].seal(b"refresh-token" * 10, ALICE)


# --- The cache, and KMS when it is down


def test_the_context_names_ids_and_nothing_else() -> None:
    kms = SmallKms()
    kms_vault(kms).seal(b"secret", ALICE)
    assert kms.contexts == [
        {
            "connection": "MY_GMAIL",
            "connector": "gmail",
            "purpose": "tokens",
            "service": "mcp-valet",
            "user": "a" * 40,
        }
    ]


def test_a_value_that_was_just_opened_costs_no_second_call() -> None:
    kms, ticks = SmallKms(), Ticks()
    sealed = kms_vault(kms).seal(b"x", ALICE)
    vault = kms_vault(kms, ticks)
    kms.calls.clear()
    for _ in range(3):
        vault.open(sealed, ALICE)
    assert kms.calls == ["decrypt"]
    ticks.seconds = 299.0
    vault.open(sealed, ALICE)
    assert kms.calls == ["decrypt"]
    ticks.seconds = 300.0
    vault.open(sealed, ALICE)
    assert kms.calls == ["decrypt", "decrypt"]


def test_a_disabled_key_ends_access_within_five_minutes() -> None:
    kms, ticks = SmallKms(), Ticks()
    vault = kms_vault(kms, ticks)
    sealed = vault.seal(b"x", ALICE)
    kms.fails_with = refusal("DisabledException")
    assert vault.open(sealed, ALICE) == b"x"
    ticks.seconds = 300.0
    with pytest.raises(Busy):
        vault.open(sealed, ALICE)


def test_the_cache_is_bounded_and_forgets_the_oldest() -> None:
    kms = SmallKms()
    vault = kms_vault(kms)
    sealed = [vault.seal(b"x", ALICE) for _ in range(1001)]
    kms.calls.clear()
    vault.open(sealed[-1], ALICE)
    vault.open(sealed[1], ALICE)
    assert kms.calls == []
    vault.open(sealed[0], ALICE)
    assert kms.calls == ["decrypt"]


def test_a_cached_key_opens_for_its_own_owner_only() -> None:
    kms = SmallKms()
    vault = kms_vault(kms)
    sealed = vault.seal(b"x", ALICE)
    for other in OTHERS.values():
        with pytest.raises(SealBroken):
            vault.open(sealed, other)


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="https://kms.example"),
        refusal("ThrottlingException"),
        refusal("AccessDeniedException"),
        refusal("DisabledException"),
        refusal("KMSInvalidStateException"),
        refusal("KMSInternalException"),
    ],
    ids=lambda failure: getattr(failure, "response", {}).get("Error", {}).get("Code", "network"),
)
def test_a_key_service_that_is_down_says_nothing_about_the_value(failure: Exception) -> None:
    kms = SmallKms()
    sealed = kms_vault(kms).seal(b"x", ALICE)
    kms.fails_with = failure
    with pytest.raises(Busy) as opening:
        kms_vault(kms).open(sealed, ALICE)
    with pytest.raises(Busy) as sealing:
        kms_vault(kms).seal(b"x", ALICE)
    assert opening.value.code == sealing.value.code == "vault_unavailable"


@pytest.mark.parametrize("code", ["InvalidCiphertextException", "IncorrectKeyException"])
def test_a_wrapped_key_that_kms_did_not_make_breaks_the_seal(code: str) -> None:
    kms = SmallKms()
    sealed = kms_vault(kms).seal(b"x", ALICE)
    kms.fails_with = refusal(code)
    with pytest.raises(SealBroken):
        kms_vault(kms).open(sealed, ALICE)
