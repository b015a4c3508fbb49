"""The table in DynamoDB: conditions become expressions, and failures become ConditionFailed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from valet.errors import Busy
from valet.native.table import (
    Above,
    Absent,
    Below,
    ConditionFailed,
    Delete,
    HasNot,
    Is,
    Item,
    Key,
    Put,
    Test,
    Update,
    When,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # keys in one BatchGetItem
_ATTEMPTS = 4  # at what BatchGetItem left unread, and at an item that a transaction holds


class DynamoTable:
    """`valet.native.table.Table` over one DynamoDB table."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        answer = self._client.get_item(TableName=self._name, Key=_key(key), ConsistentRead=True)
        return _item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), _BATCH):
            asked: Any = {
                self._name: {
                    "Keys": [_key(key) for key in keys[start : start + _BATCH]],
                    "ConsistentRead": True,
                }
            }
            for attempt in range(_ATTEMPTS):
                answer = self._client.batch_get_item(RequestItems=asked)
                for raw in answer["Responses"].get(self._name, []):
                    item = _item(raw)
                    found[Key(item["pk"], item["sk"])] = item
                asked = answer.get("UnprocessedKeys")
                if not asked:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise Busy("the table is throttled: try again in a few seconds")
        return found

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        condition = "pk = :pk AND begins_with(sk, :sk)" if sk_prefix else "pk = :pk"
        values = {":pk": {"S": pk}} | ({":sk": {"S": sk_prefix}} if sk_prefix else {})
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        return [_item(raw) for page in pages for raw in page["Items"]]

    def keys_of_user(self, user: str) -> list[Key]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="ByUser",
            KeyConditionExpression="#user = :user",
            ExpressionAttributeNames={"#user": "user"},
            ExpressionAttributeValues={":user": {"S": user}},
        )
        items = [_item(raw) for page in pages for raw in page["Items"]]
        return [Key(item["pk"], item["sk"]) for item in items]

    def count_of_config(self, config: str) -> int:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName="ByConfig",
            KeyConditionExpression="#config = :config",
            ExpressionAttributeNames={"#config": "config"},
            ExpressionAttributeValues={":config": {"S": config}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def write(self, write: Write) -> None:
        operation, arguments = self._arguments(write)
        call = getattr(
            self._client,
            {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[operation],
        )
        for attempt in range(_ATTEMPTS):
            try:
                call(**arguments, ReturnValuesOnConditionCheckFailure="ALL_OLD")
            except ClientError as error:
                match error.response["Error"]["Code"]:
                    case "ConditionalCheckFailedException":
                        raw = error.response.get("Item")
                        found = _item(raw) if isinstance(raw, dict) else None
                        raise ConditionFailed(found) from None
                    case (
                        "TransactionConflictException"
                    ):  # on this item right now; not retried by boto
                        time.sleep(0.02 * 2**attempt)
                        continue
                raise
            return
        raise Busy("this is being changed by others: try again in a few seconds")

    def transact(self, *writes: Write) -> None:
        items: list[Any] = [dict([self._arguments(write)]) for write in writes]
        try:
            self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if error.response["Error"]["Code"] in _LOST_RACE and _by_condition(error):
                raise ConditionFailed from None
            raise

    def _arguments(self, write: Write) -> tuple[str, dict[str, Any]]:
        expression = _Expression()
        arguments: dict[str, Any] = {"TableName": self._name}
        match write:
            case Put(item):
                operation = "Put"
                arguments["Item"] = {name: _typed(value) for name, value in item.items()}
            case Update(key):
                operation = "Update"
                arguments["Key"] = _key(key)
                arguments["UpdateExpression"] = expression.update(write)
            case Delete(key):
                operation = "Delete"
                arguments["Key"] = _key(key)
        if write.when:
            arguments["ConditionExpression"] = expression.condition(write.when)
        return operation, arguments | expression.attributes()


_LOST_RACE = ("TransactionCanceledException", "TransactionConflictException")


def _by_condition(error: ClientError) -> bool:
    """Cancelled by a condition or by another transaction, not by a throttle or a wrong request."""
    reasons: Any = error.response.get("CancellationReasons") or [{"Code": "TransactionConflict"}]
    codes = {reason.get("Code") for reason in reasons} - {"None", None}
    return codes <= {"ConditionalCheckFailed", "TransactionConflict"}


class _Expression:
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
        self._values[alias] = _typed(value)
        return alias


def _key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _item(raw: Mapping[str, Any]) -> Item:
    return {name: _plain(value) for name, value in raw.items()}


def _typed(value: Any) -> dict[str, Any]:
    """A value as DynamoDB writes it: under the name of its type."""
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
            return {"L": [_typed(entry) for entry in value]}
        case dict():
            return {"M": {name: _typed(entry) for name, entry in value.items()}}
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
