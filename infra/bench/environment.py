"""The environment of every measured process: Lambda's, and the settings of our function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.bench.standins import StandIns

_URL_KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:url-keys"
SECRETS = {_URL_KEYS: json.dumps({"current": "k1", "k1": "a key of the bench that opens nothing"})}


def environment(standins: StandIns) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_CA_BUNDLE": str(standins.ca_bundle),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": standins.aws_url,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_SESSION_TOKEN": "example",
        "OAUTH_CLIENTS_SECRET": "unused",
        "POWERTOOLS_METRICS_NAMESPACE": "McpValet",
        "POWERTOOLS_SERVICE_NAME": "mcp-valet",
        "PROVIDER_OVERRIDE": standins.provider_url,
        "TABLE_NAME": "bench",
        "URL_KEYS_SECRET": _URL_KEYS,
        "VAULT_KEY_ARN": "arn:aws:kms:us-east-1:123456789012:key/vault",
    }
