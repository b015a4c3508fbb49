"""Everything that can go wrong on purpose, and the HTTP status each becomes.

    ValetError                     500
    ├── BadRequest                 400   the request itself is wrong
    │   └── UnknownName            400   a name that does not exist, with the nearest that does
    ├── Forbidden                  403   the caller may not do this
    ├── NotFound                   404   no such thing, for this caller
    ├── Conflict                   409   it is in the wrong state for this
    ├── Gone                       410   it was there and has expired or been used
    ├── TooLarge                   413   more than we take
    ├── TooMany                    429   more often than we take
    ├── Busy                       503   try again shortly
    ├── Misconfigured              503   an operator has to act
    └── ProviderFailure            502   the provider refused us or could not be reached

A message is a sentence for whoever can act on it: what happened, then what to do next. It never
carries a token, a key, a state, or a provider's own words.
"""

from __future__ import annotations

from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ValetError(Exception):
    """Base of every error raised on purpose.

    `code` is stable and machine-readable; callers switch on it, so it never changes.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code:
            self.code = code


class BadRequest(ValetError):
    """The request itself is wrong; sending it again will not help."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"


class UnknownName(BadRequest):
    """A name that does not exist, answered with the nearest that does.

    >>> str(UnknownName("tool", "gmail_fetch_mail", ["gmail_fetch_mails"]))
    "unknown tool 'gmail_fetch_mail': did you mean 'gmail_fetch_mails'?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        if near:
            hint = f"did you mean '{near[0]}'?"
        elif known:
            hint = f"known are {', '.join(known[:10])}{' …' if len(known) > 10 else ''}"
        else:
            hint = f"no {kind} exists yet"
        super().__init__(f"unknown {kind} {name[:100]!r}: {hint}", code=f"unknown_{kind}")


class Forbidden(ValetError):
    """The caller is known and may not do this."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(ValetError):
    """No such thing for this caller; someone else's looks the same."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(ValetError):
    """The thing is in the wrong state for this."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class Gone(ValetError):
    """It was there, and has expired or been used."""

    status = HTTPStatus.GONE
    code = "gone"


class TooLarge(ValetError):
    """More than this system takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class TooMany(ValetError):
    """More often than this system takes; it says when to come back (`retry_after`, in seconds)."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int = 60) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Busy(ValetError):
    """Try again shortly; nothing was done, unless it says that this is not known."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "busy"


class Misconfigured(ValetError):
    """An operator has to act before this can work."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "misconfigured"


class ProviderFailure(ValetError):
    """The OAuth provider refused us, or could not be reached."""

    status = HTTPStatus.BAD_GATEWAY
    code = "provider_failure"
