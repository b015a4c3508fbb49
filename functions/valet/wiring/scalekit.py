"""The rooms of the hosted backend, joined: `valet.backend.Backend`, and what its parts share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from valet.settings import settings
from valet.wiring.shared import (
    audit,
    authorizations,
    endpoint,
    events,
    forget,
    http,
    json_secret,
    table,
    tickets,
)

if TYPE_CHECKING:
    from valet.native.connect_pages import ConnectPages
    from valet.scalekit.accounts import Accounts, Grants
    from valet.scalekit.api import Api
    from valet.scalekit.callbacks import Callbacks
    from valet.scalekit.catalogue import Catalogue
    from valet.scalekit.configs import Configs
    from valet.scalekit.consent import Consent
    from valet.scalekit.disconnect import Disconnect
    from valet.scalekit.erase import Erase
    from valet.scalekit.instances import Instances
    from valet.scalekit.session_tokens import SessionTokens
    from valet.scalekit.tool_runs import ToolRuns
    from valet.scalekit.verification import Verification


@cache
def api() -> Api:
    from valet.adapters.scalekit_http import HttpxScalekit
    from valet.scalekit.api import Api
    from valet.scalekit.client import Client
    from valet.scalekit.credentials import CredentialsSecret

    secret = json_secret("scalekit_secret")
    # A stand-in for Scalekit can exist where one for providers can: on a developer's machine.
    credentials = CredentialsSecret(secret, loopback=bool(settings().provider_override))
    return Api(Client(HttpxScalekit(http()), credentials))


@cache
def catalogue() -> Catalogue:
    from valet.scalekit.catalogue import Catalogue

    return Catalogue(api())


@cache
def configs() -> Configs:
    from valet.scalekit.configs import Configs

    return Configs(table(), catalogue(), api=api())


@cache
def accounts() -> Accounts:
    from valet.scalekit.accounts import Accounts

    return Accounts(api())


@cache
def grants() -> Grants:
    from valet.scalekit.accounts import Grants

    return Grants()


@cache
def instances() -> Instances:
    from valet.native.instance_records import InstanceRecords
    from valet.scalekit.instances import Instances

    records = InstanceRecords(table(), configs())
    url_per_user = settings().scalekit_mode == "instance"
    return Instances(records, api(), events(), url_per_user=url_per_user)


@cache
def session_tokens() -> SessionTokens:
    from valet.scalekit.session_tokens import SessionTokens

    return SessionTokens(api(), instances())


@cache
def tool_runs() -> ToolRuns:
    from valet.native.instance_choice import InstanceChoice
    from valet.native.instance_records import InstanceRecords
    from valet.scalekit.tool_runs import ToolRuns

    choice = InstanceChoice(InstanceRecords(table(), configs()), configs().current)
    return ToolRuns(choice, configs(), accounts(), api(), tickets(), audit())


@cache
def connect_pages() -> ConnectPages:
    from valet.native.connect_pages import ConnectPages

    return ConnectPages(tickets(), configs(), accounts())


@cache
def consent() -> Consent:
    from valet.scalekit.consent import Consent

    states = authorizations().states
    providers = settings().provider_override or "https:"
    return Consent(states, connect_pages(), api(), endpoint(), providers)


@cache
def callbacks() -> Callbacks:
    from valet.scalekit.callbacks import Callbacks

    return Callbacks(authorizations())


@cache
def verification() -> Verification:
    from valet.scalekit.verification import Verification

    return Verification(authorizations(), configs(), accounts(), api())


@cache
def disconnect() -> Disconnect:
    from valet.scalekit.disconnect import Disconnect

    return Disconnect(api(), accounts(), configs(), events())


@cache
def erase() -> Erase:
    from valet.scalekit.erase import Erase

    return Erase(api(), instances(), forget(), events())
