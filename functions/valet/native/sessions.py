"""From what a caller proved to what it stands for, in one read when warm.

Each way to prove it has a door: the URL's key, a session token, or an instance that is known to be
the caller's.

What never changes about an instance (its user and config) and what may be up to 30 seconds old (the
config's revision, the connections) is remembered between requests; whether the URL, the token or
the instance lives and what the grants are is read on every request, so that revocation bites at
once.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from valet.errors import NotFound
from valet.models import (
    Access,
    Account,
    Connection,
    InstanceId,
    McpConfig,
    McpInstance,
    UserKey,
    Via,
)
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.exposure import offered
from valet.native.instances import lives
from valet.native.limits import Tally, minute_of
from valet.native.table import (
    ConditionFailed,
    Is,
    Item,
    Key,
    Table,
    TableUnavailable,
    Update,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.session_tokens import TokenReader
    from valet.native.url_keys import UrlKeys

CONFIG_AGE = timedelta(seconds=30)  # how late a config's update may reach a warm function
LAST_USED_EVERY = timedelta(minutes=5)
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """One request's view of an instance, and what its caller may do there."""

    instance: InstanceId
    user: UserKey
    config: McpConfig
    connections: Mapping[str, Connection]
    accounts: Mapping[str, Account]
    access: Access
    via: Via
    tally: Tally

    @property
    def caller(self) -> str:
        """Who is served, and how far: what was handed to one caller is of no use to another."""
        return f"{self.instance}/{self.access}"


class _Owned(NamedTuple):
    """What never changes about an instance."""

    id: InstanceId
    user: UserKey
    config: str


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A config and the connections that it still has, as they were at one time."""

    config: McpConfig
    connections: Mapping[str, Connection]
    read_at: int


@dataclass(slots=True)
class Sessions:
    table: Table
    configs: Configs
    accounts: Accounts
    url_keys: UrlKeys
    tokens: TokenReader
    now: Clock = utc_now
    _known: OrderedDict[InstanceId, _Owned] = field(default_factory=OrderedDict, init=False)
    _catalogues: dict[str, _Catalogue] = field(default_factory=dict, init=False)

    def open(self, key_text: str) -> Session | None:
        """The session of a living URL; None for every other, whatever is wrong with it."""
        key = self.url_keys.parse(key_text)
        if key is None:
            return None
        owned = self._owned(key.instance)
        if owned is None:
            return None
        now, item = epoch(self.now()), keys.instance(key.instance)
        return self._session(owned, Access.FULL, "url", lambda found: lives(found[item], key, now))

    def open_token(self, token_text: str) -> Session | None:
        """The session of a living session token; None for every other, as for URLs."""
        token, now = self.tokens.read(token_text), epoch(self.now())
        if token is None or token.expires_at <= now:
            return None
        owned = self._owned(token.instance)
        if owned is None:
            return None
        item = keys.session_token(token.instance, token.id)
        return self._session(
            owned, token.access, "token", lambda found: token.lives(found.get(item), now), item
        )

    def config(self, name: str) -> McpConfig | None:
        """The config as sessions see it."""
        catalogue = self._catalogue(name)
        return catalogue.config if catalogue else None

    def for_instance(self, instance: McpInstance, access: Access, via: Via) -> Session | None:
        """The session of an instance that is known to be the caller's; None once it is deleted."""
        owned = _Owned(instance.id, instance.user, instance.config)
        return self._session(owned, access, via, lambda _: True)

    def _session(
        self,
        owned: _Owned,
        access: Access,
        via: Via,
        is_open: Callable[[Mapping[Key, Item]], bool],
        *also: Key,
    ) -> Session | None:
        """What is there of the instance, if the items say that it is open to this caller.

        `also` are keys of items that `is_open` decides by, beside the instance's own.
        """
        catalogue = self._catalogue(owned.config)
        if catalogue is None:
            return None
        account_keys = {keys.account(owned.user, name): name for name in catalogue.connections}
        minute = minute_of(self.now)
        count = keys.call_count(owned.user, minute)
        found = self.table.get_many([keys.instance(owned.id), *also, count, *account_keys])
        item = found.get(keys.instance(owned.id))
        if item is None or not is_open(found):
            return None
        self._touch(item, owned.id)
        return Session(
            instance=owned.id,
            user=owned.user,
            config=catalogue.config,
            connections=catalogue.connections,
            accounts=self._accounts(owned.user, catalogue, account_keys, found),
            access=access,
            via=via,
            tally=Tally.of(minute, found.get(count)),
        )

    def _owned(self, instance: InstanceId) -> _Owned | None:
        known = self._known.get(instance)
        if known:
            return known
        item = self.table.get(keys.instance(instance))
        if item is None:
            return None
        owned = _Owned(instance, UserKey(item["user"]), str(item["config"]))
        self._known[instance] = owned
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return owned

    def _catalogue(self, name: str) -> _Catalogue | None:
        now = epoch(self.now())
        cached = self._catalogues.get(name)
        if cached and now - cached.read_at < CONFIG_AGE.total_seconds():
            return cached
        try:
            config = self.configs.get(name)
        except NotFound:
            self._catalogues.pop(name, None)
            return None
        fresh = _Catalogue(config, offered(config, self.configs.connections()), now)
        self._catalogues[name] = fresh
        return fresh

    def _accounts(
        self,
        user: UserKey,
        catalogue: _Catalogue,
        account_keys: Mapping[Key, str],
        found: Mapping[Key, Item],
    ) -> dict[str, Account]:
        return {
            name: self.accounts.from_item(found.get(key), user, catalogue.connections[name])
            for key, name in account_keys.items()
        }

    def _touch(self, item: Item, instance: InstanceId) -> None:
        now = epoch(self.now())
        if now - item.get("last_used_at", 0) >= LAST_USED_EVERY.total_seconds():
            used = {"last_used_at": now}
            alive = when(Is("id", instance))  # an update would bring a deleted item back
            with suppress(ConditionFailed, TableUnavailable):  # nobody decides by it
                self.table.write(Update(keys.instance(instance), set=used, when=alive))
