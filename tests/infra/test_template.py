"""template.yaml against the code: what it wires, what it grants, what it keeps and hides."""

from __future__ import annotations

import ast
import importlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template_support import (
    FUNCTIONS,
    ROOT,
    environment,
    listed,
    properties,
    resources,
    routes,
    statements,
    template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = pytest.mark.parametrize("function", FUNCTIONS)


# --- Code and template agree


def test_every_function_of_the_template_is_known_here() -> None:
    assert set(resources("AWS::Serverless::Function")) == set(FUNCTIONS.values())


@EVERY
def test_a_handler_is_there_to_be_called(function: str) -> None:
    module, name = properties(function)["Handler"].split(".")
    assert module == function
    assert callable(getattr(importlib.import_module(module), name))


@EVERY
def test_the_routes_are_those_of_the_code_with_the_same_callers(function: str) -> None:
    table = importlib.import_module(function).ROUTES
    coded = (
        {route: about.caller for route, about in table.items()}
        if isinstance(table, dict)
        else dict.fromkeys(table, "none")
    )
    assert routes(function) == coded


def test_the_readmes_table_of_routes_is_the_templates() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = r"^\| (GET|PUT|POST|DELETE|ANY) \| `?(/[^|` ]*)`? \| ([^|]+) \| `?(\w+)`? \|"
    written = {
        f"{method} {path}": (function, {"IAM": "iam", "JWT": "jwt"}.get(who.strip(), "none"))
        for method, path, who, function in re.findall(row, text, re.MULTILINE)
    }
    deployed = {
        route: (function, caller)
        for function in FUNCTIONS
        for route, caller in routes(function).items()
    }
    assert written == deployed


_INDIRECT: dict[str, tuple[str, ...]] = {"require": (), "provider_url": ("provider_override",)}


def _settings_named(tree: ast.AST) -> Iterator[str]:
    """Settings that code reads: `settings().name`, `.require("name")`, `_secret("name")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="require") | ast.Name(id="_secret"),
                args=[ast.Constant(value=str(name))],
            ):
                yield name
            case ast.Attribute(value=ast.Call(func=ast.Name(id="settings")), attr=name):
                yield from {"require": (), "provider_url": ("provider_override",)}.get(
                    name, (name,)
                )


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / "functions" / path).read_text(encoding="utf-8"))


def _builders() -> dict[str, ast.FunctionDef]:
    tree = _tree("valet/wiring.py")
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _built_by(function: str) -> set[str]:
    """The builders that a function's entry point uses, and those that they use in turn."""
    builders = _builders()
    found: set[str] = set()
    waiting = {
        alias.name
        for node in ast.walk(_tree(f"{function}.py"))
        if isinstance(node, ast.ImportFrom) and node.module == "valet.wiring"
        for alias in node.names
    }
    while waiting:
        name = waiting.pop()
        found.add(name)
        calls = (node for node in ast.walk(builders[name]) if isinstance(node, ast.Call))
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        waiting |= (names & set(builders)) - found
    return found


@EVERY
def test_a_function_has_the_environment_that_it_reads_and_no_more(function: str) -> None:
    builders = _builders()
    read = {name for used in _built_by(function) for name in _settings_named(builders[used])}
    read |= set(_settings_named(_tree(f"{function}.py")))
    if "jwt" in routes(function).values():
        read |= set(_settings_named(_tree("valet/http.py")))
    powertools = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
    assert set(environment(function)) - powertools == {name.upper() for name in read}


def test_every_setting_is_given_to_some_function() -> None:
    tree = _tree("valet/settings.py")
    names = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "read"
        and isinstance(node.args[0], ast.Constant)
    }
    given = set().union(*(environment(function) for function in FUNCTIONS))
    assert names
    assert names <= given


# --- What each function may do: the whole of it

READS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
SEAL_AND_OPEN = {"kms:GenerateDataKey", "kms:Decrypt"}
READ_SECRET = {"secretsmanager:GetSecretValue"}

type Grant = tuple[set[str], set[str], dict[str, set[str]]]  # actions, resources, conditions

MATRIX: dict[str, list[Grant]] = {
    "create_config": [
        (
            {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"},
            {"Table"},
            {"dynamodb:LeadingKeys": {"CONFIG", "CONFIG#*", "CONNECTION", "ENDPOINT"}},
        ),
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
                }
            },
        ),
        (
            WRITES,
            {"Table"},
            {"dynamodb:LeadingKeys": {"TICKET#*", "STATE#*", "AUTHORIZATION#*", "GRANT#*"}},
        ),
        (SEAL_AND_OPEN, {"VaultKey"}, {"kms:EncryptionContext:service": {"mcp-valet"}}),
        (READ_SECRET, {"OAuthClients"}, {}),
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
                    "INSTANCE#*",
                    "GRANT#*",
                    "CALL#*",
                }
            },
        ),
        (
            WRITES,
            {"Table"},
            {"dynamodb:LeadingKeys": {"INSTANCE#*", "TICKET#*", "GRANT#*", "CALL#*"}},
        ),
        (
            SEAL_AND_OPEN,
            {"VaultKey"},
            {
                "kms:EncryptionContext:service": {"mcp-valet"},
                "kms:EncryptionContext:purpose": {"tokens"},
            },
        ),
        (READ_SECRET, {"UrlKeys", "OAuthClients"}, {}),
    ],
}


def _grant(statement: dict[str, Any]) -> Grant:
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    named = {resource["Fn::GetAtt"][0] for resource in listed(statement["Resource"])}
    conditions = {
        key: set(listed(values))
        for operands in statement.get("Condition", {}).values()
        for key, values in operands.items()
    }
    return set(listed(statement["Action"])), named, conditions


@EVERY
def test_a_function_may_do_exactly_this(function: str) -> None:
    assert [_grant(statement) for statement in statements(function)] == MATRIX[function]


@EVERY
def test_conditions_are_of_the_kind_that_narrows(function: str) -> None:
    """ForAllValues on leading keys, and equality on the encryption context."""
    for statement in statements(function):
        operators = set(statement.get("Condition", {}))
        kind = listed(statement["Action"])[0].split(":")[0]
        expected = {"dynamodb": {"ForAllValues:StringLike"}, "kms": {"StringEquals"}}
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


# --- Functions


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


# --- The edge


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
    assert api["FailOnWarnings"] is True
    assert 0 < api["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 1000
    assert 0 < api["DefaultRouteSettings"]["ThrottlingBurstLimit"] <= 1000


def test_only_the_apps_own_pages_may_call_from_a_browser() -> None:
    cors = resources()["Api"]["Properties"]["CorsConfiguration"]
    (origin,) = cors["AllowOrigins"]
    assert "VerifyUrl" in json.dumps(origin)
    assert "*" not in json.dumps(cors)
    assert not cors.get("AllowCredentials")
    assert set(cors["AllowHeaders"]) == {"authorization", "content-type"}


# --- State


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


# --- Secrets


def test_no_secret_is_in_the_template() -> None:
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for shape in (
        r"AKIA[0-9A-Z]{16}",
        r"GOCSPX-",
        r"ya29\.",
        r"-----BEGIN",
        r"apps\.googleusercontent\.com",
        r"mvk_",
    ):
        assert not re.search(shape, text), shape
    assert not re.search(r"\b\d{12}\b", text), "an account id"


def test_no_secret_comes_in_by_parameter_or_goes_out_by_environment() -> None:
    for name, parameter in template()["Parameters"].items():
        assert not re.search(r"secret|password|token|key", name, re.IGNORECASE), name
        assert not parameter.get("NoEcho"), name
    for function in FUNCTIONS:
        for name, value in environment(function).items():
            assert "resolve:" not in json.dumps(value)
            if name.endswith("_SECRET"):
                assert set(value) == {"Fn::GetAtt"}, "a name, never a value"
    assert resources()["OAuthClients"]["Properties"]["SecretString"] == "{}"
    assert "GenerateSecretString" in resources()["UrlKeys"]["Properties"]


# --- Parameters


def accepts(parameter: str, value: str) -> bool:
    """CloudFormation holds the whole value against the pattern."""
    return re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], value) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/verify",
        "https://app.example.com/",
        "https://app.example.com:8443/a/b-c_d.e~f",
        "http://127.0.0.1:8500/verify",
        "http://localhost/verify",
    ],
)
def test_a_verify_url_that_is_a_page_of_the_app_is_taken(url: str) -> None:
    assert accepts("VerifyUrl", url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://app.example.com",
        "//evil.example/verify",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example/verify",
        "https:/evil.example/verify",
        "https://app.example.com@evil.example/verify",
        "https://app.example.com%2f@evil.example/verify",
        "https://user:pass@app.example.com/verify",
        "https://app.example.com\\.evil.example/verify",
        "https://app.example.com/\\evil.example",
        "https://app.example.com:port/verify",
        "https://app.example.com./verify",
        "https://.example.com/verify",
        "https://app..example.com/verify",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example.com/ver\tify",
        "https://app.example.com/ver\r\nify",
        "https://app.example.com/verify\n",
        " https://app.example.com/verify",
        "https://\u0430pp.example.com/verify",
        "https://app.example.com/verify?next=https://evil.example",
        "https://app.example.com/verify#x",
        "https://app.example.com/verify/../x",
        "https://app.example.com/..",
        "https://app.example.com/<script>",
        'https://app.example.com/"',
        "HTTPS://app.example.com/verify",
        "http://app.example.com/verify",
        "http://127.0.0.1.evil.example/verify",
        "http://localhost.evil.example/verify",
        "ftp://app.example.com/verify",
    ],
)
def test_a_verify_url_that_could_lead_elsewhere_is_refused(url: str) -> None:
    assert not accepts("VerifyUrl", url)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:4700", "http://127.0.0.1:1"])
def test_a_stand_in_for_providers_is_on_this_machine(url: str) -> None:
    assert accepts("ProviderOverride", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.0.0.1:4700/",
        "http://127.0.0.1:4700@evil.example",
        "http://127.0.0.1:4700\n",
        "http://127.0.0.1.evil.example:80",
        "http://localhost:4700",
        "https://127.0.0.1:4700",
        "http://0.0.0.0:4700",
        "http://[::1]:4700",
        "http://10.0.0.1:80",
        "http://169.254.169.254:80",
        "https://evil.example",
    ],
)
def test_a_stand_in_for_providers_is_nowhere_else(url: str) -> None:
    assert not accepts("ProviderOverride", url)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("", True),
        ("https://mcp.example.com", True),
        ("http://127.0.0.1:8400", True),
        ("https://mcp.example.com/", False),
        ("https://mcp.example.com/path", False),
        ("http://mcp.example.com", False),
        ("https://a@mcp.example.com", False),
        ("https://mcp.example.com\n", False),
        ("mcp.example.com", False),
    ],
)
def test_a_public_url_is_an_origin(url: str, fine: bool) -> None:
    assert accepts("PublicUrl", url) is fine


def test_an_apps_name_cannot_carry_markup() -> None:
    for name in ("<script>", 'a"b', "a&b", ""):
        assert not accepts("AppName", name)
    assert accepts("AppName", "Bob's app, ünï")


# --- Outputs and references


def references(value: Any) -> Iterator[str]:
    """The names that a part of the template refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": text}:
            body, *extra = listed(text)
            yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", body))
            yield from references(extra)
        case dict() | list():
            for entry in value.values() if isinstance(value, dict) else value:
                yield from references(entry)


def dependencies() -> dict[str, set[str]]:
    """As after SAM's transform: the API names its functions, its functions must not name it."""
    known = set(resources())
    found: dict[str, set[str]] = {}
    for name, resource in resources().items():
        about = {k: v for k, v in resource.get("Properties", {}).items() if k != "Events"}
        found[name] = (set(references(about)) | set(listed(resource.get("DependsOn", [])))) & known
    for name in FUNCTIONS.values():
        events = resources()[name]["Properties"]["Events"].values()
        assert all(event["Properties"]["ApiId"] == {"Ref": "Api"} for event in events)
        found["Api"].add(name)
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, above: list[str]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name in done:
            return []
        done.add(name)
        for other in sorted(graph[name]):
            found = visit(other, [*above, name])
            if found:
                return found
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_no_resource_waits_for_itself() -> None:
    """Neither cfn-lint nor `sam validate` sees a function's variable that names its API."""
    assert cycle(dependencies()) == []


def test_such_a_cycle_would_be_seen() -> None:
    graph = dependencies()
    graph["McpServerFunction"].add("Api")
    assert cycle(graph)


def test_every_reference_leads_somewhere() -> None:
    known = set(resources()) | set(template()["Parameters"])
    for name in references({k: template()[k] for k in ("Resources", "Outputs", "Conditions")}):
        assert name in known or name.startswith("AWS::"), name
