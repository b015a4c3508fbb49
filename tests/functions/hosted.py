"""The functions with a Scalekit environment behind them: the strict fake one, over HTTP.

What is kept here is in memory, and held to what the roles in template.yaml allow with that backend.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from infra.local.fake_scalekit.seed import CLIENT_ID, CLIENT_SECRET
from tests import events
from tests.fakes import Clock, FakeEvents
from tests.functions.support import VERIFY_URL, Answer, Bundle, GuardedTable, Role, is_builder
from tests.infra.template_support import deployed_functions
from tests.world import CALENDAR, CONFIG, GMAIL, URL
from valet.adapters.call_log import CallLog
from valet.adapters.scalekit_http import HttpxScalekit
from valet.native.authorizations import Authorizations
from valet.native.connect_pages import ConnectPages
from valet.native.endpoint import Endpoint
from valet.native.forget import Forget
from valet.native.instance_choice import InstanceChoice
from valet.native.instance_records import InstanceRecords
from valet.native.tickets import Tickets
from valet.scalekit.accounts import Accounts, Grants
from valet.scalekit.api import Api
from valet.scalekit.callbacks import Callbacks
from valet.scalekit.catalogue import Catalogue
from valet.scalekit.client import Client
from valet.scalekit.configs import Configs
from valet.scalekit.consent import Consent
from valet.scalekit.credentials import CredentialsSecret
from valet.scalekit.disconnect import Disconnect
from valet.scalekit.erase import Erase
from valet.scalekit.instances import Instances
from valet.scalekit.session_tokens import SessionTokens
from valet.scalekit.tool_runs import ToolRuns
from valet.scalekit.verification import Verification

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from tests.infra.scalekit_support import Scalekit

MAIL_TOOL, CALENDAR_TOOL = "gmail_fetch_mails", "googlecalendar_create_event"


class GuardedSecret:
    """`valet.scalekit.credentials.JsonSecret`."""

    def __init__(self, role: Role, env_url: str) -> None:
        self.role = role
        self.value = {
            "SCALEKIT_ENV_URL": env_url,
            "SCALEKIT_CLIENT_ID": CLIENT_ID,
            "SCALEKIT_CLIENT_SECRET": CLIENT_SECRET,
        }

    def read(self, *, fresh: bool = False) -> Mapping[str, Any]:
        assert fresh in (True, False)
        self.role.needs("secretsmanager:GetSecretValue", "ScalekitSecretArn")
        return self.value


class Hosted(Bundle):
    """All three functions, deployed as template.yaml does with Backend=scalekit."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, scalekit: Scalekit, mode: str = "instance"
    ) -> None:
        self.scalekit = scalekit
        self.role = Role(backend="scalekit")
        self.table = GuardedTable(self.role)
        self.now = Clock()
        self.events = FakeEvents()
        self.paused: list[float] = []
        secret = CredentialsSecret(GuardedSecret(self.role, scalekit.base), loopback=True)
        transport = HttpxScalekit(scalekit.browser)
        self.api = Api(Client(transport, secret, pause=self.paused.append))
        self.endpoint = Endpoint(self.table)
        self.tickets = Tickets(self.table, self.endpoint, self.now)
        self.parts = self._parts(mode)
        monkeypatch.setenv("VERIFY_URL", VERIFY_URL)
        monkeypatch.setenv("APP_NAME", "Example")
        shared = {"endpoint": self.endpoint, "tickets": self.tickets}
        for function in deployed_functions("scalekit"):
            module = importlib.import_module(function)
            monkeypatch.setattr(module, "backend", lambda: self.parts)
            for name, value in list(vars(module).items()):
                if is_builder(value):
                    monkeypatch.setattr(module, name, lambda built=shared[name]: built)
        self.endpoint.set(URL)

    def _parts(self, mode: str) -> Any:
        catalogue, accounts = Catalogue(self.api), Accounts(self.api)
        configs = Configs(self.table, catalogue, self.now, api=self.api)
        authorizations = Authorizations(self.table, self.tickets, self.events, self.now)
        pages = ConnectPages(self.tickets, configs, accounts)
        instances = Instances(
            InstanceRecords(self.table, configs, self.now),
            self.api,
            self.events,
            url_per_user=mode == "instance",
        )
        parts = {
            "catalogue": catalogue,
            "configs": configs,
            "instances": instances,
            "session_tokens": SessionTokens(self.api, instances, self.now),
            "tool_runs": ToolRuns(
                InstanceChoice(instances.records, configs.current),
                configs,
                accounts,
                self.api,
                self.tickets,
                CallLog(),
            ),
            "accounts": accounts,
            "grants": Grants(),
            "consent": Consent(
                authorizations.states, pages, self.api, self.endpoint, self.scalekit.google
            ),
            "callbacks": Callbacks(authorizations),
            "verification": Verification(authorizations, configs, accounts, self.api),
            "disconnect": Disconnect(self.api, accounts, configs, self.events),
            "erase": Erase(self.api, instances, Forget(self.table), self.events),
        }
        return SimpleNamespace(**{name: lambda p=part: p for name, part in parts.items()})

    def deployed(self) -> Hosted:
        """As template.yaml leaves it."""
        configs = self.parts.configs()
        for name, connector in ((GMAIL, "gmail"), (CALENDAR, "googlecalendar")):
            configs.put_connection(name, connector, None, owner=f"s/{name}", replaces=False)
        self.put(CONFIG, {GMAIL: [MAIL_TOOL], CALENDAR: [CALENDAR_TOOL]})
        return self

    def put(self, name: str, lines: Mapping[str, list[str] | None], **more: Any) -> Answer:
        asked = [
            {"connection": connection} | ({} if tools is None else {"tools": tools})
            for connection, tools in lines.items()
        ]
        return self.call(
            "create_config",
            "PUT /configs/{name}",
            path={"name": name},
            caller=events.iam(),
            body={"connections": asked, **more},
        )

    def state(self) -> Any:
        """Everything that Scalekit knows."""
        return self.scalekit.http.get("/_test/state").json()

    def remote_config(self, name: str = CONFIG) -> Any:
        found = self.state()["configs"].values()
        return next((config for config in found if config["name"] == name), None)

    def remote_tools(self, name: str = CONFIG) -> dict[str, list[str]]:
        return {m["connection"]: m["tools"] for m in self.remote_config(name)["mappings"]}

    def returned(self, user: str = "alice", connection: str = GMAIL) -> dict[str, str]:
        """What the app is told after a user has allowed everything."""
        ticket = self.ensure(user)["connect_url"].rsplit("/", 1)[1]
        started = self.start(ticket, connection)
        assert started.status == 303, started.body
        answer = self.arrives(started, connection)
        assert answer.status == 303, answer.body
        assert answer.headers["location"].startswith(VERIFY_URL)
        return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def arrives(self, started: Answer, connection: str = GMAIL, **changes: Any) -> Answer:
        """The browser at our callback, after Google and Scalekit."""
        back = self.scalekit.consent(started.headers["location"])
        assert back.status_code == 302, back.text
        parts = urlsplit(back.headers["location"])
        assert (
            f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{URL}/oauth/callback/{connection}"
        )
        sent: dict[str, Any] = {
            "path": {"connection": connection},
            "query": parts.query,
            "cookies": dict([started.cookies[0].partition(";")[0].split("=", 1)]),
        }
        return self.call("oauth_callback", "GET /oauth/callback/{connection}", **(sent | changes))

    def connected(self, user: str = "alice", connection: str = GMAIL) -> None:
        answer = self.verify(self.returned(user, connection)["authorization_id"], user)
        assert answer.status == 200, answer.body

    def statuses(self, user: str = "alice") -> dict[str, str]:
        return {each["connection"]: each["status"] for each in self.ensure(user)["connections"]}

    def on_instance(self, verb: str, user: str = "alice", tail: str = "", **more: Any) -> Answer:
        route = f"{verb} /instances/{{id}}{tail}"
        path = {"id": self.ensure(user)["id"], "token_id": "tok_0000000000000000"}
        return self.call("ensure_instance", route, path=path, caller=events.jwt(user), **more)
