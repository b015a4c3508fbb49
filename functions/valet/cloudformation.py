"""The CloudFormation edge: exactly one reply to every custom resource request, always."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from valet.errors import ValetError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

FAILED_PREFIX = "failed-"  # the id of what was never made; its Delete has nothing to do
_REPLY_SECONDS = 10.0
_MAX_REASON = 1000  # bytes: CloudFormation takes an answer of 4,096, and shows 1,024 of a reason
# Whoever may invoke the function names the URL, so it is held to where CloudFormation's are: S3.
_ON_AWS = re.compile(r"https://([a-z0-9-]+\.)+amazonaws\.(com|com\.cn|eu)/[!-~]*")
_ON_THIS_MACHINE = re.compile(r"http://(?:localhost|127\.0\.0\.1)(:\d+)/[!-~]*")


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a resource came to: its physical id, and the attributes `!GetAtt` may read."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """One request: `owner` names the resource in its stack, the same for all of its requests."""

    request_type: str  # Create, Update, Delete
    resource_type: str
    physical_id: str
    owner: str
    properties: Mapping[str, Any] = field(repr=False)

    @property
    def deletes(self) -> bool:
        return self.request_type == "Delete"


type Action = Callable[[ResourceRequest], Provisioned]


def answer(event: Mapping[str, Any], context: LambdaContext, action: Action) -> None:
    """Run `action` and tell CloudFormation how it went.

    CloudFormation waits for this reply (up to the resource's ServiceTimeout) and repeats the event
    if the function fails, so nothing may be raised before it is sent; but a request that wants its
    reply sent elsewhere is none of CloudFormation's, and nothing is done for it.

    Raises:
        ValueError: the request's ResponseURL is not one of CloudFormation's.
    """
    _check_reply_url(event["ResponseURL"])
    request = _read(event)
    fallback = request.physical_id or f"{FAILED_PREFIX}{event['RequestId']}"
    try:
        if request.deletes and request.physical_id.startswith(FAILED_PREFIX):
            done, reason = Provisioned(request.physical_id), ""
        else:
            done, reason = action(request), ""
        status = "SUCCESS"
    except Exception as error:  # without a reply the stack hangs for an hour
        if not isinstance(error, ValetError):
            logger.exception("custom resource failed")
        status, done = "FAILED", Provisioned(fallback)
        reason = f"{_public(error)} (log stream {context.log_stream_name})"
    logger.info(
        "custom resource answered",
        request=request.request_type,
        resource=request.resource_type,
        status=status,
        reason=reason,
    )
    _reply(event, status, done, reason)


def _read(event: Mapping[str, Any]) -> ResourceRequest:
    hidden = ("ServiceToken", "ServiceTimeout")
    properties = event.get("ResourceProperties") or {}
    return ResourceRequest(
        request_type=event["RequestType"],
        resource_type=event.get("ResourceType", ""),
        physical_id=event.get("PhysicalResourceId") or "",
        owner=f"{event['StackId']}/{event['LogicalResourceId']}",
        properties={name: value for name, value in properties.items() if name not in hidden},
    )


def _public(error: Exception) -> str:
    """Stack events are widely readable: only errors that we worded ourselves are quoted."""
    return str(error) if isinstance(error, ValetError) else type(error).__name__


def _check_reply_url(url: str) -> None:
    local = _ON_THIS_MACHINE.fullmatch(url)
    # On the local stack, CloudFormation is where the functions find the rest of AWS.
    emulated = local and os.environ.get("AWS_ENDPOINT_URL") == f"http://127.0.0.1{local[1]}"
    if not emulated and not _ON_AWS.fullmatch(url):
        raise ValueError("ResponseURL is not a web address of CloudFormation's")


def _reply(event: Mapping[str, Any], status: str, done: Provisioned, reason: str) -> None:
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason.encode("utf-8", "replace")[:_MAX_REASON].decode("utf-8", "ignore"),
            "PhysicalResourceId": done.physical_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": dict(done.attributes),
        },
        ensure_ascii=False,
    ).encode()
    # The presigned URL is signed for an empty Content-Type.
    headers = {"Content-Type": ""}
    # Both lines are safe by _check_reply_url; a PUT is not redirected.
    reply = urllib.request.Request(event["ResponseURL"], body, headers, method="PUT")  # noqa: S310
    with urllib.request.urlopen(reply, timeout=_REPLY_SECONDS):  # noqa: S310
        return
