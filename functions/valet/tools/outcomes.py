"""What a failed call comes to: a stable code and the next step, never the provider's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.tools.results import ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valet.connectors.models import Tool
    from valet.tools.provider import ProviderResponse

_BY_STATUS: Mapping[int, str] = {
    400: "rejected",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "gone",
    412: "changed_meanwhile",
    413: "too_large",
    429: "rate_limited",
}

_NEXT_STEP: Mapping[str, str] = {
    "rejected": "The provider refused the request as malformed. Check the arguments' meaning "
    "(ids, times, page tokens) and change them before trying again.",
    "forbidden": "The account may not do this to that item. Do not retry; choose another item "
    "or ask its owner.",
    "policy_forbids": "The organisation's policy forbids this. Do not retry; an administrator "
    "has to allow it.",
    "provider_not_enabled": "The provider's API is not enabled for this app. Do not retry; the "
    "app's operator has to enable it.",
    "missing_scope": "The account's grant does not cover this tool. Do not retry; the user has "
    "to reconnect the account and allow the access that is asked for.",
    "not_found": "There is no such item in this account. List or search to get a current id.",
    "conflict": "Something with that identity already exists or was deleted. Read it before "
    "trying again.",
    "gone": "The item has been deleted, or the page or sync token is too old. List again from "
    "the start.",
    "sync_expired": "The sync token is too old. List again without it.",
    "changed_meanwhile": "Someone else keeps changing the item; nothing was written. Read it "
    "again, then repeat the change.",
    "too_large": "It is larger than the provider or this server takes. Ask for or send less.",
    "rate_limited": "The provider's rate limit is reached; nothing was done. Wait, then retry "
    "with fewer or smaller calls.",
    "quota_exhausted": "The provider's daily quota is used up; nothing was done. Do not retry "
    "today.",
    "provider_unavailable": "The provider is failing at the moment; nothing was changed. Retry "
    "later.",
    "provider_unreachable": "The provider could not be reached; nothing was sent. Retry later.",
    "provider_error": "The provider gave an answer that this server does not understand. Do not "
    "retry unchanged.",
    "outcome_unknown": "The provider's answer was lost: this may or may not have been done. Do "
    "not repeat it blindly; look first whether it took effect.",
}
_REPEATABLE = " Repeating this call has no further effect, so it is safe."


def failed(code: str, message: str | None = None) -> ToolResult:
    """A failure with one of our codes, in one or two sentences."""
    return ToolResult(text=message or _NEXT_STEP[code], is_error=True, code=code)


def unknown_outcome(tool: Tool) -> ToolResult:
    """A write whose answer was lost."""
    return failed(
        "outcome_unknown",
        _NEXT_STEP["outcome_unknown"] + (_REPEATABLE if tool.idempotent else ""),
    )


def refused(tool: Tool, response: ProviderResponse) -> ToolResult:
    """What a provider's answer with an error status comes to."""
    code = _code(tool, response)
    if code == "provider_unavailable" and not tool.read_only:
        # A gateway's 502 or 504 says nothing about what the server behind it has done.
        return unknown_outcome(tool)
    if code == "rate_limited" and response.retry_after:
        wait = f" The provider asks to wait {response.retry_after} seconds."
        return ToolResult(
            _NEXT_STEP[code] + wait, is_error=True, code=code, retry_after=response.retry_after
        )
    return failed(code)


def _code(tool: Tool, response: ProviderResponse) -> str:
    # A reason only refines a refusal: in a 5xx it proves nothing, and a 429 is clear by itself.
    if response.status in {400, 403, 410}:
        for reason in _reasons(tool, response.body):
            if reason in tool.errors.codes:
                return tool.errors.codes[reason]
    if response.status >= 500:
        return "provider_unavailable"
    return _BY_STATUS.get(response.status, "provider_error")


def _reasons(tool: Tool, body: Any) -> Iterator[str]:
    for path in tool.errors.reasons_at:
        yield from _at(body, path.split("."))


def _at(value: Any, path: list[str]) -> Iterator[str]:
    """The strings at a path; lists on the way stand for each of their entries."""
    if isinstance(value, list):
        for item in value[:20]:
            # Lists directly within lists do not occur, and following them would be unbounded.
            if isinstance(item, dict):
                yield from _at(item, path)
    elif not path:
        if isinstance(value, str):
            yield value
    elif isinstance(value, dict):
        yield from _at(value.get(path[0]), path[1:])
