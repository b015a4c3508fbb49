"""One tool of a user for a service: chosen and recorded as on `native`, run at Scalekit.

Scalekit takes the call with the user and the connection, so that what it refuses is told in our
codes. Which argument it does not take, and what the provider said, is in its prose, which is not
passed on.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valet.backend import ToolRun
from valet.connectors.catalog import title
from valet.errors import UnknownName, ValetError
from valet.models import Access, AccountStatus
from valet.native.audit import UNKNOWN_TOOL, CallRecord, arguments_hash
from valet.native.exposure import all_exposed, offered, removed
from valet.native.instance_choice import no_instance
from valet.native.standing import why_not
from valet.scalekit.client import TOOL_FAILED
from valet.scalekit.errors import ScalekitRefused, ScalekitUnavailable
from valet.tools.outcomes import failed
from valet.tools.results import ToolResult, connect_first, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.models import Connection, ConnectionTools, McpConfig, McpInstance, UserKey
    from valet.native.audit import Audit
    from valet.native.instance_choice import InstanceChoice
    from valet.native.tickets import Tickets
    from valet.scalekit.accounts import Accounts
    from valet.scalekit.api import Api
    from valet.scalekit.configs import Configs


@dataclass(frozen=True, slots=True)
class ToolRuns:
    """`valet.backend.ToolRuns`."""

    choice: InstanceChoice
    configs: Configs
    accounts: Accounts
    api: Api
    tickets: Tickets
    audit: Audit
    elapsed: Callable[[], float] = time.monotonic

    def run(
        self, user: UserKey, tool: str, config: str | None, arguments: Mapping[str, Any]
    ) -> ToolRun:
        instance = self.choice.of(user, tool, config)
        declared = self.configs.current(instance.config)
        if declared is None:
            raise no_instance(instance.config)
        mapping = self._exposing(declared, tool)
        started, outcome = self.elapsed(), "internal_error"
        try:
            if mapping is None:
                exposed = all_exposed(declared, self.configs.catalogue)
                raise UnknownName("tool", tool, exposed)
            result = self._run(instance, declared, mapping, tool, arguments)
            outcome = result.code
        except UnknownName as error:
            outcome = error.code
            raise
        finally:
            self.audit(
                CallRecord(
                    user=user,
                    instance=instance.id,
                    via="iam",
                    access=Access.FULL,
                    config=declared.name,
                    revision=declared.revision,
                    # Whether Scalekit has a tool of another name would take a call to it.
                    tool=tool if mapping else UNKNOWN_TOOL,
                    connection=mapping.connection if mapping else None,
                    arguments_sha256=arguments_hash(arguments),
                    outcome=outcome,
                    provider_status=None,  # it answers Scalekit
                    milliseconds=round((self.elapsed() - started) * 1000),
                )
            )
        return ToolRun(declared.name, result)

    def _exposing(self, config: McpConfig, tool: str) -> ConnectionTools | None:
        exposed = self.configs.catalogue.exposed
        return next((each for each in config.mappings if tool in exposed(each)), None)

    def _run(
        self,
        instance: McpInstance,
        config: McpConfig,
        mapping: ConnectionTools,
        tool: str,
        arguments: Mapping[str, Any],
    ) -> ToolResult:
        try:
            connection = offered(config, self.configs.connections()).get(mapping.connection)
            if connection is None:
                raise removed(mapping.connector)
            return self._executed(instance, connection, tool, arguments)
        except ValetError as error:
            return refusal(error)

    def _executed(
        self,
        instance: McpInstance,
        connection: Connection,
        tool: str,
        arguments: Mapping[str, Any],
    ) -> ToolResult:
        try:
            data = self.api.execute_tool(tool, connection.name, instance.user, arguments)
        except ScalekitUnavailable as lost:
            if not lost.sent:
                raise
            return failed("outcome_unknown")
        except ScalekitRefused as refused:
            if refused.error_code == TOOL_FAILED:
                return self._failed(instance, connection, refused)
            return self._refused(instance, connection, refused)
        return ToolResult(json.dumps(data, ensure_ascii=False), data)

    def _failed(
        self, instance: McpInstance, connection: Connection, refused: ScalekitRefused
    ) -> ToolResult:
        """The provider said no, with the status that Scalekit passes on."""
        match refused.http_status:
            case 401:
                reason = "the provider does not accept the account's grant"
                return self._connect_first(instance, connection, reason, "token_refused")
            case 403:
                return failed("forbidden")
            case 429:
                return failed("rate_limited")
        return failed("provider_error", _FAILED)

    def _refused(
        self, instance: McpInstance, connection: Connection, refused: ScalekitRefused
    ) -> ToolResult:
        """Scalekit said no. An account that is not active has no code of its own there."""
        if refused.http_status not in (400, 404):
            raise refused
        account = self.accounts.of(instance.user, {connection.name: connection})[connection.name]
        if account.status is not AccountStatus.ACTIVE:
            reason = why_not(account.status)
            return self._connect_first(instance, connection, reason, "not_connected")
        if refused.http_status == 400:
            return failed("invalid_arguments", _ARGUMENTS)
        raise refused

    def _connect_first(
        self, instance: McpInstance, connection: Connection, reason: str, code: str
    ) -> ToolResult:
        link = self.tickets.issue(instance.user, instance.config)
        return connect_first(title(connection.connector), reason, code, link.url)


_ARGUMENTS = (
    "Scalekit does not take the arguments, and nothing was sent. Make them fit the tool's input "
    "schema, which GET /tools shows, before calling again."
)
_FAILED = (
    "The tool failed at the provider, and why is not known here. Look first whether it took "
    "effect; then change the arguments, or retry later."
)
