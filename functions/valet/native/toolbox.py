"""The tools of one MCP instance, run with its user's grants.

What is listed is a pure function of the config's revision and the caller's access: a missing or
ended grant makes a tool's calls say so, with a link, and changes nothing about the list. Neither
does a connection that was removed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from valet.connectors.catalog import load_connector
from valet.errors import ValetError
from valet.models import Access
from valet.native.audit import UNKNOWN_TOOL, CallRecord, WatchedProvider, arguments_hash
from valet.native.exposure import exposed_tools, removed
from valet.native.ledger import Entry, Ledger, fingerprint
from valet.native.table import TableUnavailable
from valet.native.tickets import MOST_IN_CALLS
from valet.tools.arguments import check_arguments
from valet.tools.execute import execute
from valet.tools.provider import ProviderHttp, TokenRefused
from valet.tools.results import (
    InvalidArguments,
    NotConnected,
    ToolResult,
    ToolView,
    UnknownTool,
    connect_first,
    refusal,
)
from valet.tools.scopes import missing
from valet.tools.views import tool_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from valet.connectors.models import Tool
    from valet.models import Account, Connection, ConnectionTools
    from valet.native.audit import Audit
    from valet.native.limits import CallLimits
    from valet.native.sessions import Session
    from valet.native.tickets import Tickets
    from valet.native.tokens import Tokens


@dataclass(frozen=True, slots=True)
class _Offer:
    """A tool as this instance exposes it."""

    tool: Tool
    connection: Connection
    account: Account


type _Run = Callable[[InstanceToolbox, ConnectionTools, Tool], ToolResult]


@dataclass(frozen=True, slots=True)
class InstanceToolbox:
    session: Session
    tokens: Tokens
    tickets: Tickets
    ledger: Ledger
    limits: CallLimits
    http: ProviderHttp
    audit: Audit
    elapsed: Callable[[], float] = time.monotonic

    @property
    def revision(self) -> str:
        """What the list is a pure function of."""
        return f"{self.session.config.name}/{self.session.config.revision}"

    def list_tools(self) -> Sequence[ToolView]:
        return [
            _view(mapping.connector, name)
            for mapping in self.session.config.mappings
            for name in self._names(mapping)
        ]

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        return self._recorded(name, arguments, lambda box, *tool: box._run(*tool, arguments))

    def not_run(self, name: str, arguments: Mapping[str, Any], why: ToolResult) -> ToolResult:
        """Record a call that its user did not let go on; there is nothing to limit in it."""
        return self._recorded(name, arguments, lambda *_: why)

    def _recorded(self, name: str, arguments: Mapping[str, Any], run: _Run) -> ToolResult:
        started = self.elapsed()
        provider = WatchedProvider(self.http)
        connection, outcome = None, "internal_error"
        try:
            mapping, tool = self._exposed(name)
            connection = mapping.connection
            result = run(replace(self, http=provider), mapping, tool)
            outcome = result.code
        except UnknownTool as error:
            outcome = error.code
            raise
        finally:
            # Whatever came of it: an audit that lacks the calls that failed oddly is none.
            self.audit(
                CallRecord(
                    user=self.session.user,
                    instance=self.session.instance,
                    via=self.session.via,
                    access=self.session.access,
                    config=self.session.config.name,
                    revision=self.session.config.revision,
                    tool=name if connection or self._is_a_tool(name) else UNKNOWN_TOOL,
                    connection=connection,
                    arguments_sha256=arguments_hash(arguments),
                    outcome=outcome,
                    provider_status=provider.status(failed=outcome != "ok"),
                    milliseconds=round((self.elapsed() - started) * 1000),
                )
            )
        return result

    def _names(self, mapping: ConnectionTools) -> Sequence[str]:
        """The tools that this caller has: what is not among them is unknown to them."""
        exposed = exposed_tools(mapping)
        if self.session.access is Access.FULL:
            return exposed
        catalogue = load_connector(mapping.connector)
        return [name for name in exposed if catalogue.tool(name).read_only]

    def _exposed(self, name: str) -> tuple[ConnectionTools, Tool]:
        for mapping in self.session.config.mappings:
            if name in self._names(mapping):
                return mapping, load_connector(mapping.connector).tool(name)
        raise UnknownTool(f"Unknown tool: {name[:64]}")

    def _is_a_tool(self, name: str) -> bool:
        connectors = {mapping.connector for mapping in self.session.config.mappings}
        return any(load_connector(connector).has(name) for connector in connectors)

    def _run(
        self, mapping: ConnectionTools, tool: Tool, arguments: Mapping[str, Any]
    ) -> ToolResult:
        try:
            self.limits.count(self.session.user, self.session.tally, tool)
            # Before the ledger and the grant: a wrong argument costs neither.
            check_arguments(tool, arguments)
            return self._granted(self._offer(mapping, tool), arguments)
        except InvalidArguments as error:
            return ToolResult(str(error), is_error=True, code=error.code)
        except TableUnavailable as error:
            return ToolResult(_UNAVAILABLE, is_error=True, code=error.code)
        except ValetError as error:
            return refusal(error)

    def _offer(self, mapping: ConnectionTools, tool: Tool) -> _Offer:
        connection = self.session.connections.get(mapping.connection)
        if connection is None:
            raise removed(mapping.connector)
        return _Offer(tool, connection, self.session.accounts[connection.name])

    def _granted(self, offer: _Offer, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            if offer.tool.read_only or offer.tool.idempotent:
                return self._with_token(offer, arguments, None)
            return self._once(offer, arguments)
        except NotConnected as error:
            return self._connect_first(offer, str(error), error.code)

    def _once(self, offer: _Offer, arguments: Mapping[str, Any]) -> ToolResult:
        user = self.session.user
        call = fingerprint(self.session.instance, offer.connection.name, offer.tool.name, arguments)
        entry = self.ledger.begin(user, call)
        if entry.done:
            return _made_before(entry)
        if not entry.first and offer.tool.recover is None:
            return ToolResult(_UNKNOWN, is_error=True, code="outcome_unknown")
        try:
            result = self._with_token(offer, arguments, entry.call_id)
        except ValetError:  # raised before anything was sent
            if entry.first:
                self.ledger.undo(user, entry)
            raise
        if not result.is_error:
            self.ledger.done(user, entry, _result_id(result))
        elif entry.first and result.code != "outcome_unknown":
            self.ledger.undo(user, entry)
        return result

    def _with_token(
        self, offer: _Offer, arguments: Mapping[str, Any], call_id: str | None
    ) -> ToolResult:
        tokens, account = self.tokens.usable(offer.account, offer.connection)
        if missing(offer.tool, account.scopes):
            return self._connect_first(offer, _LACKING, "missing_permission")
        for refused in (False, True):
            if refused:
                tokens, account = self.tokens.usable(account, offer.connection, refused=True)
            try:
                result = execute(
                    offer.tool, arguments, tokens.access_token, self.http, call_key=call_id
                )
            except TokenRefused:
                continue
            if result.code == "missing_scope":
                return self._connect_first(offer, _LACKING, "missing_permission")
            return result
        return self._connect_first(offer, _REFUSED, "token_refused")

    def _connect_first(self, offer: _Offer, reason: str, code: str) -> ToolResult:
        link = self.tickets.issue(self.session.user, self.session.config.name, most=MOST_IN_CALLS)
        title = load_connector(offer.connection.connector).title
        return connect_first(title, reason, code, link.url)


_LACKING = "the account's grant lacks a permission that this tool needs"
_REFUSED = "the provider does not accept the account's grant"
# All that a call asks of the table comes before its request, or after one that was refused.
_UNAVAILABLE = (
    "The service's table did not answer, and nothing was done: call again in a few seconds."
)
_UNKNOWN = (
    "The same call was made within the last 5 minutes and its outcome is not known. It was not "
    "repeated: check with the user, or look whether it took effect, before calling again."
)


def _made_before(entry: Entry) -> ToolResult:
    made = f" (id {entry.result_id})" if entry.result_id else ""
    return ToolResult(
        f"Already done: the same call with the same arguments succeeded within the last 5 "
        f"minutes{made}. It was not repeated. To do it once more on purpose, change the arguments.",
        is_error=True,
        code="already_done",
    )


def _result_id(result: ToolResult) -> str | None:
    """The provider's id of what was made: at the top of the result, or of the thing within it."""
    structured = result.structured or {}
    things = [structured, *(value for value in structured.values() if isinstance(value, dict))]
    ids = (thing.get(name) for thing in things for name in ("id", "draft_id", "message_id"))
    return next((found for found in ids if isinstance(found, str)), None)


@cache
def _view(connector: str, name: str) -> ToolView:
    return tool_view(load_connector(connector).tool(name), name)
