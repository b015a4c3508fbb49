"""template.yaml after SAM's own transform, which runs in the emulator's environment."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template_support import FUNCTIONS, ROOT, chosen, routes, source
from tests.infra.test_template_code import cycle, references

if TYPE_CHECKING:
    from pathlib import Path

# `make env-all` makes the environment; the translator pins a pydantic that is not ours.
pytestmark = pytest.mark.emulator
PYTHON = ROOT / ".local" / "venv-emulator" / "bin" / "python"

TRANSFORM = """
import json, sys
from samtranslator.translator.transform import transform
class Policies:
    def load(self):
        return {}
parameters = {"VerifyUrl": "https://app.example.com/verify"}
json.dump(transform(json.load(sys.stdin), parameters, Policies()), sys.stdout, default=str)
"""


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The resources that CloudFormation gets."""
    written = source()
    written["Globals"]["Function"]["CodeUri"] = "s3://bucket/package.zip"
    here: Path = tmp_path_factory.mktemp("sam")
    done = subprocess.run(  # noqa: S603  # our own words, in an environment of ours
        [PYTHON, "-c", TRANSFORM],
        input=json.dumps(written),
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
        env={"AWS_DEFAULT_REGION": "us-east-1", "PATH": "/usr/bin:/bin"},
    )
    resources: dict[str, dict[str, Any]] = json.loads(done.stdout)["Resources"]
    return resources


def of_type(resources: dict[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def test_no_resource_waits_for_itself(transformed: dict[str, dict[str, Any]]) -> None:
    graph = {
        name: (
            set(references(resource.get("Properties", {}))) | set(resource.get("DependsOn") or [])
        )
        & set(transformed)
        for name, resource in transformed.items()
    }
    assert len(graph) > len(source()["Resources"])
    assert cycle(graph) == []


def test_each_route_has_its_authorizer_and_its_function(
    transformed: dict[str, dict[str, Any]],
) -> None:
    (api,) = of_type(transformed, "AWS::ApiGatewayV2::Api").values()
    found: dict[str, dict[str, str]] = {function: {} for function in FUNCTIONS}
    by_id = {logical_id: function for function, logical_id in FUNCTIONS.items()}
    for path, methods in chosen(api["Body"]["paths"], native=True).items():
        for method, about in methods.items():
            if method == "options":
                continue
            uri = json.dumps(about["x-amazon-apigateway-integration"]["uri"])
            (function,) = [name for logical_id, name in by_id.items() if f"{logical_id}.Arn" in uri]
            security = [name for entry in about.get("security", []) for name in entry]
            (authorizer,) = security  # an operation without one would be open
            caller = {"UserJwt": "jwt", "AWS_IAM": "iam", "NONE": "none"}[authorizer]
            found[function][f"{_verb(method)} {path}"] = caller
    assert found == {function: routes(function) for function in FUNCTIONS}


def test_only_the_api_may_invoke_through_the_api(transformed: dict[str, dict[str, Any]]) -> None:
    permissions = of_type(transformed, "AWS::Lambda::Permission")
    assert len(permissions) == sum(len(routes(function)) for function in FUNCTIONS)
    for name, permission in permissions.items():
        assert permission["Principal"] == "apigateway.amazonaws.com", name
        assert "execute-api" in json.dumps(permission["SourceArn"]), name


def test_each_function_has_a_role_of_its_own_for_lambda_alone(
    transformed: dict[str, dict[str, Any]],
) -> None:
    roles = of_type(transformed, "AWS::IAM::Role")
    functions = of_type(transformed, "AWS::Lambda::Function")
    used = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert sorted(used) == sorted(roles)
    for name, role in roles.items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": ["lambda.amazonaws.com"]}, name
        managed = {
            json.dumps(arn).rstrip('"').rsplit("/", 1)[1] for arn in role["ManagedPolicyArns"]
        }
        assert managed == {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}, name


def test_no_function_is_reachable_but_through_the_api(
    transformed: dict[str, dict[str, Any]],
) -> None:
    assert not of_type(transformed, "AWS::Lambda::Url")
    assert not of_type(transformed, "AWS::Lambda::EventSourceMapping")


def test_with_scalekit_no_route_leads_to_a_server_of_ours(
    transformed: dict[str, dict[str, Any]],
) -> None:
    (api,) = of_type(transformed, "AWS::ApiGatewayV2::Api").values()
    paths = chosen(api["Body"]["paths"], native=False)
    served = {
        f"{_verb(method)} {path}"
        for path, methods in paths.items()
        for method in methods
        if method != "options"
    }
    everything = {route for function in FUNCTIONS for route in routes(function)}
    assert served == everything - set(routes("mcp_server"))


def _verb(method: str) -> str:
    return "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
