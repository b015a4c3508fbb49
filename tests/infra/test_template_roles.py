"""What each function may do: the whole of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.template_support import (
    FUNCTIONS,
    deployed_functions,
    environment,
    listed,
    resources,
    statements,
    template,
)

EVERY = pytest.mark.parametrize("function", FUNCTIONS)


READS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
SEAL_AND_OPEN = {"kms:GenerateDataKey", "kms:Decrypt"}
READ_SECRET = {"secretsmanager:GetSecretValue"}

type Grant = tuple[set[str], set[str], dict[str, set[str]]]  # actions, resources, conditions

PUBLISH: Grant = (
    {"events:PutEvents"},
    {"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"},
    {"events:source": {"mcp-valet"}},
)

MATRIX: dict[str, list[Grant]] = {
    "create_config": [
        (
            {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"},
            {"Table"},
            {"dynamodb:LeadingKeys": {"CONFIG", "CONFIG#*", "CONNECTION", "ENDPOINT"}},
        ),
        ({"dynamodb:DeleteItem"}, {"Table"}, {"dynamodb:LeadingKeys": {"CONFIG", "CONNECTION"}}),
        ({"dynamodb:Query"}, {"${Table.Arn}/index/ByConfig"}, {}),
    ],
    "ensure_instance": [
        (
            READS,
            {"Table"},
            {
                "dynamodb:LeadingKeys": {
                    "CONFIG",
                    "CONNECTION",
                    "ENDPOINT",
                    "OWNER#*",
                    "INSTANCE#*",
                    "GRANT#*",
                }
            },
        ),
        (WRITES, {"Table"}, {"dynamodb:LeadingKeys": {"OWNER#*", "INSTANCE#*", "TICKET#*"}}),
        (READ_SECRET, {"UrlKeys"}, {}),
        PUBLISH,
    ],
    "oauth_callback": [
        (
            READS,
            {"Table"},
            {
                "dynamodb:LeadingKeys": {
                    "CONFIG",
                    "CONNECTION",
                    "ENDPOINT",
                    "TICKET#*",
                    "STATE#*",
                    "AUTHORIZATION#*",
                    "GRANT#*",
                    "OWNER#*",
                    "CALL#*",
                }
            },
        ),
        (
            WRITES,
            {"Table"},
            {"dynamodb:LeadingKeys": {"TICKET#*", "STATE#*", "AUTHORIZATION#*", "GRANT#*"}},
        ),
        (
            {"dynamodb:DeleteItem"},
            {"Table"},
            {"dynamodb:LeadingKeys": {"OWNER#*", "INSTANCE#*", "CALL#*"}},
        ),
        ({"dynamodb:Query"}, {"${Table.Arn}/index/ByUser"}, {}),
        (SEAL_AND_OPEN, {"VaultKey"}, {"kms:EncryptionContext:service": {"mcp-valet"}}),
        (READ_SECRET, {"OAuthClients"}, {}),
        PUBLISH,
    ],
    "mcp_server": [
        (
            READS,
            {"Table"},
            {
                "dynamodb:LeadingKeys": {
                    "CONFIG",
                    "CONNECTION",
                    "ENDPOINT",
                    "OWNER#*",
                    "INSTANCE#*",
                    "GRANT#*",
                    "CALL#*",
                }
            },
        ),
        (
            WRITES,
            {"Table"},
            {"dynamodb:LeadingKeys": {"TICKET#*", "GRANT#*", "CALL#*"}},
        ),
        (
            {"dynamodb:PutItem"},
            {"Table"},
            {"dynamodb:LeadingKeys": {"OWNER#*", "INSTANCE#*"}},
        ),
        ({"dynamodb:UpdateItem"}, {"Table"}, {"dynamodb:LeadingKeys": {"INSTANCE#*"}}),
        (
            SEAL_AND_OPEN,
            {"VaultKey"},
            {
                "kms:EncryptionContext:service": {"mcp-valet"},
                "kms:EncryptionContext:purpose": {"tokens"},
            },
        ),
        (READ_SECRET, {"UrlKeys", "OAuthClients"}, {}),
        PUBLISH,
    ],
}


HOSTED = ("create_config", "ensure_instance", "oauth_callback")
SCALEKIT: Grant = (READ_SECRET, {"ScalekitSecretArn"}, {})


def hosted() -> dict[str, list[Grant]]:
    """With Scalekit: its secret instead of ours, no key, and of grants just their deletion."""
    create, ensure, callback = (MATRIX[name] for name in HOSTED)
    return {
        "create_config": [*create, SCALEKIT],
        "ensure_instance": [_without_grants(ensure[0]), ensure[1], SCALEKIT, PUBLISH],
        "oauth_callback": [
            callback[0],
            _without_grants(callback[1]),
            (*callback[2][:2], {"dynamodb:LeadingKeys": _keys(callback[2]) | {"GRANT#*"}}),
            callback[3],
            SCALEKIT,
            PUBLISH,
        ],
    }


def _without_grants(grant: Grant) -> Grant:
    return *grant[:2], {"dynamodb:LeadingKeys": _keys(grant) - {"GRANT#*"}}


def _keys(grant: Grant) -> set[str]:
    return grant[2]["dynamodb:LeadingKeys"]


def _grant(statement: dict[str, Any]) -> Grant:
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    named = {
        resource.get("Fn::Sub") or resource.get("Ref") or resource["Fn::GetAtt"][0]
        for resource in listed(statement["Resource"])
    }
    conditions = {
        key: set(listed(values))
        for operands in statement.get("Condition", {}).values()
        for key, values in operands.items()
    }
    return set(listed(statement["Action"])), named, conditions


@EVERY
def test_a_function_may_do_exactly_this(function: str) -> None:
    assert [_grant(statement) for statement in statements(function)] == MATRIX[function]


@pytest.mark.parametrize("function", HOSTED)
def test_with_scalekit_a_function_may_do_exactly_this(function: str) -> None:
    found = [_grant(statement) for statement in statements(function, "scalekit")]
    assert found == hosted()[function]


def test_with_scalekit_there_is_no_server_key_or_client_of_ours() -> None:
    assert deployed_functions("scalekit") == list(HOSTED)
    gone = set(resources()) - set(resources(backend="scalekit"))
    assert {"McpServerFunction", "McpServerLogs", "VaultKey", "UrlKeys", "OAuthClients"} <= gone
    left = json.dumps(template("scalekit")["Resources"])
    assert not [name for name in gone if f'"{name}"' in left]
    assert "kms" not in left


@EVERY
def test_conditions_are_of_the_kind_that_narrows(function: str) -> None:
    """ForAllValues on leading keys, and equality on the encryption context."""
    for statement in statements(function):
        if "/index/" in json.dumps(statement["Resource"]):
            continue  # keyed by the user or the config; it projects keys and nothing else
        operators = set(statement.get("Condition", {}))
        kind = listed(statement["Action"])[0].split(":")[0]
        expected = {
            "dynamodb": {"ForAllValues:StringLike"},
            "kms": {"StringEquals"},
            "events": {"StringEquals"},
        }
        assert operators == expected.get(kind, set())


@pytest.mark.parametrize("function", ["create_config", "ensure_instance"])
def test_who_declares_or_hands_out_urls_cannot_open_the_vault(function: str) -> None:
    assert "kms" not in json.dumps(statements(function))
    assert "VAULT_KEY_ARN" not in environment(function)


@EVERY
def test_nothing_is_granted_by_wildcard_or_by_a_managed_policy(function: str) -> None:
    own = resources()[FUNCTIONS[function]]["Properties"]
    assert not {"Role", "ManagedPolicyArns", "FunctionUrlConfig"} & set(own)
    assert all(isinstance(policy, dict) and "Statement" in policy for policy in own["Policies"])
    for statement in statements(function):
        for action in listed(statement["Action"]):
            assert "*" not in action
            assert action.split(":")[1] not in ("Scan", "PutResourcePolicy")
        for resource in listed(statement["Resource"]):
            assert resource != "*"


def test_only_the_accounts_own_iam_administers_the_key() -> None:
    key_policy = resources()["VaultKey"]["Properties"]["KeyPolicy"]["Statement"]
    assert len(key_policy) == 1
    assert "root" in json.dumps(key_policy[0]["Principal"])


def test_wildcards_appear_in_the_keys_own_policy_alone() -> None:
    """In a key policy, `*` is that key."""
    for name, resource in resources().items():
        text = json.dumps(resource.get("Properties", {}))
        if name != "VaultKey":
            assert '"*"' not in text, name
            assert ':*"' not in text, name
