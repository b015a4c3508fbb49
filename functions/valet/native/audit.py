"""The record of a tool call: who, how they came, what was called, how it went; never content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.models import Access, InstanceId, Secret, UserKey, Via
    from valet.tools.provider import ProviderHttp, ProviderRequest, ProviderResponse

UNKNOWN_TOOL: Final = "(unknown)"  # in place of a name that a caller made up: that can be content


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, made or refused; what is None is left out of the log.

    Operators search by these names: one may be added, none changes.
    """

    user: UserKey
    instance: InstanceId
    via: Via
    access: Access
    config: str
    revision: int
    tool: str  # by the name that it was called by, if the connectors have such a tool
    connection: str | None  # None: the caller has no such tool
    arguments_sha256: str
    outcome: str  # a stable code
    provider_status: int | None  # None: the provider was not asked, or did not answer
    milliseconds: int


class Audit(Protocol):
    def __call__(self, call: CallRecord, /) -> None: ...


@dataclass(frozen=True, slots=True)
class WatchedProvider:
    """`ProviderHttp` for one call, which remembers with which statuses it was answered."""

    http: ProviderHttp
    statuses: list[int] = field(default_factory=list)

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        response = self.http.send(request, token)
        self.statuses.append(response.status)  # whole, whichever thread of a fan-out it comes from
        return response

    def status(self, *, failed: bool) -> int | None:
        """That of the last answer; of a call that failed, the last that may be its reason."""
        refusals = [status for status in self.statuses if status >= 400]
        told = refusals if failed and refusals else self.statuses
        return told[-1] if told else None


def arguments_hash(arguments: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON: tells whether two calls were the same, not what they were."""
    try:
        canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "unhashable"
    return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()
