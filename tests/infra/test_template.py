"""How template.yaml runs functions, guards the edge, keeps state and hides secrets."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.template_support import (
    BACKENDS,
    FUNCTIONS,
    ROOT,
    deployed_functions,
    environment,
    properties,
    resources,
    routes,
    template,
)

EVERY = pytest.mark.parametrize("function", FUNCTIONS)


@EVERY
def test_a_function_runs_as_it_was_tested(function: str) -> None:
    about = properties(function)
    assert about["Runtime"] == "python3.13"
    assert about["Architectures"] == [{"Ref": "Architecture"}]
    assert about["MemorySize"] >= 1024
    assert about["Tracing"] == "Active"
    assert about["Description"]


@EVERY
def test_a_function_ends_before_its_caller_gives_up(function: str) -> None:
    """API Gateway waits 30 seconds, CloudFormation as long as ServiceTimeout says."""
    limit = 60 if function == "create_config" else 29
    assert 10 <= properties(function)["Timeout"] <= limit


def test_architectures_offered_are_those_of_lambda() -> None:
    parameter = template()["Parameters"]["Architecture"]
    assert parameter["AllowedValues"] == ["arm64", "x86_64"]
    assert parameter["Default"] == "arm64"


@EVERY
def test_a_function_logs_json_to_a_group_of_its_own_that_forgets(function: str) -> None:
    logging = properties(function)["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    group = resources()[logging["LogGroup"]["Ref"]]
    assert group["Type"] == "AWS::Logs::LogGroup"
    assert 1 <= group["Properties"]["RetentionInDays"] <= 90
    groups = [properties(name)["LoggingConfig"]["LogGroup"]["Ref"] for name in FUNCTIONS]
    assert len(set(groups)) == len(groups)


def test_every_log_group_forgets() -> None:
    for name, group in resources("AWS::Logs::LogGroup").items():
        assert group["Properties"].get("RetentionInDays"), name


def test_every_function_is_watched_for_errors_and_throttles() -> None:
    for alarm in ("FunctionErrors", "FunctionThrottles"):
        text = json.dumps(resources()[alarm])
        for logical_id in FUNCTIONS.values():
            assert f'{{"Ref": "{logical_id}"}}' in text


def test_a_route_is_closed_unless_it_says_otherwise() -> None:
    auth = resources()["Api"]["Properties"]["Auth"]
    assert auth["DefaultAuthorizer"] == "UserJwt"
    assert auth["EnableIamAuthorizer"] is True
    opened = {r for f in FUNCTIONS for r, caller in routes(f).items() if caller == "none"}
    assert opened == {
        "GET /connect/{ticket}",
        "POST /connect/{ticket}/{connection}",
        "GET /oauth/callback/{connection}",
        "ANY /mcp/{key}",
        "ANY /mcp",
        "GET /.well-known/oauth-protected-resource/mcp",
        "GET /.well-known/oauth-protected-resource",
    }


def test_a_path_that_names_a_user_is_for_services_alone() -> None:
    for function in FUNCTIONS:
        for route, caller in routes(function).items():
            assert ("{user}" in route) <= (caller == "iam"), route


def test_the_access_log_has_no_path_and_no_query() -> None:
    """Both carry credentials: URL keys, tickets, codes, states."""
    logged = resources()["Api"]["Properties"]["AccessLogSettings"]["Format"]
    record = json.loads(logged)
    assert record["routeKey"] == "$context.routeKey"
    allowed = {
        "$context.requestId",
        "$context.routeKey",
        "$context.status",
        "$context.responseLatency",
        "$context.integrationErrorMessage",
        "$context.authorizer.error",
        "$context.identity.sourceIp",
    }
    assert set(record.values()) <= allowed


def test_the_api_is_throttled_and_fails_on_warnings() -> None:
    api = resources()["Api"]["Properties"]
    assert 0 < api["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
    assert 0 < api["DefaultRouteSettings"]["ThrottlingBurstLimit"] <= 1000


def test_only_the_apps_own_pages_may_call_from_a_browser() -> None:
    cors = resources()["Api"]["Properties"]["CorsConfiguration"]
    (origin,) = cors["AllowOrigins"]
    assert "VerifyUrl" in json.dumps(origin)
    assert "*" not in json.dumps(cors)
    assert not cors.get("AllowCredentials")
    assert set(cors["AllowHeaders"]) == {"authorization", "content-type"}


@pytest.mark.parametrize("name", ["Table", "VaultKey", "OAuthClients", "UrlKeys", "UserPool"])
def test_state_outlives_the_stack(name: str) -> None:
    resource = resources()[name]
    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_everything_that_holds_state_is_retained() -> None:
    stateful = (
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::SecretsManager::Secret",
        "AWS::Cognito::UserPool",
        "AWS::S3::Bucket",
    )
    for name, resource in resources(*stateful).items():
        assert resource["DeletionPolicy"] == "Retain", name


def test_the_table_can_be_restored_and_forgets_what_is_over() -> None:
    table = resources()["Table"]["Properties"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert "TableName" not in table, "a fixed name cannot be replaced"
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


def test_every_attribute_that_the_table_defines_is_a_key() -> None:
    """CloudFormation refuses one that is not, and only when it is deployed."""
    table = resources()["Table"]["Properties"]
    schemas = [table["KeySchema"], *(i["KeySchema"] for i in table["GlobalSecondaryIndexes"])]
    keys = {part["AttributeName"] for schema in schemas for part in schema}
    assert {each["AttributeName"] for each in table["AttributeDefinitions"]} == keys


def test_the_key_rotates() -> None:
    key = resources()["VaultKey"]["Properties"]
    assert key["EnableKeyRotation"] is True
    assert key["PendingWindowInDays"] == 30


def test_custom_resources_do_not_hang_the_stack_for_an_hour() -> None:
    from create_config import _RESOURCES

    custom = {n: r for n, r in resources().items() if r["Type"].startswith("Custom::")}
    assert custom
    for name, resource in custom.items():
        assert resource["Type"] in _RESOURCES, name
        timeout = int(resource["Properties"]["ServiceTimeout"])
        assert properties("create_config")["Timeout"] < timeout <= 300, name
        token = resource["Properties"]["ServiceToken"]
        assert token == {"Fn::GetAtt": ["CreateConfigFunction", "Arn"]}, name


def test_no_secret_is_in_the_template() -> None:
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for shape in (
        r"AKIA[0-9A-Z]{16}",
        r"GOCSPX-",
        r"ya29\.",
        r"-----BEGIN",
        r"apps\.googleusercontent\.com",
        r"mv[kt]_",
    ):
        assert not re.search(shape, text), shape
    assert not re.search(r"\b\d{12}\b", text), "an account id"


def test_no_secret_comes_in_by_parameter_or_goes_out_by_environment() -> None:
    for name, parameter in template()["Parameters"].items():
        where_not_what = "secretsmanager" in parameter.get("AllowedPattern", "")
        assert where_not_what or not re.search(r"secret|password|token|key", name, re.IGNORECASE), (
            name
        )
        assert not parameter.get("NoEcho"), name
    for backend in BACKENDS:
        for function in deployed_functions(backend):
            for name, value in environment(function, backend).items():
                assert "resolve:" not in json.dumps(value)
                if name.endswith("_SECRET"):
                    named = value == {"Ref": "ScalekitSecretArn"} or set(value) == {"Fn::GetAtt"}
                    assert named, "a name, never a value"
    assert resources()["OAuthClients"]["Properties"]["SecretString"] == "{}"
    assert "GenerateSecretString" in resources()["UrlKeys"]["Properties"]


def test_what_points_to_an_attack_or_an_outage_has_an_alarm() -> None:
    watched = {
        alarm["Properties"]["MetricName"]: alarm["Properties"]
        for alarm in resources().values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm" and "MetricName" in alarm["Properties"]
    }
    service = {"service": "AWS::StackName"}
    dimensions = {
        "SealBroken": service,
        "AuthorizationRejected": service,
        "AccountExpired": service,
        "4xx": {"ApiId": "Api"},
        "DependencyUnavailable": {},
    }
    assert set(watched) == set(dimensions)
    for name, alarm in watched.items():
        found = {d["Name"]: d["Value"]["Ref"] for d in alarm.get("Dimensions", [])}
        assert found == dimensions[name]
        assert alarm["AlarmDescription"]
        assert "AlarmActions" in alarm


def test_an_outage_of_what_we_depend_on_is_counted_where_the_functions_log_it() -> None:
    filters = [
        resource["Properties"]
        for resource in resources().values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
    ]
    counted = {
        filter_["LogGroupName"]["Ref"]: re.findall(
            r'\(\$\.(\w+) = "(\w+)"\)', filter_["FilterPattern"]
        )
        for filter_ in filters
    }
    by_http = [
        ("code", f"{what}_unavailable") for what in ("table", "secrets", "vault", "scalekit")
    ]
    by_mcp = [("code", f"{what}_unavailable") for what in ("table", "secrets", "issuer")]
    in_calls = [("outcome", f"{what}_unavailable") for what in ("table", "secrets", "vault")]
    assert counted == {
        "CreateConfigLogs": by_http,
        "EnsureInstanceLogs": by_http,
        "OAuthCallbackLogs": by_http,
        "McpServerLogs": [*by_mcp, *in_calls],
    }
    metrics = [metric for filter_ in filters for metric in filter_["MetricTransformations"]]
    assert {metric["MetricName"] for metric in metrics} == {"DependencyUnavailable"}
