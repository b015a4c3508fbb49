"""Custom resources: exactly one reply to every request, and the same twice as once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.world import CALENDAR, CONFIG, GMAIL, URL
from valet.errors import NotFound
from valet.native.table import ConditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.support import Bundle

# CloudFormation's presigned URL is a server of its own here, on this machine.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

MAX_ANSWER = 4096  # bytes that CloudFormation takes
MAX_REASON = 1024


@dataclass
class CloudFormation:
    """Where replies go, and the stack's side of the conversation."""

    bundle: Bundle
    url: str
    replies: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def send(self, request: str, kind: str, properties: Any, **event: Any) -> dict[str, Any]:
        """One request; the one reply to it."""
        sent = events.custom_resource(request, kind, properties, url=self.url, **event)
        before = len(self.replies)
        assert self.bundle.invoke("create_config", sent) is None
        assert len(self.replies) == before + 1, "CloudFormation takes exactly one reply"
        method, headers, body = self.replies[-1]
        assert method == "PUT"
        assert headers.get("content-type", "") == "", "the URL is signed for an empty type"
        assert len(body) <= MAX_ANSWER
        reply: dict[str, Any] = json.loads(body)
        assert reply["StackId"] == sent["StackId"]
        assert reply["RequestId"] == sent["RequestId"]
        assert reply["LogicalResourceId"] == sent["LogicalResourceId"]
        assert reply["PhysicalResourceId"]
        assert len(reply["Reason"].encode()) <= MAX_REASON
        assert all(isinstance(value, str) for value in reply["Data"].values())
        return reply


@pytest.fixture
def cloudformation(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudFormation]:
    class Presigned(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            stack.replies.append((self.command, headers, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Presigned)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    stack = CloudFormation(bundle, f"http://127.0.0.1:{server.server_port}/presigned?X-Amz-Sig=s")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield stack
    server.shutdown()
    server.server_close()


def config(name: str = "mine", **changes: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Description": "Mail",
        "Connections": [{"Connection": GMAIL, "Tools": ["gmail_fetch_mails"]}],
        **changes,
    }


CONNECTION = {"Name": "WORK_MAIL", "Connector": "gmail", "OAuthClient": "google-work"}


def test_a_connection_is_declared(cloudformation: CloudFormation) -> None:
    reply = cloudformation.send("Create", "McpConnection", CONNECTION)
    assert (reply["Status"], reply["Reason"]) == ("SUCCESS", "")
    assert reply["PhysicalResourceId"] == "WORK_MAIL"
    assert reply["Data"] == {"Connector": "gmail"}
    made = cloudformation.bundle.world.configs.connections()["WORK_MAIL"]
    assert (made.connector, made.oauth_client) == ("gmail", "google-work")


def test_a_connection_without_a_client_uses_its_providers(cloudformation: CloudFormation) -> None:
    cloudformation.send("Create", "McpConnection", {"Name": "M2", "Connector": "gmail"})
    assert cloudformation.bundle.world.configs.connections()["M2"].oauth_client == "google"


def test_a_config_is_declared_changed_and_deleted(cloudformation: CloudFormation) -> None:
    configs = cloudformation.bundle.world.configs
    created = cloudformation.send("Create", "McpConfig", config())
    assert created["Status"] == "SUCCESS"
    assert created["PhysicalResourceId"] == "mine"
    assert created["Data"] == {
        "Revision": "1",
        "ToolCount": "1",
        "RemovedTools": "",
        "InstancesLosingTools": "0",
    }
    updated = cloudformation.send(
        "Update", "McpConfig", config(Description="More"), physical_id="mine"
    )
    assert updated["Data"]["Revision"] == "2"
    assert configs.get("mine").description == "More"
    deleted = cloudformation.send("Delete", "McpConfig", config(), physical_id="mine")
    assert deleted["Status"] == "SUCCESS"
    with pytest.raises(NotFound):
        configs.get("mine")


def test_an_update_that_takes_tools_away_says_so_in_attributes_the_same_twice(
    cloudformation: CloudFormation,
) -> None:
    cloudformation.send("Create", "McpConfig", config())
    cloudformation.bundle.ensure("alice", "mine")
    other = config(Connections=[{"Connection": GMAIL, "Tools": ["gmail_list_labels"]}])
    for _ in range(2):
        data = cloudformation.send("Update", "McpConfig", other, physical_id="mine")["Data"]
        assert (data["RemovedTools"], data["InstancesLosingTools"]) == ("gmail_fetch_mails", "1")


def test_as_many_tools_as_there_are_fit_the_answer(cloudformation: CloudFormation) -> None:
    everything = config(Connections=[{"Connection": GMAIL}, {"Connection": CALENDAR}])
    cloudformation.send("Create", "McpConfig", everything)
    data = cloudformation.send("Update", "McpConfig", config(), physical_id="mine")["Data"]
    assert data["RemovedTools"].startswith("gmail_")
    assert len(data["RemovedTools"]) <= 1500


def test_the_endpoint_is_written_and_outlives_the_resource(
    cloudformation: CloudFormation,
) -> None:
    properties = {"PublicUrl": "https://mcp.example.com"}
    reply = cloudformation.send("Create", "McpEndpoint", properties)
    assert (reply["Status"], reply["PhysicalResourceId"]) == ("SUCCESS", "endpoint")
    gone = cloudformation.send("Delete", "McpEndpoint", properties, physical_id="endpoint")
    assert gone["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://mcp.example.com",
        "https://mcp.example.com/path",
        "https://user@mcp.example.com",
        "https://mcp.example.com?x",
        "https://mcp.example.com\n",
        "javascript:alert(1)",
        "//mcp.example.com",
    ],
)
def test_a_public_url_that_is_no_origin_fails_the_deploy(
    cloudformation: CloudFormation, url: str
) -> None:
    reply = cloudformation.send("Create", "McpEndpoint", {"PublicUrl": url})
    assert reply["Status"] == "FAILED"
    assert "bad public URL" in reply["Reason"]
    assert cloudformation.bundle.world.endpoint.url() == URL


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
@pytest.mark.parametrize(
    ("kind", "properties", "physical_id"),
    [
        ("McpConfig", config(), "mine"),
        ("McpConnection", CONNECTION, "WORK_MAIL"),
        ("McpEndpoint", {"PublicUrl": URL}, "endpoint"),
    ],
)
def test_the_same_request_twice_is_answered_the_same(
    cloudformation: CloudFormation,
    kind: str,
    properties: dict[str, Any],
    physical_id: str,
    request_type: str,
) -> None:
    """Lambda repeats an event whose first run died after its work."""
    if request_type != "Create":
        cloudformation.send("Create", kind, properties)
    known = {} if request_type == "Create" else {"physical_id": physical_id}
    first = cloudformation.send(request_type, kind, properties, **known)
    assert cloudformation.send(request_type, kind, properties, **known) == first
    assert first["Status"] == "SUCCESS"
    assert first["PhysicalResourceId"] == physical_id


def test_a_rename_makes_the_new_and_then_deletes_the_old(cloudformation: CloudFormation) -> None:
    cloudformation.send("Create", "McpConfig", config("old"))
    renamed = cloudformation.send("Update", "McpConfig", config("new"), physical_id="old")
    assert renamed["PhysicalResourceId"] == "new"
    names = [c.name for c in cloudformation.bundle.world.configs.all()]
    assert names == [CONFIG, "new", "old"], "both live until the update is safe"
    cleaned = cloudformation.send("Delete", "McpConfig", config("old"), physical_id="old")
    assert cleaned["Status"] == "SUCCESS"
    assert [c.name for c in cloudformation.bundle.world.configs.all()] == [CONFIG, "new"]


def test_a_failed_create_names_an_id_whose_rollback_has_nothing_to_do(
    cloudformation: CloudFormation,
) -> None:
    wrong = config(Connections=[{"Connection": "NOPE"}])
    failed = cloudformation.send("Create", "McpConfig", wrong)
    assert failed["Status"] == "FAILED"
    assert failed["PhysicalResourceId"].startswith("failed-")
    before = dict(cloudformation.bundle.world.table.items)
    undone = cloudformation.send(
        "Delete", "McpConfig", wrong, physical_id=failed["PhysicalResourceId"]
    )
    assert (undone["Status"], undone["PhysicalResourceId"]) == (
        "SUCCESS",
        failed["PhysicalResourceId"],
    )
    assert cloudformation.bundle.world.table.items == before


def test_a_failed_update_keeps_the_id_and_its_rollback_restores(
    cloudformation: CloudFormation,
) -> None:
    cloudformation.send("Create", "McpConfig", config())
    wrong = config(Connections=[])
    failed = cloudformation.send("Update", "McpConfig", wrong, physical_id="mine")
    assert (failed["Status"], failed["PhysicalResourceId"]) == ("FAILED", "mine")
    restored = cloudformation.send("Update", "McpConfig", config(), physical_id="mine")
    assert (restored["Status"], restored["Data"]["Revision"]) == ("SUCCESS", "1")


def test_a_stack_cannot_take_or_delete_what_another_declared(
    cloudformation: CloudFormation,
) -> None:
    taken = cloudformation.send("Create", "McpConfig", config(CONFIG))
    assert taken["Status"] == "FAILED"
    assert "exists already" in taken["Reason"]
    other = cloudformation.send("Delete", "McpConfig", config(CONFIG), physical_id=CONFIG)
    assert other["Status"] == "SUCCESS"
    assert cloudformation.bundle.world.configs.get(CONFIG)
    connection = {"Name": GMAIL, "Connector": "gmail"}
    assert cloudformation.send("Create", "McpConnection", connection)["Status"] == "FAILED"


def test_a_wrong_tool_fails_the_deploy_with_the_nearest(cloudformation: CloudFormation) -> None:
    wrong = config(Connections=[{"Connection": GMAIL, "Tools": ["gmail_fetch_mail"]}])
    reply = cloudformation.send("Create", "McpConfig", wrong)
    assert reply["Reason"] == (
        "unknown tool 'gmail_fetch_mail': did you mean 'gmail_fetch_mails'? "
        "(log stream 2026/11/23/[$LATEST]0123456789abcdef)"
    )


def test_an_unknown_resource_type_is_answered_with_the_nearest(
    cloudformation: CloudFormation,
) -> None:
    reply = cloudformation.send("Create", "McpConfigs", config())
    assert reply["Status"] == "FAILED"
    assert reply["Reason"].startswith(
        "unknown resource type 'Custom::McpConfigs': did you mean 'Custom::McpConfig'?"
    )
    gone = cloudformation.send(
        "Delete", "McpConfigs", config(), physical_id=reply["PhysicalResourceId"]
    )
    assert gone["Status"] == "SUCCESS"


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "extra property": ("McpConfig", config(Tool=["x"]), "Tool"),
    "extra property inside": (
        "McpConfig",
        config(Connections=[{"Connection": GMAIL, "Toolz": ["gmail_fetch_mails"]}]),
        "Connections.0.Toolz",
    ),
    "missing property": ("McpConnection", {"Name": "X"}, "Connector"),
    "wrong type": ("McpConfig", config(Connections="MY_GMAIL"), "Connections"),
    "unknown connector": (
        "McpConnection",
        {"Name": "X", "Connector": "gmial"},
        "did you mean 'gmail'?",
    ),
    "empty tools": ("McpConfig", config(Connections=[{"Connection": GMAIL, "Tools": []}]), "empty"),
    "bad name": ("McpConfig", config("Not A Name"), "bad config name"),
    "bad client": ("McpConnection", CONNECTION | {"OAuthClient": "a b"}, "bad OAuth client name"),
    "no properties": ("McpConnection", {}, "Name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_properties_fail_the_deploy_and_are_named(
    cloudformation: CloudFormation, name: str
) -> None:
    kind, properties, named = WRONG[name]
    before = dict(cloudformation.bundle.world.table.items)
    reply = cloudformation.send("Create", kind, properties)
    assert reply["Status"] == "FAILED"
    assert named in reply["Reason"]
    assert cloudformation.bundle.world.table.items == before


@pytest.mark.parametrize("long", ["x" * 50_000, "\u00e9" * 50_000, "\U0001f600" * 50_000])
def test_a_long_reason_is_cut_to_what_cloudformation_takes(
    cloudformation: CloudFormation, long: str
) -> None:
    for properties in (config(long), config(**{long: "x"}), config(Connections=[{long: "x"}])):
        assert cloudformation.send("Create", "McpConfig", properties)["Status"] == "FAILED"


@pytest.mark.parametrize(
    "unexpected",
    [
        KeyError("token ya29.secret"),
        RuntimeError("token ya29.secret"),
        ConditionFailed({"sealed": "ya29.secret"}),
        RecursionError("ya29.secret"),
    ],
)
@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_an_error_that_nobody_worded_is_named_by_its_class_alone(
    cloudformation: CloudFormation,
    monkeypatch: pytest.MonkeyPatch,
    request_type: str,
    unexpected: Exception,
) -> None:
    class Broken:
        def put(self, *_: Any, **__: Any) -> None:
            raise unexpected

        delete = put

    monkeypatch.setattr("create_config.backend", lambda: SimpleNamespace(configs=Broken))
    known = {} if request_type == "Create" else {"physical_id": "mine"}
    reply = cloudformation.send(request_type, "McpConfig", config(), **known)
    assert reply["Status"] == "FAILED"
    assert reply["Reason"].startswith(f"{type(unexpected).__name__} (log stream ")
    assert "ya29" not in json.dumps(reply)


def test_a_reply_url_that_is_no_web_address_is_not_opened(
    cloudformation: CloudFormation,
) -> None:
    event = events.custom_resource("Create", "McpConfig", config(), url="file:///etc/passwd")
    with pytest.raises(ValueError, match="web address"):
        cloudformation.bundle.invoke("create_config", event)
    assert not cloudformation.replies


def test_calendar_and_mail_can_share_a_config(cloudformation: CloudFormation) -> None:
    both = config(Connections=[{"Connection": GMAIL}, {"Connection": CALENDAR}])
    reply = cloudformation.send("Create", "McpConfig", both)
    assert reply["Status"] == "SUCCESS"
    assert int(reply["Data"]["ToolCount"]) > 20
