"""A change of a config, from the operator's door to the list that a client sees."""

from __future__ import annotations

import json
import time
import uuid
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import wire
from tests.e2e.consent import GMAIL, connect
from tests.e2e.deployed import aws
from tests.infra.template_support import resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.api import Api
    from tests.e2e.people import User

_A_MINUTE = 60  # within which the README promises that an update has arrived


@pytest.mark.native_only("Scalekit serves MCP")
def test_an_update_reaches_an_instance_that_is_in_use_within_a_minute(
    user: User, api: Api, new_config: Callable[..., str]
) -> None:
    config = new_config(gmail=["gmail_fetch_mails"])
    connect(user, config=config)
    url = user.ensure(config)["url"]
    old, new = ["gmail_fetch_mails"], ["gmail_list_labels"]
    assert wire.list_tools(url) == old
    body = {"connections": [{"connection": GMAIL, "tools": new}]}
    assert api.as_service("PUT", f"/configs/{config}", body).json()["instances_losing_tools"] == 1
    deadline = time.monotonic() + _A_MINUTE
    while (listed := wire.list_tools(url)) != new:
        assert listed == old, "one revision or the other"
        assert time.monotonic() < deadline
        time.sleep(1)  # the functions have a real clock here
    assert wire.post_call(api, url, "gmail_list_labels", {})["isError"] is False
    refused = wire.post(api, url, "tools/call", {"name": "gmail_fetch_mails", "arguments": {}})
    assert refused.json()["error"]["code"] == -32602


def test_a_table_without_the_newest_index_gets_it_by_an_update_of_its_stack() -> None:
    cloudformation, name = aws("cloudformation"), f"e2e-{uuid.uuid4().hex[:12]}"
    newest: dict[str, Any] = deepcopy(resources()["Table"])
    newest |= {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
    newest["Properties"]["DeletionProtectionEnabled"] = False
    older = deepcopy(newest)
    about = older["Properties"]
    (gone,) = about["GlobalSecondaryIndexes"].pop()["KeySchema"]
    about["AttributeDefinitions"] = [
        each
        for each in about["AttributeDefinitions"]
        if each["AttributeName"] != gone["AttributeName"]
    ]
    cloudformation.create_stack(StackName=name, TemplateBody=_alone(older))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    try:
        cloudformation.update_stack(StackName=name, TemplateBody=_alone(newest))
        cloudformation.get_waiter("stack_update_complete").wait(StackName=name)
        (table,) = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        found = aws("dynamodb").describe_table(TableName=table["PhysicalResourceId"])["Table"]
        indexes = {index["IndexName"] for index in found["GlobalSecondaryIndexes"]}
        assert indexes == {"ByUser", "ByConfig"}
    finally:
        cloudformation.delete_stack(StackName=name)


def _alone(table: dict[str, Any]) -> str:
    return json.dumps({"Resources": {"Table": table}})
