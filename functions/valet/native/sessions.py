"""From an MCP URL's key to what it stands for, in one read when warm.

What never changes about an instance (its user and config) and what may be up to 30 seconds old (the
config's revision, the connections) is remembered between requests; whether the URL lives and what
the grants are is read on every request, so that revocation bites at once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from valet.errors import NotFound
from valet.models import Account, Connection, InstanceId, McpConfig, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, utc_now
from valet.native.instances import lives
from valet.native.table import ConditionFailed, Is, Item, Key, Table, Update, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.native.accounts import Accounts
    from valet.native.configs import Configs
    from valet.native.url_keys import UrlKey, UrlKeys

CONFIG_AGE = timedelta(seconds=30)  # how late a config's update may reach a warm function
LAST_USED_EVERY = timedelta(minutes=5)
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """One request's view of an instance."""

    instance: InstanceId
    user: UserKey
    config: McpConfig
    connections: Mapping[str, Connection]
    accounts: Mapping[str, Account]


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A config and its connections as they were at one time."""

    config: McpConfig
    connections: Mapping[str, Connection]
    read_at: int


@dataclass(slots=True)
class Sessions:
    table: Table
    configs: Configs
    accounts: Accounts
    url_keys: UrlKeys
    now: Clock = utc_now
    _owners: OrderedDict[InstanceId, tuple[UserKey, str]] = field(
        default_factory=OrderedDict, init=False
    )
    _catalogues: dict[str, _Catalogue] = field(default_factory=dict, init=False)

    def open(self, key_text: str) -> Session | None:
        """The session of a living URL; None for every other, whatever is wrong with it."""
        key = self.url_keys.parse(key_text)
        if key is None:
            return None
        known = self._owners.get(key.instance)
        if known is None:
            known = self._look_up(key.instance)
            if known is None:
                return None
        user, config_name = known
        catalogue = self._catalogue(config_name)
        if catalogue is None:
            return None
        account_keys = {
            keys.account(user, m.connection): m.connection
            for m in catalogue.config.mappings
            if m.connection in catalogue.connections
        }
        found = self.table.get_many([keys.instance(key.instance), *account_keys])
        item = found.get(keys.instance(key.instance))
        if item is None or not lives(item, key, epoch(self.now())):
            return None
        self._touch(item, key)
        return Session(
            instance=key.instance,
            user=user,
            config=catalogue.config,
            connections=catalogue.connections,
            accounts=self._accounts(user, catalogue, account_keys, found),
        )

    def _look_up(self, instance: InstanceId) -> tuple[UserKey, str] | None:
        item = self.table.get(keys.instance(instance))
        if item is None:
            return None
        known = (UserKey(item["user"]), str(item["config"]))
        self._owners[instance] = known
        if len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return known

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
        fresh = _Catalogue(config, self.configs.connections(), now)
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

    def _touch(self, item: Item, key: UrlKey) -> None:
        now = epoch(self.now())
        if now - item.get("last_used_at", 0) >= LAST_USED_EVERY.total_seconds():
            used = {"last_used_at": now}
            alive = when(Is("id", key.instance))  # an update would bring a deleted item back
            try:
                self.table.write(Update(keys.instance(key.instance), set=used, when=alive))
            except ConditionFailed:
                return
