"""What Secrets Manager holds: our OAuth clients and the URL key ring; never a user's token."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from valet.errors import Busy, Misconfigured
from valet.models import Secret
from valet.native.key_ring import KeyRing
from valet.native.provider import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_secretsmanager import SecretsManagerClient

_MAX_AGE_SECONDS = 300.0  # how late a rotated secret may be seen
_AGAIN_SECONDS = 2.0  # between reads past the cache
# While what was read before will do: each attempt keeps a caller waiting.
_AGAIN_AFTER_FAILURE = 30.0


class JsonSecret:
    """One secret's JSON object, cached; it is fetched when first used, not at start."""

    def __init__(
        self,
        client: SecretsManagerClient,
        secret_id: str,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._id = secret_id
        self._elapsed = elapsed
        self._cached: tuple[Mapping[str, Any], float] | None = None
        self._asked_at = float("-inf")

    def asked_within(self, seconds: float) -> bool:
        """Whether it was asked for that recently, with success or not."""
        return self._elapsed() - self._asked_at < seconds

    def read(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """The object, up to five minutes old; older only while it cannot be read.

        Raises:
            Misconfigured: the secret is not a JSON object.
            Busy: it cannot be read, and never was.
        """
        if self._cached and not fresh and not self._is_due(self._cached[1]):
            return self._cached[0]
        self._asked_at = self._elapsed()
        try:
            text = self._client.get_secret_value(SecretId=self._id)["SecretString"]
            value = json.loads(text)
        except (KeyError, json.JSONDecodeError):
            value = None
        except (BotoCoreError, ClientError) as error:
            if self._cached:
                return self._cached[0]
            raise Busy(
                "a secret cannot be read right now: try again in a few seconds",
                code="secrets_unavailable",
            ) from error
        if not isinstance(value, dict):
            name = self._id.rpartition(":")[2]  # without the account: strangers read it
            raise Misconfigured(f"the secret {name} must hold a JSON object")
        self._cached = (value, self._elapsed())
        return value

    def _is_due(self, read_at: float) -> bool:
        old = self._elapsed() - read_at >= _MAX_AGE_SECONDS
        return old and not self.asked_within(_AGAIN_AFTER_FAILURE)


class SecretOAuthClients:
    """`valet.native.provider.OAuthClients` over one secret: name to client_id and client_secret."""

    def __init__(self, secret: JsonSecret) -> None:
        self._secret = secret

    def get(self, name: str, *, fresh: bool = False) -> OAuthClient:
        stored = self._secret.read(fresh=fresh).get(name)
        if stored is None and not fresh:
            stored = self._secret.read(fresh=True).get(name)  # perhaps it was put in just now
        match stored:
            case {"client_id": str(client_id), "client_secret": str(client_secret)} if client_id:
                return OAuthClient(client_id, Secret(client_secret))
        raise Misconfigured(
            f"the OAuth client {name!r} is not set up yet: an operator has to put its client_id "
            "and client_secret into the OAuth clients secret",
            code="oauth_client_missing",
        )


class SecretKeyRing:
    """The URL key ring, parsed once for each read of the secret."""

    def __init__(self, secret: JsonSecret) -> None:
        self._secret = secret
        self._parsed: tuple[Mapping[str, Any], KeyRing] | None = None

    def __call__(self) -> KeyRing:
        return self._parse(self._secret.read())

    def latest(self) -> KeyRing:
        """Past the cache, for a key that it does not know: a URL may be signed by one just added.

        At most once in two seconds, so that made-up keys cannot make it a flood.
        """
        return self._parse(self._secret.read(fresh=not self._secret.asked_within(_AGAIN_SECONDS)))

    def _parse(self, value: Mapping[str, Any]) -> KeyRing:
        if self._parsed is None or self._parsed[0] is not value:
            self._parsed = (value, KeyRing.parse(value))
        return self._parsed[1]
