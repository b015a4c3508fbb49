"""What each function's role may do and may not, tried with the role's own credentials.

A function of ours is deployed under each role and hands its credentials out, as one that was taken
over would; what the attacker then does with them is up to IAM alone.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.deployment import SCALEKIT_SECRET
from tests.e2e import canaries
from tests.e2e.consent import connect
from tests.e2e.deployed import Credentials, Deployment, aws
from tests.e2e.people import CONFIG
from tests.infra.template_support import BACKENDS, FUNCTIONS, deployed_functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.people import User

_TAKEN_OVER = """
import os

def handler(event, context):
    return [os.environ["AWS_" + name] for name in
            ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
"""
_NATIVE = pytest.mark.native_only("there is no such role, grant or key with Scalekit")
_ROLES = pytest.mark.parametrize(
    "role",
    [
        pytest.param(role, marks=() if role in deployed_functions("scalekit") else _NATIVE)
        for role in FUNCTIONS
    ],
)
_CONTEXT = {"service": "mcp-valet", "purpose": "tokens"}


@dataclass(frozen=True)
class Loot:
    """What an attacker would want, and a way to it as each role."""

    deployment: Deployment
    credentials: dict[str, Credentials]
    victim: User

    def tries(self, role: str, deed: str) -> str:
        """Whether IAM lets a role do a deed."""
        try:
            _ALL_DEEDS[self.deployment.backend][deed](self, self.credentials[role])
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            return "denied"
        return "allowed"

    def item(self, who: Credentials, operation: str, pk: str) -> None:
        """Read, write or delete an item that stands for all of its partition's kind."""
        table, key = aws("dynamodb", who), {"pk": {"S": pk}, "sk": {"S": "e2e-attack"}}
        common: dict[str, Any] = {"TableName": self.deployment.table}
        match operation:
            case "read":
                table.get_item(**common, Key=key)
            case "query":
                table.query(
                    **common,
                    KeyConditionExpression="pk = :pk",
                    ExpressionAttributeValues={":pk": {"S": pk}},
                )
            case "write":
                table.put_item(**common, Item=key)
                aws("dynamodb").delete_item(**common, Key=key)
            case "delete":
                table.delete_item(**common, Key=key)
            case "scan":
                table.scan(**common)

    def find(self, who: Credentials) -> None:
        """All that is kept about a user, by the index."""
        aws("dynamodb", who).query(
            TableName=self.deployment.table,
            IndexName="ByUser",
            KeyConditionExpression="#u = :u",
            ExpressionAttributeNames={"#u": "user"},
            ExpressionAttributeValues={":u": {"S": self.victim.key}},
        )

    def count(self, who: Credentials) -> None:
        """The instances of a config, by the other index."""
        aws("dynamodb", who).query(
            TableName=self.deployment.table,
            IndexName="ByConfig",
            Select="COUNT",
            KeyConditionExpression="#c = :c",
            ExpressionAttributeNames={"#c": "config"},
            ExpressionAttributeValues={":c": {"S": CONFIG}},
        )

    def secret(self, who: Credentials, logical_id: str) -> None:
        self.read(who, self.deployment.resources[logical_id])

    def read(self, who: Credentials, secret: str) -> None:
        aws("secretsmanager", who).get_secret_value(SecretId=secret)

    def seal(self, who: Credentials, **context: str) -> None:
        key = self.deployment.resources["VaultKey"]
        aws("kms", who).generate_data_key(
            KeyId=key, KeySpec="AES_256", EncryptionContext=_CONTEXT | context
        )

    def open(self, who: Credentials, **context: str) -> None:
        key, named = self.deployment.resources["VaultKey"], _CONTEXT | context
        sealed = aws("kms").generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=named)
        aws("kms", who).decrypt(
            CiphertextBlob=sealed["CiphertextBlob"], KeyId=key, EncryptionContext=named
        )


def _partition(operation: str, prefix: str) -> Callable[[Loot, Credentials], None]:
    def deed(loot: Loot, who: Credentials) -> None:
        exact = prefix in ("CONFIG", "CONNECTION", "ENDPOINT")
        loot.item(who, operation, prefix if exact else f"{prefix}#{loot.victim.key}")

    return deed


_PARTITIONS = [
    *("CONFIG", "CONNECTION", "ENDPOINT", "OWNER", "INSTANCE"),
    *("TICKET", "STATE", "AUTHORIZATION", "GRANT", "CALL"),
]
_DEEDS: dict[str, Callable[[Loot, Credentials], None]] = {
    **{
        f"{how} {where}": _partition(how, where)
        for how in ("read", "query", "write", "delete")
        for where in _PARTITIONS
    },
    "find": lambda loot, who: loot.find(who),
    "count": lambda loot, who: loot.count(who),
    "scan": lambda loot, who: loot.item(who, "scan", ""),
}
_WITH_NATIVE: dict[str, Callable[[Loot, Credentials], None]] = {
    "URL keys": lambda loot, who: loot.secret(who, "UrlKeys"),
    "OAuth clients": lambda loot, who: loot.secret(who, "OAuthClients"),
    "seal tokens": lambda loot, who: loot.seal(who),
    "open tokens": lambda loot, who: loot.open(who),
    "open codes": lambda loot, who: loot.open(who, purpose="authorization"),
    "open what is not ours": lambda loot, who: loot.open(who, service="another"),
}
_WITH_SCALEKIT: dict[str, Callable[[Loot, Credentials], None]] = {
    "Scalekit's client": lambda loot, who: loot.read(who, SCALEKIT_SECRET),
}
_ALL_DEEDS = {"native": _DEEDS | _WITH_NATIVE, "scalekit": _DEEDS | _WITH_SCALEKIT}
_CHANGE = ("write", "delete")
_SHARED = ["CONFIG", "CONNECTION", "ENDPOINT"]


def _all(verbs: tuple[str, ...], partitions: list[str]) -> set[str]:
    return {f"{verb} {partition}" for verb in verbs for partition in partitions}


# The README's table, deed by deed; whatever is not here has to be denied.
_MAY: dict[str, set[str]] = {
    "create_config": _all(("read", "query", "write"), _SHARED)
    | _all(("delete",), ["CONFIG", "CONNECTION"])
    | {"count"},
    "ensure_instance": _all(("read", "query"), [*_SHARED, "OWNER", "INSTANCE", "GRANT"])
    | _all(_CHANGE, ["OWNER", "INSTANCE", "TICKET"])
    | {"URL keys"},
    "oauth_callback": _all(
        ("read", "query"),
        [*_SHARED, "TICKET", "STATE", "AUTHORIZATION", "GRANT", "OWNER", "CALL"],
    )
    | _all(_CHANGE, ["TICKET", "STATE", "AUTHORIZATION", "GRANT"])
    | _all(("delete",), ["OWNER", "INSTANCE", "CALL"])
    | {"OAuth clients", "seal tokens", "open tokens", "open codes", "find"},
    "mcp_server": _all(("read", "query"), [*_SHARED, "OWNER", "INSTANCE", "GRANT", "CALL"])
    | _all(_CHANGE, ["TICKET", "GRANT", "CALL"])
    | _all(("write",), ["OWNER", "INSTANCE"])
    | {"URL keys", "OAuth clients", "seal tokens", "open tokens"},
}
_GRANTS = {f"{verb} GRANT" for verb in ("read", "query", *_CHANGE)}
_MAY_WITH_SCALEKIT = {
    role: (_MAY[role] - set(_WITH_NATIVE) - gone) | {"Scalekit's client"}
    for role, gone in {
        "create_config": set[str](),
        "ensure_instance": _GRANTS,
        "oauth_callback": {"write GRANT"},  # an erasure takes what the other backend left
    }.items()
}
_ALL_MAY = dict(zip(BACKENDS, (_MAY, _MAY_WITH_SCALEKIT), strict=True))


def _take_over(deployment: Deployment, function: str) -> Credentials:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("attack.py", _TAKEN_OVER)
    client, name = aws("lambda"), f"e2e-attack-{uuid.uuid4().hex[:12]}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="attack.handler",
        Role=deployment.role_arn(function),
        Code={"ZipFile": archive.getvalue()},
    )
    try:
        return Credentials(*_invoked(client, name))
    finally:
        client.delete_function(FunctionName=name)


def _invoked(client: Any, name: str) -> list[str]:
    """A new function is pending for a while."""
    deadline = time.monotonic() + 20
    while True:
        try:
            found: list[str] = json.loads(client.invoke(FunctionName=name)["Payload"].read())
        except client.exceptions.ResourceConflictException:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            continue
        canaries.remember("AWS credentials", *found[1:])
        return found


@pytest.fixture(scope="module")
def taken_over(deployment: Deployment) -> dict[str, Credentials]:
    roles = deployed_functions(deployment.backend)
    return {role: _take_over(deployment, FUNCTIONS[role]) for role in roles}


@pytest.fixture
def loot(deployment: Deployment, taken_over: dict[str, Credentials], user: User) -> Loot:
    connect(user)
    return Loot(deployment, taken_over, user)


@_ROLES
def test_a_role_may_do_what_its_row_says_and_nothing_else(role: str, loot: Loot) -> None:
    backend = loot.deployment.backend
    may = _ALL_MAY[backend][role]
    got = {deed: loot.tries(role, deed) for deed in _ALL_DEEDS[backend]}
    assert got == {deed: "allowed" if deed in may else "denied" for deed in _ALL_DEEDS[backend]}


def test_a_role_cannot_reach_beyond_its_partition_by_naming_an_allowed_one_too(
    loot: Loot,
) -> None:
    ensure = aws("dynamodb", loot.credentials["ensure_instance"])
    table, sk = loot.deployment.table, {"S": "e2e-attack"}
    allowed, wanted = f"OWNER#{loot.victim.key}", f"GRANT#{loot.victim.key}"
    puts = [
        {"Put": {"TableName": table, "Item": {"pk": {"S": pk}, "sk": sk}}}
        for pk in (allowed, wanted)
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        ensure.transact_write_items(TransactItems=puts)
    create = aws("dynamodb", loot.credentials["create_config"])
    keys = [{"pk": {"S": pk}, "sk": sk} for pk in ("CONFIG", wanted)]
    with pytest.raises(ClientError, match="AccessDenied"):
        create.batch_get_item(RequestItems={table: {"Keys": keys}})
    assert loot.victim.connections()["MY_GMAIL"]["status"] == "ACTIVE"


@_ROLES
def test_a_role_has_no_power_over_the_account(role: str, loot: Loot) -> None:
    who = loot.credentials[role]
    arn = loot.deployment.function_arn("OAuthCallbackFunction")
    deeds: list[Callable[[], Any]] = [
        lambda: aws("iam", who).create_user(UserName="e2e-attack"),
        lambda: aws("lambda", who).get_function(FunctionName=arn),
        lambda: aws("lambda", who).invoke(FunctionName=arn, Payload=b"{}"),
        lambda: aws("lambda", who).update_function_configuration(FunctionName=arn, Timeout=1),
        lambda: aws("cognito-idp", who).list_users(
            UserPoolId=loot.deployment.outputs["UserPoolId"]
        ),
        lambda: aws("dynamodb", who).delete_table(TableName=loot.deployment.table),
    ]
    if loot.deployment.backend == "native":
        key = loot.deployment.resources["VaultKey"]
        deeds.append(lambda: aws("kms", who).schedule_key_deletion(KeyId=key))
    for deed in deeds:
        with pytest.raises(ClientError, match="AccessDenied"):
            deed()
