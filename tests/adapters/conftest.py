"""The emulator's table, key and secret, each made for one module and taken away after it."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")


@pytest.fixture(scope="session")
def aws() -> Any:
    """Makes clients of the emulator; nothing here may ever reach a real account."""
    assert urlsplit(ENDPOINT).hostname == "127.0.0.1", "the emulator runs on this machine only"

    def client(service: Any, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=ENDPOINT,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(connect_timeout=2, read_timeout=10, **config),
        )

    return client


@pytest.fixture(scope="module")
def table_name(aws: Any) -> Iterator[str]:
    name, dynamodb = f"contract-{uuid.uuid4().hex[:8]}", aws("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "user", "AttributeType": "S"},
            {"AttributeName": "config", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, attribute in (("ByUser", "user"), ("ByConfig", "config"))
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="module")
def key_arn(aws: Any) -> Iterator[str]:
    kms = aws("kms")
    arn: str = kms.create_key(Description="contract")["KeyMetadata"]["Arn"]
    yield arn
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)


@pytest.fixture
def secret_id(aws: Any) -> Iterator[str]:
    secrets = aws("secretsmanager")
    arn: str = secrets.create_secret(Name=f"contract-{uuid.uuid4().hex[:8]}", SecretString="{}")[
        "ARN"
    ]
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
