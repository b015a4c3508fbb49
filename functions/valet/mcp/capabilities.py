"""What a client declares that it can be asked, request by request (2026-07-28, basic/index)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NEEDED: Final = {"sampling/createMessage": "sampling", "roots/list": "roots"}


def declares(capabilities: Mapping[str, Any], name: str, mode: str | None = None) -> bool:
    """Whether a capability is declared; elicitation has modes, and `{}` means forms only."""
    declared = capabilities.get(name)
    if not isinstance(declared, dict):
        return False
    return mode is None or isinstance(declared.get(mode), dict) or (mode == "form" and not declared)


def undeclared(
    requests: Iterable[Mapping[str, Any]], capabilities: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The capabilities that requests to a client need and it lacks, as it would declare them."""
    lacking: dict[str, dict[str, Any]] = {}
    for request in requests:
        if request["method"] == "elicitation/create":
            name, mode = "elicitation", request["params"].get("mode", "form")
        else:
            name, mode = _NEEDED[request["method"]], None
        if not declares(capabilities, name, mode):
            lacking.setdefault(name, {}).update({mode: {}} if mode else {})
    return lacking
