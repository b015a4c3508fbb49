"""Connected accounts: where a user's grant on a connection stands. Its tokens are `grants`' matter.

Every write of tokens raises `version`; whoever would write on top of a version they have not seen
is refused, so a late answer can never undo a newer one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import Busy, NotFound
from valet.models import Account, AccountStatus, Connection, UserKey
from valet.native import keys
from valet.native.clock import Clock, epoch, from_epoch, utc_now
from valet.native.events import Event, Events, EventType
from valet.native.table import Above, ConditionFailed, Is, Item, Table, Update, when

if TYPE_CHECKING:
    from datetime import datetime

RACES = 5  # attempts against other writers of the same account


@dataclass(frozen=True, slots=True)
class Accounts:
    table: Table
    events: Events
    now: Clock = utc_now

    def get(self, user: UserKey, connection: Connection) -> Account:
        """The account as it stands; PENDING_AUTH where there is none yet."""
        return self.from_item(self.table.get(keys.account(user, connection.name)), user, connection)

    def from_item(self, item: Item | None, user: UserKey, connection: Connection) -> Account:
        if item is None:
            return Account(user, connection.name, connection.connector, AccountStatus.PENDING_AUTH)
        return _from_item(item, user, connection, epoch(self.now()))

    def of(self, user: UserKey, connections: dict[str, Connection]) -> dict[str, Account]:
        """The user's accounts on these connections, by connection name."""
        stored = {
            item["sk"].removeprefix("ACCOUNT#"): item
            for item in self.table.query(keys.grants_partition(user), "ACCOUNT#")
        }
        return {
            name: self.from_item(stored.get(name), user, connection)
            for name, connection in connections.items()
        }

    def announce(self, before: Account, status: AccountStatus) -> None:
        """Tell of a change of status, once the write that made it holds."""
        if before.status is status:
            return
        self.events.publish(
            Event(
                EventType.ACCOUNT_STATUS_CHANGED,
                before.user,
                connection=before.connection,
                connector=before.connector,
                status=status.value,
                previous_status=before.status.value,
            )
        )

    def mark_expired(self, before: Account) -> Update:
        """The write that ends a grant the provider refused, for a transaction of the caller's."""
        return Update(
            keys.account(before.user, before.connection),
            set={"status": AccountStatus.EXPIRED.value, "updated_at": epoch(self.now())},
            when=when(Is("version", before.version)),
        )

    def expect(self, user: UserKey, connection: str, until: datetime) -> Update:
        """The write that shows a consent as waiting for the app's verification."""
        return Update(keys.account(user, connection), set={"pending_until": epoch(until)})

    def expect_no_more(self, user: UserKey, connection: str) -> None:
        waiting = when(Above("pending_until", 0))  # else an erased user's account would come back
        with suppress(ConditionFailed):
            self.table.write(
                Update(keys.account(user, connection), remove=["pending_until"], when=waiting)
            )

    def disconnect(self, user: UserKey, connection: Connection) -> Account:
        """Erase the tokens and refuse their use from now on; returns the account as it was.

        Raises:
            NotFound: nothing is connected there.
            Busy: others kept changing it.
        """
        for _ in range(RACES):
            before = self.get(user, connection)
            if not before.version or before.status is AccountStatus.DISCONNECTED:
                raise NotFound(f"nothing is connected on {connection.name!r}")
            try:
                self.table.write(
                    Update(
                        keys.account(user, connection.name),
                        set={
                            "status": AccountStatus.DISCONNECTED.value,
                            "version": before.version + 1,
                            "scopes": [],
                            "updated_at": epoch(self.now()),
                        },
                        remove=["sealed", "token_expires_at", "pending_until"],
                        when=when(Is("version", before.version)),
                    )
                )
            except ConditionFailed:
                continue
            self.announce(before, AccountStatus.DISCONNECTED)
            return before
        raise Busy("this connection is being changed by others: try again")


def _from_item(item: Item, user: UserKey, connection: Connection, now: int) -> Account:
    status = AccountStatus(item.get("status", AccountStatus.PENDING_AUTH))
    if status is not AccountStatus.ACTIVE and item.get("pending_until", 0) > now:
        status = AccountStatus.PENDING_VERIFICATION
    return Account(
        user=user,
        connection=connection.name,
        connector=connection.connector,
        status=status,
        scopes=frozenset(item.get("scopes", ())),
        version=int(item.get("version", 0)),
        sealed=item.get("sealed", b""),
        updated_at=from_epoch(item["updated_at"]) if "updated_at" in item else None,
    )
