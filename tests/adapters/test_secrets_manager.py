"""OAuth clients and the URL key ring, as Secrets Manager holds them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from valet.adapters.secrets_manager import JsonSecret, SecretKeyRing, SecretOAuthClients
from valet.errors import Busy, Misconfigured
from valet.models import Secret

GOOGLE = {"client_id": "id-1", "client_secret": "s3cret"}
RING = {"current": "k1", "k1": "a" * 40}


class Secrets:
    """Secrets Manager's one call."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.reads = 0
        self.seconds = 0.0
        self.error: Exception | None = None

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        assert SecretId == "secret-1"
        self.reads += 1
        if self.error:
            raise self.error
        if isinstance(self.value, bytes):
            return {"SecretBinary": self.value}
        text = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return {"SecretString": text}

    def secret(self) -> JsonSecret:
        client: Any = self
        return JsonSecret(client, "secret-1", lambda: self.seconds)


def test_a_client_is_found_by_its_name() -> None:
    client = SecretOAuthClients(Secrets({"google": GOOGLE}).secret()).get("google")
    assert client.client_id == "id-1"
    assert client.client_secret == Secret("s3cret")
    assert "s3cret" not in repr(client)


def test_a_secret_is_read_when_first_used_and_then_every_five_minutes() -> None:
    secrets = Secrets({"google": GOOGLE})
    clients = SecretOAuthClients(secrets.secret())
    assert secrets.reads == 0
    for _ in range(3):
        clients.get("google")
    assert secrets.reads == 1
    secrets.seconds = 299.0
    clients.get("google")
    assert secrets.reads == 1
    secrets.value = {"google": GOOGLE | {"client_id": "id-2"}}
    secrets.seconds = 300.0
    assert clients.get("google").client_id == "id-2"


def test_a_fresh_read_sees_a_rotated_secret_at_once() -> None:
    secrets = Secrets({"google": GOOGLE})
    clients = SecretOAuthClients(secrets.secret())
    clients.get("google")
    secrets.value = {"google": GOOGLE | {"client_secret": "new"}}
    assert clients.get("google").client_secret == Secret("s3cret")
    assert clients.get("google", fresh=True).client_secret == Secret("new")
    assert clients.get("google").client_secret == Secret("new")


def test_a_client_that_was_put_in_just_now_is_found() -> None:
    secrets = Secrets({})
    clients = SecretOAuthClients(secrets.secret())
    with pytest.raises(Misconfigured):
        clients.get("google")
    secrets.value = {"google": GOOGLE}
    assert clients.get("google").client_id == "id-1"


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        [],
        {},
        {"client_id": "id-1"},
        {"client_secret": "s3cret"},
        {"client_id": "", "client_secret": "s3cret"},
        {"client_id": 7, "client_secret": "s3cret"},
        {"client_id": "id-1", "client_secret": None},
    ],
    ids=repr,
)
def test_a_client_that_is_not_whole_is_an_operators_matter(stored: object) -> None:
    with pytest.raises(Misconfigured) as raised:
        SecretOAuthClients(Secrets({"google": stored}).secret()).get("google")
    assert raised.value.code == "oauth_client_missing"
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("value", ["", "x", "[]", "null", '"{}"', "{", b"{}"], ids=repr)
def test_a_secret_that_is_no_json_object_is_an_operators_matter(value: object) -> None:
    with pytest.raises(Misconfigured) as raised:
        SecretOAuthClients(Secrets(value).secret()).get("google")
    assert raised.value.code == "misconfigured"


def test_the_ring_is_parsed_once_for_each_read() -> None:
    secrets = Secrets(RING)
    ring = SecretKeyRing(secrets.secret())
    assert ring() is ring()
    assert ring().current == "k1"
    secrets.value = {"current": "k2", "k1": "a" * 40, "k2": "b" * 40}
    secrets.seconds = 300.0
    assert ring().current == "k2"
    assert set(ring().keys) == {"k1", "k2"}


def test_a_ring_that_was_just_rolled_is_seen_past_the_cache_at_most_once_in_two_seconds() -> None:
    secrets = Secrets(RING)
    ring = SecretKeyRing(secrets.secret())
    ring()
    secrets.value = {"current": "k2", "k1": "a" * 40, "k2": "b" * 40}
    assert ring.latest().current == "k1"
    secrets.seconds = 2.0
    assert ring.latest().current == "k2"
    for _ in range(50):
        ring.latest()
    assert secrets.reads == 2
    assert ring().current == "k2"


def test_a_secrets_manager_that_is_down_does_not_take_what_was_read_before() -> None:
    secrets = Secrets(RING)
    ring = SecretKeyRing(secrets.secret())
    ring()
    secrets.error = ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue")
    secrets.seconds = 3600.0
    assert ring().current == "k1"
    with pytest.raises(Busy) as refused:
        SecretKeyRing(secrets.secret())()
    assert refused.value.code == "secrets_unavailable"


def test_while_it_is_down_callers_do_not_each_wait_for_it() -> None:
    secrets = Secrets(RING)
    ring = SecretKeyRing(secrets.secret())
    ring()
    secrets.error = ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue")
    secrets.seconds = 300.0
    for _ in range(50):
        assert ring().current == "k1"
    assert secrets.reads == 2
    secrets.error, secrets.value = None, {"current": "k2", "k2": "b" * 40}
    secrets.seconds = 330.0
    assert ring().current == "k2"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"current": "k1"},
        {"current": "k2", "k1": "a" * 40},
        {"current": "k1", "k1": "short"},
        {"current": "k1", "k1": "a" * 40, "k2": "short"},
        {"current": "k1", "k1": "a" * 40, "a key id": "a" * 40},
    ],
    ids=repr,
)
def test_a_ring_that_cannot_sign_is_an_operators_matter(value: object) -> None:
    with pytest.raises(Misconfigured) as raised:
        SecretKeyRing(Secrets(value).secret())()
    assert "aaaa" not in str(raised.value)


@pytest.mark.emulator
def test_the_real_service_answers_the_same(aws: Any, secret_id: str) -> None:
    client = aws("secretsmanager")
    clients = SecretOAuthClients(JsonSecret(client, secret_id))
    with pytest.raises(Misconfigured):
        clients.get("google")
    client.put_secret_value(SecretId=secret_id, SecretString=json.dumps({"google": GOOGLE}))
    assert clients.get("google").client_id == "id-1"
    client.put_secret_value(SecretId=secret_id, SecretBinary=b"\x00")
    with pytest.raises(Misconfigured):
        clients.get("google", fresh=True)
