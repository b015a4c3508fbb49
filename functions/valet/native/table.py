"""The port to the one table: items by key, and writes that say on what condition they hold.

Everything that can race is decided by the condition of one write, so the conditions are part of
the domain and are spelled here; how they become DynamoDB expressions is the adapter's business.
Reads are strongly consistent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from valet.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Item = dict[str, Any]  # str, int, bytes, bool, None, list, dict; with `pk` and `sk`


@dataclass(frozen=True, slots=True)
class Key:
    pk: str
    sk: str = "-"


@dataclass(frozen=True, slots=True)
class Absent:
    """The attribute is not there; of `pk`: the item is not there."""

    attribute: str = "pk"


@dataclass(frozen=True, slots=True)
class Is:
    attribute: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Above:
    """The attribute is there and greater."""

    attribute: str
    value: int


@dataclass(frozen=True, slots=True)
class Below:
    """The attribute is there and smaller."""

    attribute: str
    value: int


@dataclass(frozen=True, slots=True)
class HasNot:
    """The list attribute does not contain the value."""

    attribute: str
    value: str


type Test = Absent | Is | Above | Below | HasNot


@dataclass(frozen=True, slots=True)
class When:
    """Holds if every test holds; with `either`, if one of several such groups does."""

    tests: tuple[Test, ...]
    either: tuple[tuple[Test, ...], ...] = ()

    @property
    def groups(self) -> tuple[tuple[Test, ...], ...]:
        return (self.tests, *self.either)


def when(*tests: Test) -> When:
    return When(tests)


def either(*groups: tuple[Test, ...]) -> When:
    return When(groups[0], groups[1:])


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole item, in place of what was there."""

    item: Item
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Set and remove attributes, making the item if it is absent.

    `append` adds to lists, `add` to numbers; what is not there starts empty, or at zero.
    """

    key: Key
    set: Mapping[str, Any] = field(default_factory=dict)
    remove: Sequence[str] = ()
    append: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item; one that is not there is no error."""

    key: Key
    when: When | None = None


type Write = Put | Update | Delete


class ConditionFailed(Exception):
    """The write's condition did not hold; nothing was written. `item` is what is there instead."""

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("condition failed")
        self.item = item


class TableUnavailable(Busy):
    """The table does not answer, or takes no more for now."""

    code = "table_unavailable"

    def __init__(self, *, writing: bool) -> None:
        # A write whose answer was lost may hold all the same.
        super().__init__(
            "the table did not answer, so it is not known whether this was done: look, and ask "
            "again if it was not"
            if writing
            else "the table is not available: try again in a few seconds"
        )


class Table(Protocol):
    """Every request raises TableUnavailable while the table cannot be reached."""

    def get(self, key: Key) -> Item | None: ...

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        """The items that are there, of up to 100 keys, in one request."""
        ...

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        """All items of a partition in the order of their sort keys."""
        ...

    def keys_of_user(self, user: str) -> list[Key]:
        """The keys of all items that carry the attribute `user`; just written ones may be missing.

        By an index, which follows the table within moments: for clearing up, not for deciding.
        """
        ...

    def count_of_config(self, config: str) -> int:
        """How many items carry the attribute `config` with this value: a config's instances.

        By an index, like `keys_of_user`.
        """
        ...

    def write(self, write: Write) -> None:
        """One write.

        Raises:
            ConditionFailed: with the item that is there, if any.
        """
        ...

    def transact(self, *writes: Write) -> None:
        """All or nothing.

        Raises:
            ConditionFailed: a condition failed, or another transaction was in the way.
        """
        ...
