"""Signs id_tokens as Google does: RS256, with the public key at /oauth2/v3/certs."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Signer:
    """One key for the life of the process."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = hashlib.sha256(str(self._numbers().n).encode()).hexdigest()[:40]

    def sign(self, claims: dict[str, Any]) -> str:
        head = _part({"alg": "RS256", "kid": self._kid, "typ": "JWT"})
        signed = f"{head}.{_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64(signature)}"

    def jwks(self) -> dict[str, Any]:
        numbers = self._numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self._kid}
        return {"keys": [key | {"n": _number(numbers.n), "e": _number(numbers.e)}]}

    def _numbers(self) -> rsa.RSAPublicNumbers:
        return self._key.public_key().public_numbers()


def at_hash(access_token: str) -> str:
    return b64(hashlib.sha256(access_token.encode()).digest()[:16])


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(value: dict[str, Any]) -> str:
    return b64(json.dumps(value, separators=(",", ":")).encode())


def _number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))
