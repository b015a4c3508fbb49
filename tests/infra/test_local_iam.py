"""The IAM condition keys that the emulator lacks."""

from typing import Any

from infra.local.alarms import plain
from infra.local.iam_conditions import encryption_context, event_sources, leading_keys

TABLES: dict[str, Any] = {
    "valet": {
        "pk_name": "pk",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-user",
                "KeySchema": [
                    {"AttributeName": "user", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            }
        ],
    }
}


def keys(request: dict[str, Any]) -> list[str]:
    found: list[str] = leading_keys(request, TABLES).get("dynamodb:LeadingKeys", [])
    return found


def test_an_encryption_context_becomes_a_key_for_each_pair() -> None:
    context = encryption_context({"EncryptionContext": {"service": "mcp-valet"}})
    assert context["kms:EncryptionContext:service"] == "mcp-valet"
    assert context["kms:EncryptionContextKeys"] == ["service"]


def test_no_encryption_context_gives_no_key_to_match() -> None:
    assert encryption_context({}) == {}


def test_an_event_names_its_source() -> None:
    assert event_sources({"Entries": [{"Source": "a"}]}) == {"events:source": "a"}
    assert event_sources({"Entries": [{"Source": "a"}, {}]}) == {"events:source": ["a", ""]}
    assert event_sources({"Name": "a-rule"}) == {}


def test_item_and_key_name_their_partition() -> None:
    assert keys({"TableName": "valet", "Item": {"pk": {"S": "A"}}}) == ["A"]
    assert keys({"TableName": "arn:aws:…:table/valet", "Key": {"pk": {"S": "B"}}}) == ["B"]


def test_a_query_names_its_partition_through_placeholders() -> None:
    query = {
        "TableName": "valet",
        "KeyConditionExpression": "#p = :p AND begins_with(sk, :s)",
        "ExpressionAttributeNames": {"#p": "pk"},
        "ExpressionAttributeValues": {":p": {"S": "OWNER#1"}, ":s": {"S": "x"}},
    }
    assert keys(query) == ["OWNER#1"]


def test_a_query_of_an_index_names_the_indexs_partition() -> None:
    query = {
        "TableName": "valet",
        "IndexName": "by-user",
        "KeyConditionExpression": "user = :u",
        "ExpressionAttributeValues": {":u": {"S": "alice"}},
    }
    assert keys(query) == ["alice"]


def test_every_part_of_a_transaction_is_named() -> None:
    items = [
        {"Put": {"TableName": "valet", "Item": {"pk": {"S": "A"}}}},
        {"ConditionCheck": {"TableName": "valet", "Key": {"pk": {"S": "B"}}}},
    ]
    assert keys({"TransactItems": items}) == ["A", "B"]


def test_every_part_of_a_batch_is_named() -> None:
    read = {"RequestItems": {"valet": {"Keys": [{"pk": {"S": "A"}}, {"pk": {"S": "B"}}]}}}
    write = {
        "RequestItems": {
            "valet": [
                {"PutRequest": {"Item": {"pk": {"S": "C"}}}},
                {"DeleteRequest": {"Key": {"pk": {"S": "D"}}}},
            ]
        }
    }
    assert keys(read) == ["A", "B"]
    assert keys(write) == ["C", "D"]


def test_an_alarm_over_metric_math_is_kept_on_its_first_metric() -> None:
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": []}
    alarm = {
        "Threshold": 1,
        "Metrics": [
            {"Id": "total", "Expression": "SUM(METRICS())"},
            {"Id": "m1", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": metric}},
        ],
    }
    assert plain(alarm) == {"Threshold": 1, **metric, "Period": 60, "Statistic": "Sum"}


def test_a_plain_alarm_stays_as_it_is() -> None:
    alarm = {"MetricName": "Errors", "Namespace": "AWS/Lambda"}
    assert plain(alarm) == alarm
