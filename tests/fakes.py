"""The domain's ports in memory; contract tests hold each to what the real adapter does."""

from __future__ import annotations

import copy
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from valet.errors import Misconfigured
from valet.models import Secret
from valet.native.provider import OAuthClient, TokenGrant
from valet.native.table import (
    Above,
    Absent,
    Below,
    ConditionFailed,
    Delete,
    HasNot,
    Is,
    Item,
    Key,
    Put,
    Test,
    Update,
    When,
    Write,
)
from valet.native.url_keys import KeyRing
from valet.native.vault import Owner, SealBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from valet.connectors.models import OAuthProvider


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


class MemoryTable:
    """`valet.native.table.Table`, with a count of the requests made."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.requests: list[str] = []
        self._lock = threading.RLock()

    def get(self, key: Key) -> Item | None:
        with self._lock:
            self.requests.append("get")
            return copy.deepcopy(self.items.get(key))

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        with self._lock:
            self.requests.append("get_many")
            return {key: copy.deepcopy(self.items[key]) for key in keys if key in self.items}

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        with self._lock:
            self.requests.append("query")
            keys = sorted(
                (k for k in self.items if k.pk == pk and k.sk.startswith(sk_prefix)),
                key=lambda k: k.sk,
            )
            return [copy.deepcopy(self.items[key]) for key in keys]

    def write(self, write: Write) -> None:
        with self._lock:
            self.requests.append("write")
            self._check(write)
            self._apply(write)

    def transact(self, *writes: Write) -> None:
        with self._lock:
            self.requests.append("transact")
            try:
                for write in writes:
                    self._check(write)
            except ConditionFailed:
                raise ConditionFailed from None
            for write in writes:
                self._apply(write)

    def _check(self, write: Write) -> None:
        item = self.items.get(_key_of(write))
        if write.when and not _holds(write.when, item):
            raise ConditionFailed(copy.deepcopy(item))

    def _apply(self, write: Write) -> None:
        key = _key_of(write)
        match write:
            case Put(item):
                self.items[key] = copy.deepcopy(dict(item))
            case Delete():
                self.items.pop(key, None)
            case Update():
                item = self.items.setdefault(key, {"pk": key.pk, "sk": key.sk})
                item.update(copy.deepcopy(dict(write.set)))
                for name in write.remove:
                    item.pop(name, None)
                for name, value in write.append.items():
                    item.setdefault(name, []).append(value)


def _key_of(write: Write) -> Key:
    return Key(write.item["pk"], write.item["sk"]) if isinstance(write, Put) else write.key


def _holds(when: When, item: Item | None) -> bool:
    return any(all(_true(test, item or {}) for test in group) for group in when.groups)


def _true(test: Test, item: Item) -> bool:
    found = item.get(test.attribute)
    match test:
        case Absent():
            return test.attribute not in item
        case Is(_, value):
            return test.attribute in item and found == value
        case Above(_, value):
            return found is not None and found > value
        case Below(_, value):
            return found is not None and found < value
        case HasNot(_, value):
            return value not in (found or ())


class FakeVault:
    """`valet.native.vault.Vault` without cryptography: a seal that names its owner."""

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        return json.dumps([repr(owner), plaintext.hex()]).encode()

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        try:
            named, plaintext = json.loads(sealed)
            if named != repr(owner):
                raise SealBroken
            return bytes.fromhex(plaintext)
        except ValueError:
            raise SealBroken from None


@dataclass
class FakeOAuthClients:
    """`valet.native.provider.OAuthClients`."""

    clients: dict[str, OAuthClient] = field(
        default_factory=lambda: {"google": OAuthClient("client-1", Secret("client-secret-1"))}
    )
    fresh_reads: int = 0

    def get(self, name: str, *, fresh: bool = False) -> OAuthClient:
        self.fresh_reads += fresh
        if name not in self.clients:
            raise Misconfigured(f"no OAuth client {name!r}", code="oauth_client_missing")
        return self.clients[name]


type Answer = TokenGrant | Exception


@dataclass
class FakeTokenEndpoint:
    """`valet.native.provider.TokenEndpoint`; answers what it is given, and records what it got."""

    answers: list[Answer | Callable[[], TokenGrant]] = field(default_factory=list)
    default: Callable[[], TokenGrant] | None = None
    calls: list[dict[str, str]] = field(default_factory=list)

    def exchange(
        self,
        provider: OAuthProvider,
        client: OAuthClient,
        *,
        code: Secret,
        verifier: Secret,
        redirect_uri: str,
    ) -> TokenGrant:
        return self._answer(
            grant="code",
            provider=provider.name,
            client_id=client.client_id,
            code=code.reveal(),
            verifier=verifier.reveal(),
            redirect_uri=redirect_uri,
        )

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant:
        return self._answer(
            grant="refresh", provider=provider.name, refresh_token=refresh_token.reveal()
        )

    def revoke(self, provider: OAuthProvider, client: OAuthClient, *, token: Secret) -> None:
        self.calls.append({"grant": "revoke", "token": token.reveal()})
        if self.answers and isinstance(self.answers[0], Exception):
            raise self.answers.pop(0)  # type: ignore[misc]  # checked in the line above

    def _answer(self, **call: str) -> TokenGrant:
        self.calls.append(call)
        answer: Any = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


def key_ring(current: str = "k1", *others: str) -> KeyRing:
    return KeyRing(current, {k: Secret(f"{k}-" + "s" * 40) for k in (current, *others)})
