"""Send once: a write that was made is not made again when a client repeats the call.

MCP clients re-issue a call whose answer they lost, as a new request. So a tool that writes first
records the call under a fingerprint of who, what and which arguments. Within the window a repeat
finds the record: it is told that the call was made, or made again under the same call id where the
provider can tell that it is the same, and never has a second effect.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.table import (
    Absent,
    Below,
    ConditionFailed,
    Delete,
    Item,
    Put,
    Table,
    Update,
    either,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.models import InstanceId, UserKey

WINDOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Entry:
    """One call in the ledger; `call_id` is the same for all repeats within the window."""

    fingerprint: str
    call_id: str
    first: bool
    done: bool = False
    result_id: str | None = None  # the provider's id of what was made; never content


@dataclass(frozen=True, slots=True)
class Ledger:
    table: Table
    now: Clock = utc_now

    def begin(self, user: UserKey, fingerprint: str) -> Entry:
        """Record a call before it is made, or find the record of the one it repeats."""
        key = keys.call(user, fingerprint)
        now = self.now()
        call_id = secrets.token_hex(16)
        item: Item = {
            "pk": key.pk,
            "sk": key.sk,
            "call_id": call_id,
            "done": False,
            "until": epoch(now + WINDOW),
            "ttl": epoch(now + WINDOW + timedelta(hours=1)),
        }
        free = either((Absent(),), (Below("until", epoch(now)),))
        try:
            self.table.write(Put(item, free))
        except ConditionFailed as conflict:
            made: Item = conflict.item or item
            return Entry(fingerprint, made["call_id"], False, made["done"], made.get("result_id"))
        return Entry(fingerprint, call_id, True)

    def done(self, user: UserKey, entry: Entry, result_id: str | None) -> None:
        """The call took effect."""
        outcome = {"done": True} | ({"result_id": result_id} if result_id else {})
        self.table.write(Update(keys.call(user, entry.fingerprint), set=outcome))

    def undo(self, user: UserKey, entry: Entry) -> None:
        """The call certainly took no effect: it may be made again at once."""
        self.table.write(Delete(keys.call(user, entry.fingerprint)))


def fingerprint(instance: InstanceId, tool: str, arguments: Mapping[str, Any]) -> str:
    canonical = json.dumps([instance, tool, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
