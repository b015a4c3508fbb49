"""Our API client of a Scalekit environment, from the secret that an operator fills."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from valet.errors import Misconfigured
from valet.models import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT = re.compile(r"https://([a-z0-9-]+\.)+[a-z]+(:\d+)?")
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+")


class JsonSecret(Protocol):
    def read(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """The secret's JSON object; `fresh` reads past the cache."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    env_url: str  # the environment's origin, without a trailing slash
    client_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True)
class CredentialsSecret:
    """The secret, whose names are those of Scalekit's dashboard.

    `loopback` also takes a stand-in on this machine; elsewhere credentials go over TLS or nowhere.
    """

    secret: JsonSecret
    loopback: bool = False

    def get(self, *, fresh: bool = False) -> Credentials:
        """The credentials; `fresh` reads past the cache.

        Raises:
            Misconfigured: none have been put in yet, or they are malformed.
        """
        found = self._parse(self.secret.read(fresh=fresh))
        if found is None and not fresh:
            found = self._parse(self.secret.read(fresh=True))  # perhaps put in just now
        if found is None:
            raise Misconfigured(
                "Scalekit is not set up yet: an operator has to put SCALEKIT_ENV_URL (an https "
                "origin), SCALEKIT_CLIENT_ID and SCALEKIT_CLIENT_SECRET into the Scalekit secret",
                code="scalekit_missing",
            )
        return found

    def _parse(self, stored: Mapping[str, Any]) -> Credentials | None:
        match stored:
            case {
                "SCALEKIT_ENV_URL": str(url),
                "SCALEKIT_CLIENT_ID": str(client_id),
                "SCALEKIT_CLIENT_SECRET": str(client_secret),
            } if client_id and client_secret and self._is_environment(url.rstrip("/")):
                return Credentials(url.rstrip("/"), client_id, Secret(client_secret))
        return None

    def _is_environment(self, url: str) -> bool:
        local = self.loopback and _LOOPBACK.fullmatch(url)
        return bool(local or _ENVIRONMENT.fullmatch(url))
