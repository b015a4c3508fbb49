"""The port to a provider's API: one request out, one parsed answer back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from valet.errors import ProviderFailure

if TYPE_CHECKING:
    from valet.models import Secret


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A request that was built from a template; `path` is already percent-encoded."""

    method: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    json: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """An answer; `body` is its parsed JSON, or None when it held none."""

    status: int
    body: Any = None
    retry_after: int | None = None  # seconds


class ProviderUnreachable(ProviderFailure):
    """No answer came; `maybe_sent` says that the provider may have done it all the same."""

    code = "provider_unreachable"

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class AnswerTooLarge(ProviderFailure):
    """The provider's answer is larger than this system reads."""

    code = "answer_too_large"


class TokenRefused(ProviderFailure):
    """The provider no longer takes the access token: refresh it once, then try again."""

    code = "token_refused"


class ProviderHttp(Protocol):
    """Sends requests to the hosts of a connector, and to no other."""

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        """Send once, without retries and without following redirects.

        Raises:
            ProviderUnreachable: no answer came.
            AnswerTooLarge: an answer came and was too large to read.
        """
        ...
