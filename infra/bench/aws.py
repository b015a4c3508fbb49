"""Stands in for DynamoDB, KMS, Secrets Manager and EventBridge, and counts what is asked of them.

It keeps items and wraps keys, so that the real adapters can write a scene and read it back. It
decides nothing: conditions are taken to hold, a wrapped key is the key itself, and numbers are not
added up, so that no limit on calls ends a measurement.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

type Answer = dict[str, Any]

_SERVICES = {
    "AWSEvents": "EventBridge",
    "DynamoDB_20120810": "DynamoDB",
    "TrentService": "KMS",
    "secretsmanager": "SecretsManager",
}
_SET = re.compile(r"SET (?P<pairs>.+?)(?: (?:REMOVE|ADD) .+)?$")


class Aws:
    """The services of one account."""

    def __init__(self, secret_strings: Mapping[str, str]) -> None:
        self.requests: Counter[str] = Counter()
        self.last: dict[str, Any] = {}  # by operation: what was asked
        self._secrets = secret_strings
        self._items: dict[tuple[str, str], Answer] = {}
        self._lock = threading.Lock()

    def answer(self, service: str, operation: str, asked: Any) -> Answer:
        with self._lock:
            self.requests[f"{service} {operation}"] += 1
            self.last[f"{service} {operation}"] = asked
            answered: Answer = getattr(self, f"_{operation}")(asked)
            return answered

    def _GetSecretValue(self, asked: Any) -> Answer:  # noqa: N802 (AWS's name, as below)
        name = asked["SecretId"]
        return {"ARN": name, "Name": name, "SecretString": self._secrets[name]}

    def _PutEvents(self, asked: Any) -> Answer:  # noqa: N802
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in asked["Entries"]]}

    def _GenerateDataKey(self, asked: Any) -> Answer:  # noqa: N802
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        return {"KeyId": asked["KeyId"], "Plaintext": key, "CiphertextBlob": key}

    def _Decrypt(self, asked: Any) -> Answer:  # noqa: N802
        return {"KeyId": asked["KeyId"], "Plaintext": asked["CiphertextBlob"]}

    def _GetItem(self, asked: Any) -> Answer:  # noqa: N802
        item = self._items.get(_key(asked["Key"]))
        return {"Item": item} if item else {}

    def _BatchGetItem(self, asked: Any) -> Answer:  # noqa: N802
        found = {
            table: [self._items[_key(k)] for k in of["Keys"] if _key(k) in self._items]
            for table, of in asked["RequestItems"].items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _Query(self, asked: Any) -> Answer:  # noqa: N802
        values = asked["ExpressionAttributeValues"]
        pk, prefix = values[":pk"]["S"], values.get(":sk", {"S": ""})["S"]
        keys = sorted(key for key in self._items if key[0] == pk and key[1].startswith(prefix))
        return {"Items": [self._items[key] for key in keys], "Count": len(keys)}

    def _PutItem(self, asked: Any) -> Answer:  # noqa: N802
        self._items[_key(asked["Item"])] = asked["Item"]
        return {}

    def _UpdateItem(self, asked: Any) -> Answer:  # noqa: N802
        item = self._items.setdefault(_key(asked["Key"]), dict(asked["Key"]))
        clause = _SET.match(asked["UpdateExpression"])
        for pair in clause["pairs"].split(", ") if clause else ():
            name, value = pair.split(" = ")
            named = asked["ExpressionAttributeNames"][name]
            item[named] = asked["ExpressionAttributeValues"][value]
        return {}

    def _DeleteItem(self, asked: Any) -> Answer:  # noqa: N802
        self._items.pop(_key(asked["Key"]), None)
        return {}

    def _TransactWriteItems(self, asked: Any) -> Answer:  # noqa: N802
        for write in asked["TransactItems"]:
            for operation, arguments in write.items():
                getattr(self, f"_{operation}Item")(arguments)
        return {}


def _key(attributes: Any) -> tuple[str, str]:
    return attributes["pk"]["S"], attributes["sk"]["S"]


def handler_for(aws: Aws) -> type[BaseHTTPRequestHandler]:
    """The HTTP side: both JSON protocols name the operation in a header."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            target, _, operation = self.headers["x-amz-target"].partition(".")
            service = _SERVICES[target]
            body = json.dumps(aws.answer(service, operation, asked)).encode()
            self.send_response(200)
            self.send_header("Content-Type", self.headers["content-type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the counter knows."""

    return Handler
