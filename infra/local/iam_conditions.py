"""Adds the encryption context, leading keys and event sources to what IAM conditions see.

MiniStack evaluates policies, but never fills these keys: StringEquals on them always denies and
ForAllValues always allows, so the template's least privilege could be neither used nor proven.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from infra.local.httpapi_plan import Json
from infra.local.pins import pinned

_EQUALITY = re.compile(r"([#\w.\-]+)\s*=\s*(:\w+)")


def install() -> None:
    """Wrap the function that collects a request's own condition keys."""
    actions = pinned("ministack.core.iam_actions", "request_tag_context")
    dynamodb = pinned("ministack.services.dynamodb", "_tables")
    original = actions.request_tag_context

    def context(service: str, action: str, body: bytes, params: Json) -> Json:
        found: Json = original(service, action, body, params)
        if service not in ("kms", "dynamodb", "events"):
            return found
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            return found
        if service == "kms":
            return found | encryption_context(data)
        if service == "events":
            return found | event_sources(data)
        return found | leading_keys(data, dynamodb._tables)

    actions.request_tag_context = context


def encryption_context(request: Json) -> Json:
    """Give the condition keys of a KMS request's encryption context."""
    pairs = request.get("EncryptionContext") or {}
    keys: Json = {f"kms:EncryptionContext:{name}": value for name, value in pairs.items()}
    if pairs:
        keys["kms:EncryptionContextKeys"] = list(pairs)
    return keys


def event_sources(request: Json) -> Json:
    """Give the sources that the events of a PutEvents claim to come from."""
    sources = [entry.get("Source", "") for entry in request.get("Entries") or []]
    return {"events:source": sources[0] if len(sources) == 1 else sources} if sources else {}


def leading_keys(request: Json, tables: Any) -> Json:
    """Give the partition keys that a DynamoDB request names, as the condition key."""
    found = [
        value
        for table, operation in _operations(request)
        if (described := tables.get((table or "").rsplit("/", 1)[-1]))
        for value in _partition_keys(operation, described)
    ]
    return {"dynamodb:LeadingKeys": found} if found else {}


def _operations(request: Json) -> Iterator[tuple[str, Json]]:
    if "TableName" in request:
        yield request["TableName"], request
    for item in request.get("TransactItems") or []:
        for operation in item.values():
            yield operation.get("TableName"), operation
    for table, batch in (request.get("RequestItems") or {}).items():
        if isinstance(batch, dict):
            yield from ((table, {"Key": key}) for key in batch.get("Keys") or [])
        else:
            yield from ((table, operation) for write in batch for operation in write.values())


def _partition_keys(operation: Json, table: Json) -> Iterator[str]:
    name = table.get("pk_name")
    for source in (operation.get("Item"), operation.get("Key")):
        if isinstance(source, dict) and name in source:
            yield _plain(source[name])
    condition = operation.get("KeyConditionExpression")
    if not condition:
        return
    name = _index_key(operation.get("IndexName"), table) or name
    names = operation.get("ExpressionAttributeNames") or {}
    values = operation.get("ExpressionAttributeValues") or {}
    for left, right in _EQUALITY.findall(condition):
        if names.get(left, left) == name and right in values:
            yield _plain(values[right])


def _index_key(index_name: str | None, table: Json) -> str | None:
    for index in table.get("GlobalSecondaryIndexes") or []:
        if index["IndexName"] == index_name:
            hashed = (part for part in index["KeySchema"] if part["KeyType"] == "HASH")
            return str(next(hashed)["AttributeName"])
    return None


def _plain(value: Json) -> str:
    return str(next(iter(value.values())))
