"""Custom::McpConfig through CloudFormation: stacks of their own over the deployed function."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.deployed import Deployment, aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.api import Api
    from tests.e2e.people import User

_PATIENCE = 60  # seconds until a stack must have come to rest


class ConfigStack:
    """A stack of one config, whose name and tools a test may choose."""

    def __init__(self, service_token: str) -> None:
        self.name = f"e2e-{uuid.uuid4().hex[:12]}"
        self.config = f"{self.name}-config"
        self._service_token = service_token
        self._cloudformation = aws("cloudformation")

    def create(self, **properties: Any) -> str:
        self._cloudformation.create_stack(StackName=self.name, TemplateBody=self._body(properties))
        return self._rest()

    def update(self, **properties: Any) -> str:
        self._cloudformation.update_stack(StackName=self.name, TemplateBody=self._body(properties))
        return self._rest()

    def delete(self) -> None:
        self._cloudformation.delete_stack(StackName=self.name)
        self._rest()

    def output(self) -> dict[str, str]:
        (stack,) = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def reasons(self) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [event.get("ResourceStatusReason", "") for event in events]

    def _body(self, properties: dict[str, Any]) -> str:
        chosen = {
            "ServiceToken": self._service_token,
            "ServiceTimeout": "60",
            "Name": self.config,
            "Connections": [{"Connection": "MY_GMAIL", "Tools": ["gmail_fetch_mails"]}],
        }
        resource = {"Type": "Custom::McpConfig", "Properties": chosen | properties}
        return json.dumps(
            {
                "Resources": {"Config": resource},
                "Outputs": {
                    "Name": {"Value": {"Ref": "Config"}},
                    "Revision": {"Value": {"Fn::GetAtt": ["Config", "Revision"]}},
                    "ToolCount": {"Value": {"Fn::GetAtt": ["Config", "ToolCount"]}},
                    "RemovedTools": {"Value": {"Fn::GetAtt": ["Config", "RemovedTools"]}},
                    "Losing": {"Value": {"Fn::GetAtt": ["Config", "InstancesLosingTools"]}},
                },
            }
        )

    def _rest(self) -> str:
        """CloudFormation works in the background: wait until the stack's status is a final one."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = [
                stack["StackStatus"]
                for page in self._cloudformation.get_paginator("list_stacks").paginate()
                for stack in page["StackSummaries"]
                if stack["StackName"] == self.name
            ]
            if not found or not found[0].endswith("IN_PROGRESS"):
                return found[0] if found else "DELETE_COMPLETE"
            time.sleep(0.2)
        raise AssertionError(f"{self.name} did not come to rest")


@pytest.fixture
def stack(deployment: Deployment) -> Iterator[ConfigStack]:
    stack = ConfigStack(deployment.function_arn("CreateConfigFunction"))
    yield stack
    stack.delete()


def _tools(api: Api, config: str) -> list[str] | None:
    answer = api.as_service("GET", f"/configs/{config}")
    if answer.status_code == 404:
        return None
    return [tool for each in answer.json()["connections"] for tool in each["tools"]]


def test_a_config_is_created_updated_and_deleted_with_its_stack(
    stack: ConfigStack, api: Api
) -> None:
    assert stack.create() == "CREATE_COMPLETE"
    assert stack.output() == {
        "Name": stack.config,
        "Revision": "1",
        "ToolCount": "1",
        "RemovedTools": "",
        "Losing": "0",
    }
    assert _tools(api, stack.config) == ["gmail_fetch_mails"]
    both = ["gmail_fetch_mails", "gmail_list_labels"]
    assert stack.update(Connections=[{"Connection": "MY_GMAIL", "Tools": both}]) == (
        "UPDATE_COMPLETE"
    )
    assert (stack.output()["Revision"], stack.output()["ToolCount"]) == ("2", "2")
    assert _tools(api, stack.config) == both
    stack.delete()
    assert _tools(api, stack.config) is None


def test_an_update_that_takes_tools_away_tells_the_pipeline_and_an_operator_can_go_back(
    stack: ConfigStack, api: Api, user: User, other: User
) -> None:
    stack.create()
    for one in (user, other):
        one.ensure(stack.config)
    labels = [{"Connection": "MY_GMAIL", "Tools": ["gmail_list_labels"]}]
    assert stack.update(Connections=labels) == "UPDATE_COMPLETE"
    assert (stack.output()["RemovedTools"], stack.output()["Losing"]) == ("gmail_fetch_mails", "2")
    restored = api.as_service("POST", f"/configs/{stack.config}/revisions/1/restore")
    assert restored.json()["revision"] == 3
    drafts = [{"Connection": "MY_GMAIL", "Tools": ["gmail_list_drafts"]}]
    assert stack.update(Connections=drafts) == "UPDATE_COMPLETE", "the stack is still in charge"
    assert _tools(api, stack.config) == ["gmail_list_drafts"]


def test_renaming_a_config_makes_the_new_one_and_deletes_the_old(
    stack: ConfigStack, api: Api
) -> None:
    stack.create()
    renamed = f"{stack.config}-2"
    assert stack.update(Name=renamed) == "UPDATE_COMPLETE"
    assert stack.output()["Name"] == renamed
    assert _tools(api, renamed) == ["gmail_fetch_mails"]
    assert _tools(api, stack.config) is None
    stack.delete()
    assert _tools(api, renamed) is None


def test_a_wrong_tool_fails_the_deploy_and_says_which_was_meant(
    stack: ConfigStack, api: Api
) -> None:
    wrong = [{"Connection": "MY_GMAIL", "Tools": ["gmail_fetch_mail"]}]
    assert stack.create(Connections=wrong) in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    said = "unknown tool 'gmail_fetch_mail': did you mean 'gmail_fetch_mails'?"
    assert any(said in reason for reason in stack.reasons())
    assert _tools(api, stack.config) is None


def test_a_wrong_update_is_rolled_back_to_what_was(stack: ConfigStack, api: Api) -> None:
    stack.create()
    wrong = [{"Connection": "MY_GMAI", "Tools": ["gmail_fetch_mails"]}]
    assert "ROLLBACK" in stack.update(Connections=wrong)
    said = "unknown connection 'MY_GMAI': did you mean 'MY_GMAIL'?"
    assert any(said in reason for reason in stack.reasons())
    assert _tools(api, stack.config) == ["gmail_fetch_mails"]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"Nmae": "x"}, "Custom::McpConfig: Nmae: Extra inputs are not permitted"),
        ({"Name": "Not A Name"}, "config"),
        ({"Connections": "MY_GMAIL"}, "Connections"),
    ],
)
def test_wrong_properties_fail_the_deploy_with_their_name(
    properties: dict[str, Any], said: str, stack: ConfigStack
) -> None:
    stack.create(**properties)
    assert any(said in reason for reason in stack.reasons())


def test_a_stack_does_not_take_over_what_another_declared(stack: ConfigStack, api: Api) -> None:
    before = _tools(api, "email-calendar-assistant")
    assert stack.create(Name="email-calendar-assistant") != "CREATE_COMPLETE"
    stack.delete()
    assert _tools(api, "email-calendar-assistant") == before
