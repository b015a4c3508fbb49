"""Clearing the table of a user: everything that is kept about them, in whichever partition."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.models import InstanceId
from valet.native import keys
from valet.native.table import Delete, Item, Key, Table

if TYPE_CHECKING:
    from valet.models import UserKey

_KINDS = {
    "ACCOUNT": "accounts",
    "LEASE": "leases",
    "TOKEN": "session_tokens",
    "INSTANCE": "instances",
    "TICKET": "links",
    "STATE": "consents",
    "AUTHORIZATION": "consents",
    "CALL": "calls",
}
_NOT_TOLD = (keys.COUNT, keys.CALL_COUNT)  # how often, not what


@dataclass(frozen=True, slots=True)
class Forget:
    table: Table

    def forget(self, user: UserKey) -> dict[str, int]:
        """Delete it all; says how much of each kind there was."""
        counts: Counter[str] = Counter(dict.fromkeys(_KINDS.values(), 0))
        for key in self._keys(user):
            self.table.write(Delete(key))
            if key.sk.partition("#")[0] in _NOT_TOLD:
                continue
            kind = _KINDS.get(key.sk.partition("#")[0]) or _KINDS.get(key.pk.partition("#")[0])
            if kind:
                counts[kind] += 1
        return dict(counts)

    def _keys(self, user: UserKey) -> list[Key]:
        owned = self.table.query(keys.owned_partition(user))
        found = [
            *_keys_of(self.table.query(keys.grants_partition(user))),
            # By their owner's own list, not by the index, which may not have the newest yet: with
            # its pointer gone nobody could find such an instance again, and its URL would live.
            *(keys.instance(InstanceId(pointer["id"])) for pointer in owned),
            *_keys_of(owned),
            *_keys_of(self.table.query(keys.calls_partition(user))),
            *self.table.keys_of_user(user),
        ]
        return list(dict.fromkeys(found))


def _keys_of(items: list[Item]) -> list[Key]:
    return [Key(item["pk"], item["sk"]) for item in items]
