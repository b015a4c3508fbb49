"""The broker as it runs in a function: the real adapters, over an emulator and an OAuth server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import boto3
import httpx
from botocore.config import Config

from infra.local import deployment
from tests.connectors import noteboard
from tests.fakes import FakeEvents
from valet.adapters.aws_clock import AwsClock
from valet.adapters.dynamodb import DynamoTable
from valet.adapters.kms_vault import KmsVault
from valet.adapters.secrets_manager import JsonSecret, SecretOAuthClients
from valet.adapters.token_endpoint import HttpxTokenEndpoint
from valet.connectors.models import Userinfo
from valet.models import Account, Connection, ConnectionTools, UserId, UserKey, user_key
from valet.native.accounts import Accounts
from valet.native.authorizations import Authorizations, Returned
from valet.native.callbacks import Callbacks
from valet.native.catalogue import Catalogue
from valet.native.clock import Clock, utc_now
from valet.native.configs import Configs
from valet.native.connect_pages import ConnectPages
from valet.native.consent import Consent
from valet.native.disconnect import Disconnect
from valet.native.endpoint import Endpoint
from valet.native.exchange import Exchange
from valet.native.grants import Grants
from valet.native.tickets import Tickets
from valet.native.tokens import Tokens
from valet.native.verification import Verification

if TYPE_CHECKING:
    from valet.connectors.models import Connector

URL = "https://valet.example"
NOTES = "MY_NOTES"
POSTED = "MY_POSTED_NOTES"
PUBLIC = "MY_PUBLIC_NOTES"
GMAIL = "MY_GMAIL"
ISSUER = "https://id.noteboard.example"
SECRET = "secret-n-0123456789"
_ME = Userinfo(f"{ISSUER}/me", "sub", "email")
# The same server as three kinds of provider, each with a connection and an OAuth client.
KINDS: dict[str, dict[str, Any]] = {
    NOTES: {"client_auth": "client_secret_basic"},
    POSTED: {"client_auth": "client_secret_post", "id_token": False, "userinfo": _ME},
    PUBLIC: {"client_auth": "none", "id_token": False, "iss_parameter": "optional"},
}


def connector_of(connection: str) -> Connector:
    plain = noteboard(**KINDS[connection])
    return plain if connection == NOTES else replace(plain, name=connection.lower())


def client_of(connection: str) -> dict[str, str]:
    public = KINDS[connection]["client_auth"] == "none"
    return {"client_id": f"client-{connection}", "client_secret": "" if public else SECRET}


def client_secrets(secret: str = SECRET) -> str:
    """What operators keep, with this secret for the first client."""
    kept = {connection: client_of(connection) for connection in KINDS}
    kept["google"] = deployment.OAUTH_CLIENTS["google"]
    return json.dumps({**kept, NOTES: {**kept[NOTES], "client_secret": secret}})


_THREADS = 32
_OTHERS = ("victim", "carols-other")  # who has another account at Google than everybody else


@dataclass(frozen=True)
class Site:
    """Where everything is; passed to each process."""

    aws: str
    oidc: str
    table: str
    key: str
    secret: str
    google: str = ""

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.aws,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                connect_timeout=2,
                read_timeout=20,  # 200 callers share one emulator
                max_pool_connections=_THREADS,
                retries={"mode": "standard", "max_attempts": 3},
            ),
        )

    def reached_at(self, url: str) -> str:
        """As the provider override maps it, to whoever stands in for the host."""
        host = urlsplit(url).hostname or ""
        stand_in = self.google if host.endswith((".google.com", ".googleapis.com")) else self.oidc
        return f"{stand_in}/{url.removeprefix('https://')}"


@dataclass
class Broker:
    site: Site
    now: Clock = utc_now

    def __post_init__(self) -> None:
        site = self.site
        dynamodb = site.client("dynamodb")
        self.table = DynamoTable(dynamodb, site.table)
        self.aws_clock = AwsClock(dynamodb, self.now)
        self.vault = KmsVault(site.client("kms"), site.key)
        self.clients = SecretOAuthClients(JsonSecret(site.client("secretsmanager"), site.secret))
        self.http = httpx.Client(trust_env=False, limits=httpx.Limits(max_connections=_THREADS))
        self.token_endpoint = HttpxTokenEndpoint(self.http, site.reached_at)
        self.configs = Configs(self.table, Catalogue(), self.now)
        self.accounts = Accounts(self.table, FakeEvents(), self.now)
        self.grants = Grants(self.accounts, self.vault)

    @cached_property
    def connections(self) -> dict[str, Connection]:
        return self.configs.connections()

    @property
    def connection(self) -> Connection:
        return self.connections[NOTES]

    def tokens(self) -> Tokens:
        return Tokens(
            self.table,
            self.accounts,
            self.grants,
            self.clients,
            self.token_endpoint,
            self.aws_clock,
        )

    def account(self, user: UserKey, connection: str = NOTES) -> Account:
        return self.accounts.get(user, self.connections[connection])

    def disconnect(self, user: UserKey, connection: str = NOTES) -> bool:
        """Say whether the provider was told too."""
        disconnect = Disconnect(
            self.accounts, self.grants, self.configs, self.clients, self.token_endpoint
        )
        return disconnect.disconnect(user, connection).revoked

    def deploy(self) -> None:
        """As template.yaml would leave it."""
        Endpoint(self.table).set(URL)
        for name in KINDS:
            connector = connector_of(name).name
            self.configs.put_connection(name, connector, name, owner="s/x", replaces=False)
            self.configs.put(name.lower(), "", [ConnectionTools(name)], owner="s/x", replaces=False)
        self.configs.put_connection(GMAIL, "gmail", "google", owner="s/x", replaces=False)
        mails = ConnectionTools(GMAIL, ("gmail_fetch_mails",))
        self.configs.put(GMAIL.lower(), "", [mails], owner="s/x", replaces=False)

    def connect(self, name: str, connection: str = NOTES) -> UserKey:
        """A person consents in a browser, and the app verifies that it was them."""
        user = user_key(UserId(name))
        returned = self.consented(name, connection)
        assert returned.authorization_id, returned.error
        self.verify(returned.authorization_id, user)
        return user

    def consented(self, name: str, connection: str = NOTES, *, hint: str = "") -> Returned:
        """The link is this person's; `hint` names who consents, if it is another one."""
        endpoint = Endpoint(self.table)
        tickets = Tickets(self.table, endpoint, self.now)
        authorizations = Authorizations(self.table, tickets, self.accounts.events, self.now)
        consent = Consent(
            authorizations.states,
            ConnectPages(tickets, self.configs, self.accounts),
            self.configs,
            self.clients,
            endpoint,
            lambda url: url,
        )
        callbacks = Callbacks(authorizations, self.vault, self.accounts)
        ticket = tickets.issue(user_key(UserId(name)), connection.lower()).url.rsplit("/", 1)[1]
        started = consent.start(ticket, connection)
        back = self._browse(f"{started.authorize_url}&login_hint={hint or name}")
        cookies = {started.cookie_name: started.cookie_value}
        return callbacks.receive(connection, parse_qs(urlsplit(back).query), cookies)

    def verify(self, authorization_id: str, user: UserKey) -> Account:
        exchange = Exchange(
            self.vault, self.clients, self.token_endpoint, Endpoint(self.table), self.now
        )
        tickets = Tickets(self.table, Endpoint(self.table), self.now)
        authorizations = Authorizations(self.table, tickets, self.accounts.events, self.now)
        verification = Verification(
            authorizations, self.accounts, self.grants, self.configs, exchange, self.now
        )
        return verification.verify(authorization_id, user)

    def _browse(self, url: str) -> str:
        """Follow the provider's redirects until one leads back to us."""
        cookies: dict[str, str] = {}
        with httpx.Client(trust_env=False) as http:
            while not url.startswith(URL):
                cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
                answer = http.get(self.site.reached_at(url), headers={"cookie": cookie})
                if answer.status_code == 200:
                    answer = http.post(self.site.reached_at(url), data=_decided(url, answer.text))
                assert answer.status_code in (302, 303), (answer.status_code, answer.text)
                http.cookies.clear()
                for line in answer.headers.get_list("set-cookie"):
                    name, _, value = line.split(";")[0].partition("=")
                    cookies[name] = value
                url = urljoin(url, answer.headers["location"])
        return url


def _decided(url: str, page: str) -> dict[str, Any]:
    """What a person chooses on Google's page: the account the hint stands for, or to refuse."""
    (hint,) = parse_qs(urlsplit(url).query)["login_hint"]
    return {
        "account": "bob@example.com" if hint in _OTHERS else "alice@example.com",
        "scope": re.findall(r'name="scope" value="([^"]+)"', page),
        "decision": "deny" if hint == "deny" else "allow",
    }
