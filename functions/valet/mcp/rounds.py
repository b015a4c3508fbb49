"""Calls in several rounds (2026-07-28, basic/patterns/mrtr): what a client is asked in between.

Nothing is kept between two rounds: what the next one has to know goes along in `requestState`. A
client may edit, keep or swap it, so it is signed for the caller, the tool and the arguments.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from valet.mcp.capabilities import undeclared
from valet.mcp.errors import INVALID_PARAMS, ProtocolError, missing_capability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valet.mcp.handles import Handles
    from valet.mcp.toolbox import Call, InputRequired

LIFETIME: Final = timedelta(minutes=10)  # a consent takes less; a connect link lives as long


def responses_of(params: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]] | None:
    """What the client brings, by key; keys that nobody asked for are the toolbox's to ignore.

    Raises:
        ProtocolError: it is not an object of objects.
    """
    if "inputResponses" not in params:
        return None
    responses = params["inputResponses"]
    if not isinstance(responses, dict) or not all(isinstance(r, dict) for r in responses.values()):
        raise ProtocolError(INVALID_PARAMS, "params.inputResponses must be an object of objects")
    return responses


def state_of(params: Mapping[str, Any], call: Call, handles: Handles) -> str | None:
    """What was noted when the client was asked.

    Raises:
        ProtocolError: the state was edited, has expired, or is of another caller or call.
    """
    if "requestState" not in params:
        return None
    handle = params["requestState"]
    state = handles.read(_about(call), handle) if isinstance(handle, str) else None
    if state is None:
        raise ProtocolError(
            INVALID_PARAMS,
            "Invalid requestState: expired, or not of this call; call again without it",
        )
    return state


def asked(call: Call, required: InputRequired, handles: Handles) -> dict[str, Any]:
    """An `InputRequiredResult`.

    Raises:
        ProtocolError: the client did not declare that it can be asked this.
    """
    lacking = undeclared(required.requests.values(), call.capabilities)
    if lacking:
        raise missing_capability(lacking)
    outcome: dict[str, Any] = {"resultType": "input_required", "inputRequests": required.requests}
    if required.state is not None:
        outcome["requestState"] = handles.issue(_about(call), required.state, LIFETIME)
    return outcome


def _about(call: Call) -> Sequence[str]:
    canonical = json.dumps(call.arguments, sort_keys=True, separators=(",", ":"))
    return ("tools/call", call.name, hashlib.sha256(canonical.encode()).hexdigest())
