"""The table in DynamoDB: conditions become expressions, and failures become the port's errors.

A request that DynamoDB refuses as wrong is our bug and stays botocore's error. botocore asks again
by itself where nobody answered, so a write may be sent twice.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from valet.adapters.dynamodb_forms import Expression, read_item, typed, written_key
from valet.errors import Busy
from valet.native.table import (
    ConditionFailed,
    Delete,
    Item,
    Key,
    Put,
    TableUnavailable,
    Update,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # keys in one BatchGetItem
_ATTEMPTS = 4  # at what BatchGetItem left unread, and at an item that a transaction holds
_THROTTLED = (
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",  # the same one, sent again, is still being carried out
)
_HELD_UP = {"ProvisionedThroughputExceeded", "ThrottlingError"}  # reasons to cancel a transaction
_LOST_RACE = ("TransactionCanceledException", "TransactionConflictException")


class DynamoTable:
    """`valet.native.table.Table` over one DynamoDB table."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        with _asking():
            answer = self._client.get_item(
                TableName=self._name, Key=written_key(key), ConsistentRead=True
            )
        return read_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), _BATCH):
            asked: Any = {
                self._name: {
                    "Keys": [written_key(key) for key in keys[start : start + _BATCH]],
                    "ConsistentRead": True,
                }
            }
            for attempt in range(_ATTEMPTS):
                with _asking():
                    answer = self._client.batch_get_item(RequestItems=asked)
                for raw in answer["Responses"].get(self._name, []):
                    item = read_item(raw)
                    found[Key(item["pk"], item["sk"])] = item
                asked = answer.get("UnprocessedKeys")
                if not asked:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise TableUnavailable(writing=False)
        return found

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        condition = "pk = :pk AND begins_with(sk, :sk)" if sk_prefix else "pk = :pk"
        values = {":pk": {"S": pk}} | ({":sk": {"S": sk_prefix}} if sk_prefix else {})
        pages = self._pages(
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        return [read_item(raw) for page in pages for raw in page["Items"]]

    def keys_of_user(self, user: str) -> list[Key]:
        pages = self._pages(
            IndexName="ByUser",
            KeyConditionExpression="#user = :user",
            ExpressionAttributeNames={"#user": "user"},
            ExpressionAttributeValues={":user": {"S": user}},
        )
        items = [read_item(raw) for page in pages for raw in page["Items"]]
        return [Key(item["pk"], item["sk"]) for item in items]

    def count_of_config(self, config: str) -> int:
        pages = self._pages(
            IndexName="ByConfig",
            KeyConditionExpression="#config = :config",
            ExpressionAttributeNames={"#config": "config"},
            ExpressionAttributeValues={":config": {"S": config}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def _pages(self, **query: Any) -> list[Any]:
        with _asking():
            return list(self._client.get_paginator("query").paginate(TableName=self._name, **query))

    def write(self, write: Write) -> None:
        operation, arguments = self._arguments(write)
        call = getattr(
            self._client,
            {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[operation],
        )
        made = write.item if isinstance(write, Put) else None
        for attempt in range(_ATTEMPTS):
            try:
                with _asking(writing=True):
                    call(**arguments, ReturnValuesOnConditionCheckFailure="ALL_OLD")
            except ClientError as error:
                match error.response["Error"]["Code"]:
                    case "ConditionalCheckFailedException":
                        raw: Any = error.response.get("Item")
                        found = read_item(raw) if raw else None
                        if _was_sent_again(error) and found and found == made:
                            return  # the first one holds, and its answer was lost
                        raise ConditionFailed(found) from None
                    case "TransactionConflictException":  # on this item; not retried by botocore
                        time.sleep(0.02 * 2**attempt)
                        continue
                raise
            return
        raise Busy("this is being changed by others: try again in a few seconds")

    def transact(self, *writes: Write) -> None:
        items: list[Any] = [dict([self._arguments(write)]) for write in writes]
        try:
            with _asking(writing=True):
                self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if error.response["Error"]["Code"] in _LOST_RACE and _by_condition(error):
                raise ConditionFailed from None
            raise

    def _arguments(self, write: Write) -> tuple[str, dict[str, Any]]:
        expression = Expression()
        arguments: dict[str, Any] = {"TableName": self._name}
        match write:
            case Put(item):
                operation = "Put"
                arguments["Item"] = {name: typed(value) for name, value in item.items()}
            case Update(key):
                operation = "Update"
                arguments["Key"] = written_key(key)
                arguments["UpdateExpression"] = expression.update(write)
            case Delete(key):
                operation = "Delete"
                arguments["Key"] = written_key(key)
        if write.when:
            arguments["ConditionExpression"] = expression.condition(write.when)
        return operation, arguments | expression.attributes()


@contextmanager
def _asking(*, writing: bool = False) -> Iterator[None]:
    """Raises TableUnavailable for an outage, and lets every other error pass."""
    try:
        yield
    except (NotConnected, HTTPClientError) as error:
        raise TableUnavailable(writing=writing) from error
    except ClientError as error:
        if _is_outage(error):
            raise TableUnavailable(writing=writing) from error
        raise


def _is_outage(error: ClientError) -> bool:
    if error.response["Error"]["Code"] in _THROTTLED or _reasons(error) & _HELD_UP:
        return True
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500


def _was_sent_again(error: ClientError) -> bool:
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def _by_condition(error: ClientError) -> bool:
    """Cancelled by a condition or by another transaction, not by a throttle or a wrong request."""
    return _reasons(error) <= {"ConditionalCheckFailed", "TransactionConflict"}


def _reasons(error: ClientError) -> set[str]:
    """Why a transaction was cancelled, of the writes that were a reason."""
    reasons: Any = error.response.get("CancellationReasons") or []
    return {reason.get("Code") for reason in reasons} - {"None", None}
