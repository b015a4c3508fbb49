"""Everything the fake knows, in memory: connections, configs, instances, accounts, links."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.local.fake_google.id_token import Signer

from .faults import Settings
from .gateway import Directory
from .seed import CONNECTIONS

if TYPE_CHECKING:
    from .google import Google, Tokens

_SCOPE = "https://www.googleapis.com/auth/"
_FIRST = 85_630_864_460_905_000  # a snowflake, as the documented examples have


@dataclass(frozen=True)
class Provider:
    """What a connection can be made of: Scalekit's names for it, and our connector's."""

    key: str
    slug: str
    connector: str
    scopes: tuple[str, ...]


PROVIDERS = {
    each.key: each
    for each in (
        Provider(
            "GMAIL",
            "gmail",
            "gmail",
            tuple(_SCOPE + name for name in ("gmail.readonly", "gmail.modify", "gmail.send")),
        ),
        Provider("GOOGLECALENDAR", "googlecalendar", "googlecalendar", (_SCOPE + "calendar",)),
    )
}


@dataclass
class Connection:
    """What somebody set up in the dashboard; `name` is the API's `key_id`."""

    id: str
    name: str
    provider: Provider
    enabled: bool = True


@dataclass
class Mapping:
    """One line of a config; no tools stands for all of them."""

    connection: str
    tools: list[str]


@dataclass
class Config:
    id: str
    name: str
    description: str
    mappings: list[Mapping]
    server: str  # the last part of its URL


@dataclass
class Instance:
    id: str
    name: str
    identifier: str
    config: str
    updated_at: float
    server: str
    last_used_at: float | None = None


@dataclass
class Account:
    """A connected account: one for each connection and identifier."""

    id: str
    connection: str  # its name
    identifier: str
    updated_at: float
    status: str = "PENDING_AUTH"
    tokens: Tokens | None = None
    last_used_at: float | None = None


@dataclass
class Link:
    """An authentication link, and what becomes of the browser that opened it."""

    account: str
    expires_at: float
    state: str | None = None
    user_verify_url: str | None = None
    opened: bool = False


@dataclass
class Flow:
    """A browser on its way to the provider and back, bound to it by a cookie."""

    link: Link
    cookie: str
    expires_at: float


@dataclass
class AuthRequest:
    """Tokens that wait for the app to say whose they are."""

    account: str
    identifier: str
    tokens: Tokens
    expires_at: float


@dataclass
class State:
    """What a reset throws away."""

    settings: Settings = field(default_factory=Settings)
    api_tokens: dict[str, float] = field(default_factory=dict)  # and until when they live
    connections: dict[str, Connection] = field(default_factory=dict)
    configs: dict[str, Config] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    auth_requests: dict[str, AuthRequest] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


class World:
    """One Scalekit environment, and the provider that its connections lead to."""

    def __init__(self, base: str, google: Google) -> None:
        """`base` is the environment's URL."""
        self.base = base
        self.google = google
        self.lock = threading.Lock()
        self.directory = Directory()
        self.signer = Signer()
        self.reset()

    def reset(self) -> None:
        self.state = State()
        self._ids = _FIRST
        for name, (identity, provider) in CONNECTIONS.items():
            self.state.connections[name] = Connection(identity, name, PROVIDERS[provider])

    def now(self) -> float:
        """Scalekit's clock; a test sets it apart from the machine's with `clock_skew`."""
        return time.time() + self.state.settings.clock_skew

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    def account(self, connection: str, identifier: str) -> Account | None:
        wanted = (connection, identifier)
        found = self.state.accounts.values()
        return next((a for a in found if (a.connection, a.identifier) == wanted), None)

    def add_account(self, connection: str, identifier: str) -> Account:
        account = Account(self.new_id("ca"), connection, identifier, self.now())
        self.state.accounts[account.id] = account
        return account

    def dump(self) -> dict[str, Any]:
        """The whole state, with the raw tokens, so that a test can prove where they are not."""
        return {**asdict(self.state), "log": len(self.state.log)}


def new_server() -> str:
    """The part of an MCP URL that nobody can guess."""
    return str(uuid.uuid4())


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def timestamp(at: float | None) -> str:
    """RFC 3339; Scalekit gives the zero time for never."""
    if at is None:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
