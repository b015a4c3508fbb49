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
from contextlib import suppress
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
    Is,
    Item,
    Put,
    Table,
    TableUnavailable,
    either,
    when,
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
        entry = Entry(fingerprint, secrets.token_hex(16), first=True)
        item = self._item(user, entry)
        free = either((Absent(),), (Below("until", epoch(self.now())),))
        try:
            self.table.write(Put(item, free))
        except ConditionFailed as conflict:
            made: Item = conflict.item or item
            return Entry(fingerprint, made["call_id"], False, made["done"], made.get("result_id"))
        return entry

    def done(self, user: UserKey, entry: Entry, result_id: str | None) -> None:
        """The call took effect.

        A whole record, not an update: of two repeats at once one may have failed and removed it.
        Where it cannot be written, the call took effect all the same, and a repeat finds one whose
        outcome is not known.
        """
        outcome = {"done": True} | ({"result_id": result_id} if result_id else {})
        with suppress(TableUnavailable):
            self.table.write(Put(self._item(user, entry) | outcome))

    def undo(self, user: UserKey, entry: Entry) -> None:
        """The call certainly took no effect: it may be made again at once."""
        mine = when(Is("call_id", entry.call_id), Is("done", False))
        # Failed: a repeat of it did take effect, or its window is over. Unavailable: why the call
        # failed is worth more to its caller than that it may be repeated.
        with suppress(ConditionFailed, TableUnavailable):
            self.table.write(Delete(keys.call(user, entry.fingerprint), mine))

    def _item(self, user: UserKey, entry: Entry) -> Item:
        key = keys.call(user, entry.fingerprint)
        until = self.now() + WINDOW
        return {
            "pk": key.pk,
            "sk": key.sk,
            "call_id": entry.call_id,
            "done": False,
            "until": epoch(until),
            "ttl": epoch(until + timedelta(hours=1)),
        }


def fingerprint(
    instance: InstanceId, connection: str, tool: str, arguments: Mapping[str, Any]
) -> str:
    call = [instance, connection, tool, arguments]
    canonical = json.dumps(call, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
