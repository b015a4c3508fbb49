"""Scalekit's error shapes, those of grpc-gateway; its token endpoint has RFC 6749's."""

from __future__ import annotations

from typing import Any

# gRPC status: its number, and the HTTP status that a gateway makes of it.
STATUSES: dict[str, tuple[int, int]] = {
    "INVALID_ARGUMENT": (3, 400),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "UNAUTHENTICATED": (16, 401),
}
# Codes that differ from the status' own name.
_CODES = {"NOT_FOUND": "RESOURCE_NOT_FOUND", "RESOURCE_EXHAUSTED": "RATE_LIMITED"}


class ApiError(Exception):
    """An answer of the API that is not a success; `info` are more fields of its ErrorInfo."""

    def __init__(self, status: str, message: str, code: str = "", **info: Any) -> None:
        super().__init__(message)
        self.grpc, self.http = STATUSES[status]
        self.message = message
        self.info = {"error_code": code or _CODES.get(status, status), **info}


def invalid(message: str, **info: Any) -> ApiError:
    return ApiError("INVALID_ARGUMENT", message, **info)


def not_found(message: str) -> ApiError:
    return ApiError("NOT_FOUND", message)


def by_http(status: int, message: str) -> ApiError:
    """The error that a gateway would answer with this HTTP status."""
    for name, (_, http) in STATUSES.items():
        if http == status:
            return ApiError(name, message)
    raise ValueError(f"no gRPC status becomes HTTP {status}")
