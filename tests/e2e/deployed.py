"""The deployed local stack: its outputs, and the emulator's AWS clients as root or as a role."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from infra.local.deployment import ENDPOINT, REGION, STACK

ROOT: Final = Path(__file__).parents[2]
OUTPUTS: Final = ROOT / ".local" / "run" / "outputs.json"
PROVIDER: Final = "http://127.0.0.1:4700"
APP: Final = "http://127.0.0.1:8500"


@dataclass(frozen=True)
class Credentials:
    """AWS credentials; the emulator's root key unless told otherwise."""

    key: str = "test"
    secret: str = "test"
    token: str | None = None


ROOT_USER: Final = Credentials()


def aws(service: Any, credentials: Credentials = ROOT_USER) -> Any:
    """A client of the emulator; nothing here may ever reach a real account."""
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=credentials.key,
        aws_secret_access_key=credentials.secret,
        aws_session_token=credentials.token,
        config=Config(connect_timeout=2, read_timeout=40, retries={"total_max_attempts": 1}),
    )


class Deployment:
    """What the stack consists of, by logical id."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.api = outputs["ApiUrl"]
        self.table = outputs["TableName"]
        self.backend = "native" if "OAuthClientsSecret" in outputs else "scalekit"

    @cached_property
    def resources(self) -> dict[str, str]:
        found = aws("cloudformation").describe_stack_resources(StackName=STACK)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found["StackResources"]}

    def function_arn(self, logical_id: str) -> str:
        found = aws("lambda").get_function(FunctionName=self.resources[logical_id])
        return str(found["Configuration"]["FunctionArn"])

    def role_arn(self, function: str) -> str:
        found = aws("iam").get_role(RoleName=self.resources[f"{function}Role"])
        return str(found["Role"]["Arn"])

    def renew(self, function: str, **variables: str) -> dict[str, str]:
        """Replace a function's workers, as Lambda does in its own time, and change its environment.

        Returns the environment that it had.
        """
        functions, name = aws("lambda"), self.resources[function]
        now = functions.get_function_configuration(FunctionName=name)
        before: dict[str, str] = now["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=name,
            # The emulator takes an unchanged timeout for a change; a new description it does not.
            Timeout=now["Timeout"],
            Environment={"Variables": before | variables},
        )
        waiter = functions.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        return before

    def items(self) -> list[dict[str, Any]]:
        """The whole table, in DynamoDB's own JSON."""
        pages = aws("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]

    def change(self, pk: str, sk: str = "-", **values: int) -> None:
        """Overwrite numbers of an item, as only root can: to let time pass."""
        aws("dynamodb").update_item(
            TableName=self.table,
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{n}": {"N": str(v)} for n, v in values.items()},
        )


def read_outputs() -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(OUTPUTS.read_text())
    except FileNotFoundError:
        return None
    return found
