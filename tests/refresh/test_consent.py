"""The whole consent over HTTP: Google, and a certified server as three kinds of provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.refresh.broker import GMAIL, KINDS, NOTES, POSTED
from valet.connectors.catalog import load_connector
from valet.errors import Conflict, ProviderFailure
from valet.models import AccountStatus, Secret, UserId, user_key
from valet.native.authorizations import WrongUser
from valet.native.clock import utc_now
from valet.native.verification import DifferentAccount
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.refresh.broker import Broker
    from tests.refresh.crew import Google, Provider
    from valet.native.provider import TokenGrant

NAMED = (NOTES, POSTED, GMAIL)  # by an id_token, by the userinfo, by an id_token

each_kind = pytest.mark.parametrize("connection", [*KINDS, GMAIL])


@pytest.fixture(autouse=True)
def _as_usual(provider: Provider, google: Google) -> None:
    provider.tell("zero")
    provider.tell("set", rotate=True, grants=None, access_ttl=3600)
    google.zero()


@pytest.fixture
def counts(connection: str, provider: Provider, google: Google) -> Callable[[], dict[str, int]]:
    """What the provider of this connection was asked."""
    return google.counts if connection == GMAIL else provider.counts


def email_of(name: str, connection: str) -> str | None:
    if connection == GMAIL:
        return "alice@example.com"
    return f"{name}@noteboard.example" if connection in NAMED else None


@each_kind
def test_consent_connects_refreshes_and_is_revoked(
    broker: Broker, counts: Callable[[], dict[str, int]], connection: str
) -> None:
    name = f"alice-{connection.lower()}"
    user = broker.connect(name, connection)
    account = broker.account(user, connection)
    assert account.status is AccountStatus.ACTIVE
    before = broker.grants.open(account)
    assert before.email == email_of(name, connection)
    assert (before.subject is not None) == (connection in NAMED)
    later = replace(broker.tokens(), now=lambda: utc_now() + timedelta(hours=1))
    after, account = later.usable(account, broker.connections[connection])
    assert after.access_token != before.access_token
    rotates = load_connector(account.connector).provider.rotates_refresh_tokens
    assert (after.refresh_token != before.refresh_token) == rotates
    assert after.subject == before.subject
    assert counts()["redemptions"] == 1
    assert after.refresh_token
    assert broker.disconnect(user, connection), "the provider was told"
    with pytest.raises(ProviderFailure):
        redeem(broker, connection, after.refresh_token)


def redeem(broker: Broker, connection: str, refresh_token: Secret) -> TokenGrant:
    facts = load_connector(broker.connections[connection].connector).provider
    client = broker.clients.get(broker.connections[connection].oauth_client)
    return broker.token_endpoint.refresh(facts, client, refresh_token=refresh_token)


@each_kind
def test_a_forwarded_link_connects_nobody_and_sends_no_token_request(
    broker: Broker, counts: Callable[[], dict[str, int]], connection: str
) -> None:
    attacker, victim = user_key(UserId("mallory")), user_key(UserId("victim"))
    returned = broker.consented("mallory", connection, hint="victim")
    assert returned.authorization_id
    with pytest.raises(WrongUser):
        broker.verify(returned.authorization_id, victim)
    with pytest.raises(Conflict):
        broker.verify(returned.authorization_id, attacker)
    assert counts()["token_requests"] == 0
    for user in (attacker, victim):
        assert broker.account(user, connection).status is AccountStatus.PENDING_AUTH


@each_kind
def test_a_denial_is_told_as_one(broker: Broker, connection: str) -> None:
    returned = broker.consented("bob", connection, hint="deny")
    assert (returned.authorization_id, returned.error) == (None, "user_denied")


@pytest.mark.parametrize("connection", NAMED)
def test_another_account_of_the_provider_waits_for_the_users_word(
    broker: Broker, connection: str
) -> None:
    name = f"carol-{connection.lower()}"
    user = broker.connect(name, connection)
    returned = broker.consented(name, connection, hint="carols-other")
    assert returned.authorization_id
    email = email_of(name, connection)
    with pytest.raises(DifferentAccount, match=f"{email} is connected"):
        broker.verify(returned.authorization_id, user)
    kept = broker.grants.open(broker.account(user, connection))
    assert kept.email == email


def test_a_stolen_refresh_token_that_is_used_first_ends_the_grant_for_both(
    broker: Broker, provider: Provider
) -> None:
    user = broker.connect("dora")
    tokens = broker.grants.open(broker.account(user))
    assert tokens.refresh_token
    redeem(broker, NOTES, tokens.refresh_token)  # the thief
    with pytest.raises(NotConnected):
        broker.tokens().usable(broker.account(user), broker.connection, refused=True)
    assert broker.account(user).status is AccountStatus.EXPIRED
    assert provider.counts()["lost_families"] == 1
