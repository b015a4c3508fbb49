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
from valet.native.key_ring import KeyRing
from valet.native.provider import InvalidGrant, OAuthClient, TokenGrant
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
from valet.native.vault import Owner, SealBroken
from valet.tools.provider import ProviderRequest, ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from valet.connectors.models import OAuthProvider
    from valet.native.events import Event


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


class MemoryTable:
    """`valet.native.table.Table`, with a record of the requests made; as strict as DynamoDB."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.requests: list[str] = []
        self._rivals: list[Callable[[], object]] = []
        self._lock = threading.RLock()
        self.fails_with: Exception | None = None  # the table is down

    @property
    def writes(self) -> int:
        return sum(request in ("write", "transact") for request in self.requests)

    def before_next_write(self, *rivals: Callable[[], object]) -> None:
        """Let others act between a caller's read and its write, one for each of its next writes."""
        self._rivals += rivals

    def get(self, key: Key) -> Item | None:
        with self._lock:
            self._asked("get")
            return copy.deepcopy(self.items.get(_checked(key)))

    def get_many(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        assert len(set(keys)) == len(keys), "DynamoDB refuses a batch that names a key twice"
        with self._lock:
            self._asked("get_many")
            found = [_checked(key) for key in keys if key in self.items]
            return {key: copy.deepcopy(self.items[key]) for key in found}

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        with self._lock:
            self._asked("query")
            keys = sorted(
                (k for k in self.items if k.pk == pk and k.sk.startswith(sk_prefix)),
                key=lambda k: k.sk,
            )
            return [copy.deepcopy(self.items[key]) for key in keys]

    def keys_of_user(self, user: str) -> list[Key]:
        with self._lock:
            self._asked("keys_of_user")
            return [key for key, item in self.items.items() if item.get("user") == user]

    def count_of_config(self, config: str) -> int:
        with self._lock:
            self._asked("count_of_config")
            return sum(item.get("config") == config for item in self.items.values())

    def write(self, write: Write) -> None:
        self._let_rivals_act()
        with self._lock:
            self._asked("write")
            self._check(write)
            self._apply(write)

    def transact(self, *writes: Write) -> None:
        keys = [_key_of(write) for write in writes]
        assert len(set(keys)) == len(keys), "DynamoDB takes one write an item in a transaction"
        self._let_rivals_act()
        with self._lock:
            self._asked("transact")
            try:
                for write in writes:
                    self._check(write)
            except ConditionFailed:
                raise ConditionFailed from None
            for write in writes:
                self._apply(write)

    def _asked(self, request: str) -> None:
        self.requests.append(request)
        if self.fails_with:
            raise self.fails_with

    def _let_rivals_act(self) -> None:
        if self._rivals:
            rival, *later = self._rivals
            self._rivals = []  # a rival's own writes are not disturbed
            try:
                rival()
            finally:
                self._rivals = later

    def _check(self, write: Write) -> None:
        item = self.items.get(_checked(_key_of(write)))
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
                something = write.set or write.remove or write.append or write.add
                assert something, "an update that updates nothing"
                item = self.items.setdefault(key, {"pk": key.pk, "sk": key.sk})
                item.update(copy.deepcopy(dict(write.set)))
                for name in write.remove:
                    item.pop(name, None)
                for name, value in write.append.items():
                    item.setdefault(name, []).append(value)
                for name, number in write.add.items():
                    item[name] = item.get(name, 0) + number
        _check_types(self.items.get(key))


def _checked(key: Key) -> Key:
    assert 0 < len(key.pk.encode()) <= 2048, "DynamoDB refuses this partition key"
    assert 0 < len(key.sk.encode()) <= 1024, "DynamoDB refuses this sort key"
    return key


def _check_types(value: object) -> None:
    match value:
        case dict():
            for entry in value.values():
                _check_types(entry)
        case list():
            for entry in value:
                _check_types(entry)
        case _:
            assert value is None or isinstance(value, str | int | bytes), f"not storable: {value!r}"


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

    def __init__(self) -> None:
        self.fails_with: BaseException | None = None  # the key service is down, or we are killed

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        self._fail()
        return json.dumps([repr(owner), plaintext.hex()]).encode()

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        self._fail()
        try:
            named, plaintext = json.loads(sealed)
            if named != repr(owner):
                raise SealBroken
            return bytes.fromhex(plaintext)
        except ValueError:
            raise SealBroken from None

    def _fail(self) -> None:
        if self.fails_with:
            raise self.fails_with


@dataclass
class FakeEvents:
    """`valet.native.events.Events`, kept in order."""

    told: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        self.told.append(event)


@dataclass
class FakeOAuthClients:
    """`valet.native.provider.OAuthClients`."""

    clients: dict[str, OAuthClient] = field(
        default_factory=lambda: {"google": OAuthClient("client-1", Secret("client-secret-1"))}
    )
    fresh_reads: int = 0
    fails_with: Exception | None = None

    def get(self, name: str, *, fresh: bool = False) -> OAuthClient:
        self.fresh_reads += fresh
        if self.fails_with:
            raise self.fails_with
        if name not in self.clients:
            raise Misconfigured(f"no OAuth client {name!r}", code="oauth_client_missing")
        return self.clients[name]


class Killed(BaseException):
    """The process ends here: no `except Exception` sees it, and nothing more is done."""


type Answer = TokenGrant | BaseException | Callable[[], TokenGrant]


@dataclass
class FakeTokenEndpoint:
    """`valet.native.provider.TokenEndpoint`; answers what it is given, and records what it got.

    An answer that is a function runs while the caller waits for it: what others do meanwhile.
    """

    answers: list[Answer] = field(default_factory=list)
    default: Answer | None = None
    calls: list[dict[str, str]] = field(default_factory=list)
    revoke_fails_with: BaseException | None = None
    users: dict[str, dict[str, Any]] = field(default_factory=dict)  # by access token

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
            client_secret=client.client_secret.reveal(),
            code=code.reveal(),
            verifier=verifier.reveal(),
            redirect_uri=redirect_uri,
        )

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant:
        return self._answer(
            grant="refresh",
            provider=provider.name,
            client_secret=client.client_secret.reveal(),
            refresh_token=refresh_token.reveal(),
        )

    def revoke(self, provider: OAuthProvider, client: OAuthClient, *, token: Secret) -> None:
        self.calls.append(
            {
                "grant": "revoke",
                "provider": provider.name,
                "client_id": client.client_id,
                "token": token.reveal(),
            }
        )
        if self.revoke_fails_with:
            raise self.revoke_fails_with

    def userinfo(self, provider: OAuthProvider, *, token: Secret) -> Mapping[str, Any]:
        self.calls.append({"grant": "userinfo", "provider": provider.name, "token": token.reveal()})
        return self.users.get(token.reveal(), {})

    def _answer(self, **call: str) -> TokenGrant:
        self.calls.append(call)
        answer = self.answers.pop(0) if self.answers else self.default
        assert answer is not None, "a request that the test did not expect"
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


class RotatingTokenEndpoint(FakeTokenEndpoint):
    """A provider whose refresh tokens work once: using one twice ends the grant for good."""

    def __init__(self, live: str = "rt-1") -> None:
        super().__init__()
        self.redemptions = 0
        self.family_revoked = False
        self.while_answering: Callable[[], object] = lambda: None
        self._live = live
        self._lock = threading.Lock()

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant:
        del provider, client
        with self._lock:
            self.family_revoked |= refresh_token.reveal() != self._live
            if self.family_revoked:
                raise InvalidGrant("used before")
            self.redemptions += 1
            number = self.redemptions + 1
            self._live = f"rt-{number}"
        self.while_answering()
        return TokenGrant(Secret(f"at-{number}"), Secret(f"rt-{number}"), 3600, None)


class FakeProviderHttp:
    """`valet.tools.provider.ProviderHttp`; answers in order, and records requests and tokens."""

    def __init__(self, *answers: Any) -> None:
        self.sent: list[ProviderRequest] = []
        self.tokens: list[str] = []
        self.answers = list(answers)
        self._lock = threading.Lock()

    def send(self, request: ProviderRequest, token: Secret) -> ProviderResponse:
        with self._lock:
            self.sent.append(request)
            self.tokens.append(token.reveal())
            answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, ProviderResponse) else ProviderResponse(200, answer)


def key_ring(current: str = "k1", *others: str) -> KeyRing:
    return KeyRing(current, {k: Secret(f"{k}-" + "s" * 40) for k in (current, *others)})
