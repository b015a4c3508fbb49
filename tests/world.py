"""The whole native broker over fakes: what the unit and function tests drive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes import (
    Clock,
    FakeEvents,
    FakeOAuthClients,
    FakeTokenEndpoint,
    FakeVault,
    MemoryTable,
    key_ring,
)
from valet.errors import ValetError
from valet.mcp.resource import ProtectedResource
from valet.models import (
    Access,
    Account,
    AccountStatus,
    ConnectionTools,
    Secret,
    TokenSet,
    UserKey,
    user_key,
)
from valet.models import UserId as User
from valet.native.access_tokens import AccessTokens, Scopes
from valet.native.accounts import Accounts
from valet.native.authorizations import Authorizations, Returned
from valet.native.callbacks import Callbacks
from valet.native.catalogue import Catalogue
from valet.native.clock import epoch
from valet.native.configs import Configs
from valet.native.connect_pages import ConnectPages
from valet.native.consent import Consent
from valet.native.disconnect import Disconnect
from valet.native.endpoint import Endpoint
from valet.native.erase import Erase
from valet.native.exchange import Exchange
from valet.native.forget import Forget
from valet.native.grants import Grants
from valet.native.handles import Handles
from valet.native.instance_choice import InstanceChoice
from valet.native.instance_records import InstanceRecords
from valet.native.instances import Instances
from valet.native.key_ring import KeyRing, Signers
from valet.native.ledger import Ledger
from valet.native.limits import CallLimits
from valet.native.oauth_sessions import OAuthSessions
from valet.native.provider import TokenGrant
from valet.native.session_tokens import SessionTokens, TokenReader
from valet.native.sessions import Session, Sessions
from valet.native.tickets import Tickets
from valet.native.tokens import Tokens
from valet.native.tool_sessions import ToolSessions
from valet.native.toolbox import InstanceToolbox
from valet.native.url_keys import UrlKeys
from valet.native.verification import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.backend import Started
    from valet.native.access_tokens import SignedTokens
    from valet.native.audit import CallRecord
    from valet.tools.provider import ProviderHttp

URL = "https://valet.example"
CONFIG = "email-calendar-assistant"
GMAIL = "MY_GMAIL"
CALENDAR = "MY_CALENDAR"
ALICE = user_key(User("alice"))
BOB = user_key(User("bob"))
GOOGLE = "https://accounts.google.com"
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@dataclass
class World:
    table: MemoryTable = field(default_factory=MemoryTable)
    now: Clock = field(default_factory=Clock)
    vault: FakeVault = field(default_factory=FakeVault)
    clients: FakeOAuthClients = field(default_factory=FakeOAuthClients)
    provider: FakeTokenEndpoint = field(default_factory=FakeTokenEndpoint)
    ring: KeyRing = field(default_factory=key_ring)
    waited: list[float] = field(default_factory=list)
    while_waiting: list[Callable[[], object]] = field(default_factory=list)
    audited: list[CallRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(self.table)
        self.catalogue = Catalogue()
        self.configs = Configs(self.table, self.catalogue, self.now)
        self.events = FakeEvents()
        self.accounts = Accounts(self.table, self.events, self.now)
        self.grants = Grants(self.accounts, self.vault)
        self.tickets = Tickets(self.table, self.endpoint, self.now)
        self.signers = Signers(lambda: self.ring)
        self.url_keys = UrlKeys(self.signers)
        self.instances = Instances(
            self.table, self.configs, self.url_keys, self.endpoint, self.events, self.now
        )
        self.session_tokens = SessionTokens(
            self.table, self.instances, self.signers, self.endpoint, self.now
        )
        self.sessions = Sessions(
            self.table,
            self.configs,
            self.accounts,
            self.url_keys,
            TokenReader(self.signers),
            self.now,
        )
        self.authorizations = Authorizations(self.table, self.tickets, self.events, self.now)
        self.protected_resource = ProtectedResource(self.endpoint.url)
        self.oauth_sessions: OAuthSessions | None = None
        self.consent = Consent(
            self.authorizations.states,
            ConnectPages(self.tickets, self.configs, self.accounts),
            self.configs,
            self.clients,
            self.endpoint,
            lambda url: url,
        )
        self.callbacks = Callbacks(self.authorizations, self.vault, self.accounts)
        exchange = Exchange(self.vault, self.clients, self.provider, self.endpoint, self.now)
        self.verification = Verification(
            self.authorizations, self.accounts, self.grants, self.configs, exchange, self.now
        )
        self.tokens = Tokens(
            self.table,
            self.accounts,
            self.grants,
            self.clients,
            self.provider,
            self.now,
            pause=self._pause,
            elapsed=lambda: self.now().timestamp(),
        )
        self.disconnect = Disconnect(
            self.accounts, self.grants, self.configs, self.clients, self.provider
        )
        self.erase = Erase(
            Forget(self.table),
            self.accounts,
            self.grants,
            self.configs,
            self.clients,
            self.provider,
            self.events,
        )
        records = InstanceRecords(self.table, self.configs, self.now)
        self.tool_runs = None  # mcp_server has them
        self.tool_sessions = ToolSessions(
            InstanceChoice(records, self.sessions.config), self.sessions
        )
        self.ledger = Ledger(self.table, self.now)
        self.limits = CallLimits(self.table, self.now, start=lambda _: 0)
        self.handles = Handles(self.signers, self.now)

    def _pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now.advance(seconds=seconds)
        if self.while_waiting:
            self.while_waiting.pop(0)()

    def deployed(self) -> World:
        """As template.yaml leaves it."""
        self.endpoint.set(URL)
        self.configs.put_connection(GMAIL, "gmail", None, owner="s/Gmail", replaces=False)
        self.configs.put_connection(CALENDAR, "googlecalendar", None, owner="s/Cal", replaces=False)
        self.configs.put(
            CONFIG,
            "Reads email and creates calendar reminders",
            [
                ConnectionTools(GMAIL, ("gmail_fetch_mails",)),
                ConnectionTools(CALENDAR, ("googlecalendar_create_event",)),
            ],
            owner="s/Config",
            replaces=False,
        )
        return self

    def exposing(self, *mappings: ConnectionTools) -> World:
        """With other tools in the one config."""
        self.configs.put(CONFIG, "", mappings, owner="s/Config", replaces=False)
        return self

    def trusting(
        self,
        issuer: str,
        signed: SignedTokens,
        *,
        config: str = CONFIG,
        audience: str = f"{URL}/mcp",
        user_claim: str = "sub",
    ) -> World:
        """With an OAuth issuer whose access tokens open /mcp."""
        scopes = Scopes("mcp:full", "mcp:read")
        self.protected_resource = ProtectedResource(
            self.endpoint.url, issuer, (scopes.full, scopes.read_only)
        )
        access_tokens = AccessTokens(signed, lambda: audience, scopes, user_claim, self.now)
        self.oauth_sessions = OAuthSessions(access_tokens, self.instances, self.sessions, config)
        return self

    def ticket(self, user: UserKey = ALICE, config: str = CONFIG) -> str:
        return self.tickets.issue(user, config).url.rsplit("/", 1)[1]

    def started(self, ticket: str | None = None, connection: str = GMAIL) -> Flow:
        started = self.consent.start(ticket or self.ticket(), connection)
        query = {k: v[0] for k, v in parse_qs(urlsplit(started.authorize_url).query).items()}
        self.provider.default = lambda: self.grant(query)
        return Flow(self, connection, started, query)

    def grant(self, query: dict[str, str], **changes: Any) -> TokenGrant:
        """What Google answers for a consent that was asked for with this query."""
        claims = {
            "iss": GOOGLE,
            "aud": query.get("client_id", "client-1"),
            "exp": epoch(self.now() + timedelta(hours=1)),
            "nonce": query.get("nonce"),
            "sub": "google-alice",
            "email": "alice@example.com",
        }
        values: dict[str, Any] = {
            "access_token": Secret("at-1"),
            "refresh_token": Secret("rt-1"),
            "expires_in": 3600,
            "scopes": frozenset(query.get("scope", READONLY).split()),
            "claims": claims,
        }
        return TokenGrant(**values | changes)

    def connected(self, user: UserKey = ALICE, connection: str = GMAIL) -> Account:
        """A user with an active account, through the whole flow."""
        authorization_id = self.started(self.ticket(user), connection).authorization()
        account = self.verification.verify(authorization_id, user)
        self.provider.calls.clear()
        return account

    def reconnected(self, *, sub: str = "google-alice", **changes: Any) -> Account:
        """Alice consents, perhaps once more, and the provider answers with these changes."""
        flow = self.started()
        grant = self.grant(flow.query)
        claims = {**(grant.claims or {}), "sub": sub}
        self.provider.default = replace(grant, **{"claims": claims, **changes})
        return self.verification.verify(flow.authorization(), ALICE)

    def account(self, user: UserKey = ALICE, connection: str = GMAIL) -> Account:
        """The account as it stands now."""
        return self.accounts.get(user, self.configs.connections()[connection])

    def usable(
        self, account: Account | None = None, *, refused: bool = False
    ) -> tuple[TokenSet, Account]:
        """Tokens for one more call on an account as a caller has read it."""
        account = account or self.account()
        connection = self.configs.connections()[account.connection]
        return self.tokens.usable(account, connection, refused=refused)

    def url_key(self, user: UserKey = ALICE, config: str = CONFIG) -> str:
        """The key in the URL of the user's instance."""
        return self.instances.url(self.instances.ensure(config, user)).rsplit("/", 1)[1]

    def token(
        self,
        user: UserKey = ALICE,
        lifetime: timedelta = timedelta(hours=1),
        access: Access = Access.FULL,
    ) -> str:
        """A session token of the user's instance."""
        instance = self.instances.ensure(CONFIG, user)
        return self.session_tokens.issue(instance.id, user, lifetime, access)[1].reveal()

    def session(self, user: UserKey = ALICE) -> Session:
        session = self.sessions.open(self.url_key(user))
        assert session
        return session

    def toolbox(self, http: ProviderHttp, user: UserKey = ALICE) -> InstanceToolbox:
        """The tools of the user's instance, as one request gets them."""
        return InstanceToolbox(
            self.session(user),
            self.tokens,
            self.tickets,
            self.ledger,
            self.limits,
            http,
            self.audited.append,
            lambda: self.now().timestamp(),
        )


@dataclass
class Flow:
    """One consent in one browser."""

    world: World
    connection: str
    started: Started
    query: dict[str, str]

    @property
    def cookies(self) -> dict[str, str]:
        return {self.started.cookie_name: self.started.cookie_value}

    def answer(self, **changes: str | list[str] | None) -> dict[str, list[str]]:
        """The provider's redirect, with parameters changed, repeated or (None) left out."""
        query: dict[str, Any] = {"state": self.query["state"], "code": "code-1", "iss": GOOGLE}
        return {
            name: value if isinstance(value, list) else [value]
            for name, value in (query | changes).items()
            if value is not None
        }

    def returns(self, **changes: str | list[str] | None) -> Returned:
        return self.world.callbacks.receive(self.connection, self.answer(**changes), self.cookies)

    def authorization(self) -> str:
        """The id that the app has to verify, once the browser has come back."""
        returned = self.returns()
        assert returned.authorization_id
        return returned.authorization_id

    def refused(
        self, query: Mapping[str, list[str]], cookies: Mapping[str, str] | None = None
    ) -> ValetError:
        """The refusal of an answer, which must reach no provider and connect nobody."""
        cookies = self.cookies if cookies is None else cookies
        with pytest.raises(ValetError) as refusal:
            self.world.callbacks.receive(self.connection, query, cookies)
        assert self.world.provider.calls == []
        assert self.world.account().status is AccountStatus.PENDING_AUTH
        return refusal.value
