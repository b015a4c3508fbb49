"""One process that runs the code under test, as a function would; it does what its stdin says.

    python -m tests.refresh.worker '{"aws": …}'

Each line in is an order, each line out a report. Where an order says to stop, the process reports
that it got there and waits: to be killed, or to be told to go on.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from tests.connectors import noteboard
from tests.refresh.broker import Broker, Site
from valet.adapters.token_endpoint import HttpxTokenEndpoint
from valet.connectors.catalog import added
from valet.errors import ValetError
from valet.models import UserKey
from valet.native.grants import Grants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.connectors.models import OAuthProvider
    from valet.models import Secret
    from valet.native.provider import OAuthClient, TokenEndpoint, TokenGrant
    from valet.native.tokens import Tokens
    from valet.native.vault import Owner, Vault

_LOCK = threading.Lock()


def report(**facts: Any) -> None:
    with _LOCK:
        print(json.dumps(facts), flush=True)


@dataclass
class Stop:
    """A place to stop at, once."""

    place: str | None = None
    go_on: threading.Event = field(default_factory=threading.Event)

    def at(self, place: str) -> None:
        if place == self.place:
            self.place = None
            report(stopped=place)
            self.go_on.wait()


@dataclass
class StoppingEndpoint:
    """The token endpoint, with places to stop at around a refresh."""

    real: TokenEndpoint
    stop: Stop

    def refresh(
        self, provider: OAuthProvider, client: OAuthClient, *, refresh_token: Secret
    ) -> TokenGrant:
        self.stop.at("before the request")
        grant = self.real.refresh(provider, client, refresh_token=refresh_token)
        self.stop.at("before the save")
        return grant

    def exchange(self, *args: Any, **kwargs: Any) -> TokenGrant:
        return self.real.exchange(*args, **kwargs)

    def revoke(self, provider: OAuthProvider, client: OAuthClient, *, token: Secret) -> None:
        self.real.revoke(provider, client, token=token)

    def userinfo(self, provider: OAuthProvider, *, token: Secret) -> Mapping[str, Any]:
        return self.real.userinfo(provider, token=token)


@dataclass
class StoppingVault:
    """The vault, with a place to stop at when the holder of the lease opens the old tokens."""

    real: Vault
    stop: Stop
    looks: int = 0

    def open(self, sealed: bytes, owner: Owner) -> bytes:
        self.looks += 1
        if self.looks == 2:  # the first was to see whether they have run out
            self.stop.at("with the lease")
        return self.real.open(sealed, owner)

    def seal(self, plaintext: bytes, owner: Owner) -> bytes:
        return self.real.seal(plaintext, owner)


class Worker:
    def __init__(self, site: Site) -> None:
        self._broker = Broker(site, self._now)
        self._skew = 0.0
        self._stop = Stop()

    def do(self, order: dict[str, Any]) -> None:
        self._skew = order["skew"]
        self._stop = Stop(order["stop"])
        threading.Thread(target=self._call, args=(order,)).start()

    def go_on(self) -> None:
        self._stop.go_on.set()

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skew)

    def _tokens(self, order: dict[str, Any]) -> Tokens:
        broker = self._broker
        timeout = httpx.Timeout(order["timeout"], connect=2.0)
        endpoint = HttpxTokenEndpoint(broker.http, broker.site.reached_at, timeout=timeout)
        later = timedelta(seconds=order["later"])
        return replace(
            broker.tokens(),
            grants=Grants(broker.accounts, StoppingVault(broker.vault, self._stop)),
            endpoint=StoppingEndpoint(endpoint, self._stop),
            now=lambda: broker.aws_clock() + later,
            pause=_Pause(order["callers"] - 1),
            lease=timedelta(seconds=order["lease"]),
            redemption=timedelta(seconds=order["redemption"]),
        )

    def _call(self, order: dict[str, Any]) -> None:
        count, user = order["callers"], UserKey(order["user"])
        tokens, connection = self._tokens(order), self._broker.connection
        seen = self._broker.account(user)
        start = threading.Barrier(count)

        def call(_: int) -> dict[str, Any]:
            start.wait()
            try:
                granted, account = tokens.usable(seen, connection, refused=order["refused"])
            except ValetError as error:
                return {"error": type(error).__name__}
            token = hashlib.sha256(granted.access_token.reveal().encode()).hexdigest()[:12]
            return {"token": token, "version": account.version, "scopes": sorted(account.scopes)}

        with ThreadPoolExecutor(count) as threads:
            report(answers=list(threads.map(call, range(count))))


class _Pause:
    """Waits as told; reports once, when this many callers have waited at least once."""

    def __init__(self, all_of_them: int) -> None:
        self._all = all_of_them
        self._seen: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, seconds: float) -> None:
        with self._lock:
            known = threading.get_ident() in self._seen
            self._seen.add(threading.get_ident())
            if not known and len(self._seen) == self._all:
                report(waiting=self._all)
        time.sleep(seconds)


def main() -> None:
    worker = Worker(Site(**json.loads(sys.argv[1])))
    with added(noteboard()):
        report(ready=True)
        for line in sys.stdin:
            order = json.loads(line)
            if order.get("go_on"):
                worker.go_on()
            else:
                worker.do(order)


if __name__ == "__main__":
    main()
