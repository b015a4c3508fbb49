"""The four functions over the broker in memory: events in, responses out.

While a function runs, the fakes hold it to what its role in template.yaml allows, so every test
here is also a test of the template's policies.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests import events
from tests.fakes import FakeOAuthClients, FakeVault, MemoryTable
from tests.infra.template_support import FUNCTIONS, allows
from tests.world import CONFIG, GMAIL, GOOGLE, World
from valet.backend import Backend
from valet.native.table import Delete, Item, Key, Put, Update, Write
from valet.tools.provider import ProviderRequest, ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from valet.models import Secret
    from valet.native.provider import OAuthClient
    from valet.native.vault import Owner

VERIFY_URL = "https://app.example/verify"


@dataclass
class Role:
    """Which function is running; None while a test sets its scene."""

    function: str | None = None
    backend: str = "native"

    def needs(self, action: str, resource: str, **facts: str) -> None:
        if self.function:
            allowed = allows(self.function, action, resource, backend=self.backend, **facts)
            assert allowed, f"{self.function} may not {action} on {resource} with {facts}"


def is_builder(value: Any) -> bool:
    """Whether it is of the wiring's, which builds once."""
    return hasattr(value, "cache_clear") and value.__module__.startswith("valet.wiring.")


class GuardedTable(MemoryTable):
    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role

    def get(self, key: Key) -> Item | None:
        self._needs("GetItem", key)
        return super().get(key)

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        for key in keys:
            self._needs("BatchGetItem", key)
        return super().get_many(keys)

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        self._needs("Query", Key(pk))
        return super().query(pk, sk_prefix)

    def count_of_config(self, config: str) -> int:
        self.role.needs("dynamodb:Query", "${Table.Arn}/index/ByConfig")
        return super().count_of_config(config)

    def keys_of_user(self, user: str) -> list[Key]:
        self.role.needs("dynamodb:Query", "${Table.Arn}/index/ByUser")
        return super().keys_of_user(user)

    def write(self, write: Write) -> None:
        self._needs_write(write)
        super().write(write)

    def transact(self, *writes: Write) -> None:
        for write in writes:
            self._needs_write(write)
        super().transact(*writes)

    def _needs_write(self, write: Write) -> None:
        match write:
            case Put(item):
                self._needs("PutItem", Key(item["pk"], item["sk"]))
            case Update(key):
                self._needs("UpdateItem", key)
            case Delete(key):
                self._needs("DeleteItem", key)

    def _needs(self, action: str, key: Key) -> None:
        self.role.needs(f"dynamodb:{action}", "Table", LeadingKeys=key.pk)


class GuardedVault(FakeVault):
    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        self._needs("GenerateDataKey", owner)
        return super().seal(plaintext, owner)

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        self._needs("Decrypt", owner)
        return super().open(sealed, owner)

    def _needs(self, action: str, owner: Owner) -> None:
        facts = {"service": "mcp-valet", "purpose": owner.purpose}
        self.role.needs(f"kms:{action}", "VaultKey", **facts)


class GuardedClients(FakeOAuthClients):
    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role

    def get(self, name: str, *, fresh: bool = False) -> OAuthClient:
        self.role.needs("secretsmanager:GetSecretValue", "OAuthClients")
        return super().get(name, fresh=fresh)


@dataclass
class FakeProvider:
    """`valet.tools.provider.ProviderHttp`: answers by path, and records what it got."""

    answers: dict[str, ProviderResponse] = field(default_factory=dict)
    requests: list[ProviderRequest] = field(default_factory=list)
    tokens: list[Secret] = field(default_factory=list)

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        self.requests.append(request)
        self.tokens.append(token)
        return self.answers.get(request.path, ProviderResponse(404, {"error": {"code": 404}}))


@dataclass(frozen=True)
class Answer:
    """A function's response, as API Gateway would pass it on."""

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem+json answer, whose other members are checked on the way."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert set(problem) == {"type", "title", "status", "code", "detail"}
        assert problem["type"] == "about:blank"
        assert problem["status"] == self.status
        assert problem["detail"]
        assert len(problem["detail"]) <= 2000
        return str(problem["code"])


class Bundle:
    """All four functions, deployed as template.yaml does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.role = Role()
        self.provider = FakeProvider()
        self.world = World(
            table=GuardedTable(self.role),
            vault=GuardedVault(self.role),
            clients=GuardedClients(self.role),
        ).deployed()
        monkeypatch.setenv("VERIFY_URL", VERIFY_URL)
        monkeypatch.setenv("APP_NAME", "Example")
        for function in FUNCTIONS:
            module = importlib.import_module(function)
            if hasattr(module, "backend"):
                monkeypatch.setattr(module, "backend", self._backend)
            for name, value in list(vars(module).items()):
                built_once = is_builder(value)
                if built_once and name != "audit":  # what is logged is what tests look at
                    monkeypatch.setattr(module, name, self._builder(name))

    def _backend(self) -> Any:
        parts = [name for name in vars(Backend) if not name.startswith("_")]
        return SimpleNamespace(**{name: self._builder(name) for name in parts})

    def _builder(self, name: str) -> Any:
        return lambda: self.provider if name == "provider_http" else getattr(self.world, name)

    def invoke(self, function: str, event: Any) -> Any:
        self.role.function = function
        try:
            return importlib.import_module(function).handler(event, events.Context(function))
        finally:
            self.role.function = None

    def call(self, function: str, route: str, **event: Any) -> Answer:
        return self.send(function, events.http(route, **event))

    def send(self, function: str, event: Any) -> Answer:
        answer = self.invoke(function, event)
        # As API Gateway takes it: JSON with string headers, or the caller sees a bare 500.
        json.dumps(answer).encode()
        assert all(isinstance(value, str) for value in answer["headers"].values())
        return Answer(
            answer["statusCode"], answer["headers"], answer.get("cookies", []), answer["body"]
        )

    def ensure(self, user: str = "alice", config: str = CONFIG) -> Any:
        answer = self.call(
            "ensure_instance", "POST /instances", caller=events.jwt(user), body={"config": config}
        )
        assert answer.status == 200, answer.body
        return answer.json

    def token(self, user: str = "alice", **wanted: Any) -> Any:
        """A new session token's answer, with the id of its instance."""
        instance = self.ensure(user)["id"]
        answer = self.call(
            "ensure_instance",
            "POST /instances/{id}/tokens",
            path={"id": instance},
            caller=events.jwt(user),
            body=wanted,
        )
        assert answer.status == 200, answer.body
        return answer.json | {"instance": instance}

    def consent(self, user: str = "alice", connection: str = GMAIL) -> Browser:
        """A browser that went from the connect page to the provider."""
        ticket = self.ensure(user)["connect_url"].rsplit("/", 1)[1]
        started = self.start(ticket, connection)
        assert started.status == 303, started.body
        query = {k: v[0] for k, v in parse_qs(urlsplit(started.headers["location"]).query).items()}
        name, _, rest = started.cookies[0].partition("=")
        self.world.provider.default = lambda: self.world.grant(query)
        return Browser(self, connection, ticket, query, {name: rest.split(";")[0]})

    def start(self, ticket: str, connection: str = GMAIL, **headers: str) -> Answer:
        return self.call(
            "oauth_callback",
            "POST /connect/{ticket}/{connection}",
            path={"ticket": ticket, "connection": connection},
            headers={name.replace("_", "-"): value for name, value in headers.items()}
            or {"sec-fetch-site": "same-origin", "origin": "https://valet.example"},
        )

    def verify(self, authorization: str, user: str = "alice", **event: Any) -> Answer:
        return self.call(
            "oauth_callback",
            "POST /authorizations/{id}/verify",
            path={"id": authorization},
            **{"caller": events.jwt(user)} | event,
        )

    def connected(self, user: str = "alice", connection: str = GMAIL) -> None:
        answer = self.verify(self.consent(user, connection).authorization(), user)
        assert answer.status == 200, answer.body

    def mcp(self, key: str, message: Any, **headers: str) -> Answer:
        return self._mcp("ANY /mcp/{key}", message, headers, path={"key": key})

    def bearer(self, token: str | None, message: Any, **more: Any) -> Answer:
        """A message to /mcp, with the token as a Bearer, or without Authorization."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self._mcp("ANY /mcp", message, headers | more.pop("headers", {}), **more)

    def _mcp(self, route: str, message: Any, headers: Mapping[str, str], **event: Any) -> Answer:
        usual = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(
            "mcp_server", route, method="POST", headers=usual | given, body=message, **event
        )

    def mcp_modern(self, key: str, method: str, **params: Any) -> Answer:
        """A request of 2026-07-28, from a client that opens URLs for its user."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": method}
        return self.mcp(key, body, **headers, mcp_name=params.get("name", ""))


@dataclass
class Browser:
    """One consent in one browser, at the provider's page."""

    bundle: Bundle
    connection: str
    ticket: str
    asked: dict[str, str]
    cookies: dict[str, str]

    def back(self, query: Mapping[str, str] | str | None = None, **event: Any) -> Answer:
        """The provider sends the browser back to the callback."""
        if query is None:
            query = {"state": self.asked["state"], "code": "code-1", "iss": GOOGLE}
        raw = query if isinstance(query, str) else urlencode(query)
        defaults: dict[str, Any] = {
            "path": {"connection": self.connection},
            "cookies": self.cookies,
            "headers": {"accept": "text/html,*/*"},
        }
        return self.bundle.call(
            "oauth_callback",
            "GET /oauth/callback/{connection}",
            query=raw,
            **defaults | event,
        )

    def authorization(self) -> str:
        returned = self.back()
        assert returned.status == 303, returned.body
        query = parse_qs(urlsplit(returned.headers["location"]).query)
        return query["authorization_id"][0]
