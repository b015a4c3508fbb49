"""One user with a connected account and an MCP URL, written by the broker itself.

python -m infra.bench.scene   # in a function's environment; the last line is the URL's key
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from valet.connectors.catalog import load_connector
from valet.models import ConnectionTools, Secret, TokenSet, UserId, user_key
from valet.native.table import Key, Update
from valet.wiring import native, shared

TOOLS = 20
_CONNECTION = "MY_GMAIL"


def write() -> str:
    """Set the scene; give the key of the user's MCP URL."""
    gmail, user = load_connector("gmail"), user_key(UserId("ann"))
    exposed = [ConnectionTools(_CONNECTION, tuple(gmail.tools)[:TOOLS])]
    configs, instances = native.configs(), native.instances()
    shared.endpoint().set("https://mcp.example.com")
    connection = configs.put_connection(_CONNECTION, "gmail", None, owner="bench", replaces=False)
    configs.put("bench", "", exposed, owner="bench", replaces=False)
    tokens = TokenSet(
        access_token=Secret("ya29." + "x" * 200),
        refresh_token=Secret("1//" + "x" * 100),
        expires_at=datetime.now(UTC) + timedelta(days=1),
        subject="117000000000000000000",
        email="ann@example.com",
    )
    scopes = frozenset(scope for tool in gmail.tools.values() for scope in tool.scopes)
    done = Update(Key("AUTHORIZATION#bench"), set={"done": True})
    native.grants().connect(user, connection, tokens, scopes, done)
    return instances.url(instances.ensure("bench", user)).rsplit("/", 1)[1]


if __name__ == "__main__":
    print(write())
