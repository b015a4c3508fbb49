"""Where things are in the table: the one place that knows key shapes.

Partitions are the unit that IAM grants by (`dynamodb:LeadingKeys` in template.yaml), so what one
function may write never shares a partition with what it may not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from valet.native.table import Key

if TYPE_CHECKING:
    from valet.models import InstanceId, UserKey

CONFIGS = "CONFIG"
CONNECTIONS = "CONNECTION"
COUNT = "COUNT"
CALL_COUNT = "MINUTE"
TOKENS = "TOKEN#"


def digest(secret: str) -> str:
    """How a single-use secret (ticket, state, authorization id) is stored and found again."""
    return hashlib.sha256(secret.encode()).hexdigest()


def config(name: str) -> Key:
    return Key(CONFIGS, name)


def revisions_partition(name: str) -> str:
    return f"CONFIG#{name}"


def config_revision(name: str, revision: int) -> Key:
    return Key(revisions_partition(name), f"{revision:08d}")


def connection(name: str) -> Key:
    return Key(CONNECTIONS, name)


def endpoint() -> Key:
    return Key("ENDPOINT")


def instance(instance_id: InstanceId) -> Key:
    return Key(f"INSTANCE#{instance_id}")


def session_token(instance_id: InstanceId, token_id: str) -> Key:
    return Key(instance(instance_id).pk, f"{TOKENS}{token_id}")


def owned_partition(user: UserKey) -> str:
    return f"OWNER#{user}"


def owned_instance(user: UserKey, config_name: str) -> Key:
    return Key(owned_partition(user), config_name)


def ticket(ticket_digest: str) -> Key:
    return Key(f"TICKET#{ticket_digest}")


def link_count(user: UserKey) -> Key:
    return Key(f"TICKET#{user}", COUNT)


def state(state_digest: str) -> Key:
    return Key(f"STATE#{state_digest}")


def authorization(authorization_digest: str) -> Key:
    return Key(f"AUTHORIZATION#{authorization_digest}")


def grants_partition(user: UserKey) -> str:
    return f"GRANT#{user}"


def account(user: UserKey, connection_name: str) -> Key:
    return Key(grants_partition(user), f"ACCOUNT#{connection_name}")


def lease(user: UserKey, connection_name: str) -> Key:
    return Key(grants_partition(user), f"LEASE#{connection_name}")


def calls_partition(user: UserKey) -> str:
    return f"CALL#{user}"


def call_count(user: UserKey, minute: int) -> Key:
    return Key(calls_partition(user), f"{CALL_COUNT}#{minute}")


def call(user: UserKey, fingerprint: str) -> Key:
    return Key(calls_partition(user), fingerprint)
