"""What a Scalekit environment's refusals become; its own words never pass, its codes do."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from valet.errors import Misconfigured, ProviderFailure, TooMany

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class ScalekitRefused(ProviderFailure):
    """Scalekit answered, and refused: `http_status` and `error_code` say how."""

    code = "scalekit_refused"

    def __init__(self, doing: str, http_status: int, error_code: str | None) -> None:
        said = f"{http_status} {error_code}" if error_code else str(http_status)
        super().__init__(
            f"Scalekit refused {doing} ({said}): an operator finds the reason in its dashboard"
        )
        self.http_status = http_status
        self.error_code = error_code

    @property
    def not_found(self) -> bool:
        return self.http_status == HTTPStatus.NOT_FOUND

    @property
    def exists_already(self) -> bool:
        """Which of the two it is for a name that is taken is not documented."""
        return self.http_status == HTTPStatus.CONFLICT or self.error_code in (
            "DUPLICATE_IDENTIFIER",
            "ALREADY_EXISTS",
        )


class ScalekitUnavailable(ProviderFailure):
    """No verdict: no answer in time, or a 5xx.

    What was `sent` may have been carried out all the same.
    """

    code = "scalekit_unavailable"

    def __init__(self, *, sent: bool = False) -> None:
        super().__init__("Scalekit cannot be reached right now: try again in a minute")
        self.sent = sent


class ScalekitBusy(TooMany):
    """The environment's own limit of requests a minute; nothing was carried out."""

    code = "scalekit_rate_limited"

    def __init__(self) -> None:
        super().__init__(
            "the Scalekit environment takes no more requests right now: try again in a minute, "
            "and have its limit raised if this goes on"
        )


class ScalekitCredentials(Misconfigured):
    """Our API client is not accepted: an operator has to act."""

    code = "scalekit_credentials"

    def __init__(self) -> None:
        super().__init__(
            "Scalekit does not accept our API client: an operator has to put a valid "
            "SCALEKIT_CLIENT_ID and SCALEKIT_CLIENT_SECRET into the Scalekit secret"
        )


class ScalekitAnswer(ProviderFailure):
    """A success that lacks what it must have: named by its path, never by what came instead."""

    code = "scalekit_answer"

    def __init__(self, doing: str, missing: str) -> None:
        super().__init__(
            f"Scalekit's answer to {doing} lacks {missing!r}: its API has changed, or its address "
            "in the secret is not an environment's"
        )


def error_code(body: bytes) -> str | None:
    """The `error_code` of an error body: at the top, or within gRPC's `details`.

    The documents leave the form of errors open, so both places are looked at; what does not look
    like a code is prose, and is left out.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    details = said.get("details")
    places: list[Any] = [said, *(details if isinstance(details, list) else ())]
    for place in places:
        found = place.get("error_code") if isinstance(place, dict) else None
        if isinstance(found, str) and _CODE.fullmatch(found):
            return found
    return None
