"""How DynamoDB writes items, keys and conditions: each value under the name of its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valet.native.table import Above, Absent, Below, HasNot, Is, Item, Key, Test, Update, When

if TYPE_CHECKING:
    from collections.abc import Mapping


class Expression:
    """Names and values of one request, aliased, so that no attribute is a reserved word."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._names:
            found["ExpressionAttributeNames"] = {alias: name for name, alias in self._names.items()}
        if self._values:
            found["ExpressionAttributeValues"] = self._values
        return found

    def update(self, write: Update) -> str:
        sets = [f"{self._name(name)} = {self._value(value)}" for name, value in write.set.items()]
        sets += [
            f"{alias} = list_append(if_not_exists({alias}, {self._value([])}), "
            f"{self._value([value])})"
            for name, value in write.append.items()
            for alias in [self._name(name)]
        ]
        clauses = ["SET " + ", ".join(sets)] if sets else []
        if write.remove:
            clauses.append("REMOVE " + ", ".join(self._name(name) for name in write.remove))
        if write.add:
            added = [f"{self._name(name)} {self._value(n)}" for name, n in write.add.items()]
            clauses.append("ADD " + ", ".join(added))
        return " ".join(clauses)

    def condition(self, when: When) -> str:
        return " OR ".join(
            "(" + " AND ".join(self._test(test) for test in group) + ")" for group in when.groups
        )

    def _test(self, test: Test) -> str:
        name = self._name(test.attribute)
        match test:
            case Absent():
                return f"attribute_not_exists({name})"
            case Is(_, value):
                return f"{name} = {self._value(value)}"
            case Above(_, value):
                return f"{name} > {self._value(value)}"
            case Below(_, value):
                return f"{name} < {self._value(value)}"
            case HasNot(_, value):
                return f"NOT contains({name}, {self._value(value)})"

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def _value(self, value: object) -> str:
        alias = f":v{len(self._values)}"
        self._values[alias] = typed(value)
        return alias


def written_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def read_item(raw: Mapping[str, Any]) -> Item:
    return {name: _plain(value) for name, value in raw.items()}


def typed(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": value}
        case None:
            return {"NULL": True}
        case list():
            return {"L": [typed(entry) for entry in value]}
        case dict():
            return {"M": {name: typed(entry) for name, entry in value.items()}}
        case _:
            raise TypeError(f"the table holds no {type(value).__name__}")


def _plain(typed: Mapping[str, Any]) -> Any:
    [(kind, value)] = typed.items()
    match kind:
        case "N":
            return int(value)
        case "NULL":
            return None
        case "L":
            return [_plain(entry) for entry in value]
        case "M":
            return {name: _plain(entry) for name, entry in value.items()}
        case _:
            return value
