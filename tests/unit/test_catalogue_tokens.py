"""Catalogue B, what no other test proves: the broker over the real envelope, attacked at rest."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import random
import traceback
from base64 import b64encode, urlsafe_b64encode
from dataclasses import asdict, replace
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.adapters.test_vault_contract import SmallKms, kms_vault
from tests.fakes import FakeProviderHttp, key_ring
from tests.world import ALICE, BOB, CALENDAR, CONFIG, GMAIL, World
from valet.models import ConnectionTools, Secret, TokenSet, UserId, user_key
from valet.native import keys
from valet.native.provider import InvalidGrant
from valet.native.url_keys import UrlKey
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from tests.world import Flow
    from valet.models import UserKey
    from valet.native.provider import TokenGrant
    from valet.native.table import Item

ACCESS, REFRESH, CODE = "ya29.CANARY-access", "1//CANARY-refresh", "4/CANARY-code"
FETCH = "gmail_fetch_mails"


def enveloped() -> World:
    """The broker over the vault that is deployed, before a small KMS."""
    return World(vault=kms_vault(SmallKms())).deployed()  # type: ignore[arg-type]


def granting(world: World, flow: Flow, access: str = ACCESS, refresh: str = REFRESH) -> str:
    """An authorization whose exchange gives these tokens."""
    returned = flow.returns(code=CODE)
    grant = world.grant(flow.query)
    world.provider.default = replace(
        grant, access_token=Secret(access), refresh_token=Secret(refresh)
    )
    assert returned.authorization_id
    return returned.authorization_id


def connect(world: World, user: UserKey = ALICE, connection: str = GMAIL) -> None:
    authorization_id = granting(world, world.started(world.ticket(user), connection))
    world.verification.verify(authorization_id, user)


def at_rest(world: World) -> bytes:
    """All that a copy of the table holds, sealed values included."""
    return repr(world.table.items).encode() + b"".join(
        value
        for item in world.table.items.values()
        for value in item.values()
        if isinstance(value, bytes)
    )


def forms(secret: str) -> list[bytes]:
    data = secret.encode()
    encoded = [b64encode(data), urlsafe_b64encode(data), data.hex().encode()]
    return [data, quote(secret, safe="").encode(), *(form.rstrip(b"=")[:-2] for form in encoded)]


def test_nothing_at_rest_holds_a_code_or_a_token_in_any_form() -> None:
    world = enveloped()
    flow = world.started()
    verifier_of = granting(world, flow)
    parked = at_rest(world)
    world.verification.verify(verifier_of, ALICE)
    connected = at_rest(world)
    world.now.advance(hours=2)
    world.usable()
    refreshed = at_rest(world)
    world.disconnect.disconnect(ALICE, GMAIL)
    for moment in (parked, connected, refreshed, at_rest(world)):
        for secret in (ACCESS, REFRESH, CODE, "client-secret-1", world.url_key()):
            for form in forms(secret):
                assert form not in moment


def test_the_scan_sees_what_it_looks_for() -> None:
    world = enveloped()
    for form in forms(ACCESS):
        world.table.items[keys.endpoint()]["leak"] = b"x" + form + b"y"
        assert any(form in at_rest(world) for form in forms(ACCESS))


def row(world: World, user: UserKey = ALICE, connection: str = GMAIL) -> Item:
    return world.table.items[keys.account(user, connection)]


def from_another_user(world: World) -> bytes:
    connect(world, BOB)
    sealed: bytes = row(world, BOB)["sealed"]
    return sealed


def from_another_connection(world: World) -> bytes:
    connect(world, ALICE, CALENDAR)
    sealed: bytes = row(world, ALICE, CALENDAR)["sealed"]
    return sealed


def from_a_parked_code(world: World) -> bytes:
    authorization_id = granting(world, world.started())
    item = world.table.items[keys.authorization(keys.digest(authorization_id))]
    sealed: bytes = item["sealed"]
    return sealed


def a_half_of_each(world: World) -> bytes:
    mine: bytes = row(world)["sealed"]
    return mine[: len(mine) // 2] + from_another_user(world)[len(mine) // 2 :]


@pytest.mark.parametrize(
    "forged", [from_another_user, from_another_connection, from_a_parked_code, a_half_of_each]
)
def test_a_sealed_value_from_elsewhere_is_never_served_and_ends_no_grant(forged: object) -> None:
    world = enveloped()
    connect(world)
    assert callable(forged)
    row(world)["sealed"] = forged(world)
    world.provider.calls.clear()
    http = FakeProviderHttp()
    for _ in range(3):
        result = world.toolbox(http).call_tool(FETCH, {})
        assert (result.is_error, result.code) == (True, "seal_broken")
    assert http.sent == []
    assert world.provider.calls == [], "no refresh loop"
    assert world.account().status == "ACTIVE", "the user is not asked to consent for our trouble"
    assert [record.outcome for record in world.audited] == ["seal_broken"] * 3


@pytest.mark.parametrize("attribute", ["connector", "provider", "api_base", "token_url"])
def test_an_edited_account_sends_no_token_anywhere_else(attribute: str) -> None:
    world = enveloped()
    connect(world)
    row(world)[attribute] = "https://evil.example"
    http = FakeProviderHttp({"messages": []})
    world.toolbox(http).call_tool(FETCH, {})
    assert [request.host for request in http.sent] == ["gmail.googleapis.com"]


def test_an_edited_connection_gets_no_token_of_its_old_connector() -> None:
    world = enveloped().exposing(ConnectionTools(GMAIL))
    connect(world)
    world.provider.calls.clear()
    world.table.items[keys.connection(GMAIL)]["connector"] = "googlecalendar"
    world.table.items[keys.config(CONFIG)]["mappings"][0]["connector"] = "googlecalendar"
    http = FakeProviderHttp()
    result = world.toolbox(http).call_tool("googlecalendar_list_calendars", {})
    assert (result.is_error, result.code) == (True, "seal_broken")
    assert (http.sent, world.provider.calls) == ([], [])


def test_after_the_provider_ended_a_grant_ten_calls_ask_it_nothing() -> None:
    world = enveloped()
    connect(world)
    world.now.advance(hours=2)
    world.provider.calls.clear()
    world.provider.answers = [InvalidGrant("x")]
    http = FakeProviderHttp()
    results = [world.toolbox(http).call_tool(FETCH, {}) for _ in range(11)]
    assert {result.code for result in results} == {"not_connected"}
    assert len(world.provider.calls) == 1
    assert http.sent == []


def test_a_thousand_calls_of_many_users_in_one_process_each_carry_their_own_token() -> None:
    world = enveloped()
    people = [user_key(UserId(f"user-{n}")) for n in range(25)]
    for n, person in enumerate(people):
        authorization_id = granting(world, world.started(world.ticket(person)), f"at-{n}", f"r-{n}")
        world.verification.verify(authorization_id, person)
    urls = [world.url_key(person) for person in people]
    chosen = random.Random(7).choices(range(25), k=1000)  # noqa: S311  # an order, not a secret
    http = FakeProviderHttp(*[{"messages": []}] * 1000)
    for n in chosen:
        session = world.sessions.open(urls[n])
        assert session
        assert session.user == people[n]
        assert not world.toolbox(http, people[n]).call_tool(FETCH, {}).is_error
    assert http.tokens == [f"at-{n}" for n in chosen]


def test_one_users_revocation_is_seen_at_once_between_anothers_calls() -> None:
    world = enveloped()
    connect(world, ALICE)
    connect(world, BOB)
    http = FakeProviderHttp(*[{"messages": []}] * 3)
    outcomes = [world.toolbox(http, ALICE).call_tool(FETCH, {}).code]
    world.disconnect.disconnect(ALICE, GMAIL)
    outcomes += [world.toolbox(http, user).call_tool(FETCH, {}).code for user in (BOB, ALICE, BOB)]
    assert outcomes[0] == outcomes[1] == outcomes[3]
    assert outcomes[2] == "not_connected"
    assert len(http.sent) == 3


SECRET = Secret("CANARY-token")
TOKENS = TokenSet(SECRET, SECRET, World().now() + timedelta(hours=1))


def test_a_secret_is_not_printed_by_any_form_of_printing() -> None:
    printed = [f"{SECRET}", f"{SECRET!r}", f"{SECRET!s:>40}", f"{TOKENS}", str([SECRET])]
    printed += ["%s %r" % (SECRET, TOKENS), "{0} {0!r}".format(SECRET)]  # noqa: UP031, UP032
    stream = StringIO()
    logger = logging.getLogger("canary")
    logger.addHandler(logging.StreamHandler(stream))
    logger.error("%s", TOKENS)
    try:
        raise ValueError(TOKENS)
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        printed += ["".join(shown.format()), stream.getvalue()]
    assert not any("CANARY" in text for text in printed)


@pytest.mark.parametrize("export", [json.dumps, pickle.dumps, copy.deepcopy, vars, bytes])
def test_a_secret_does_not_leave_by_being_serialised(export: object) -> None:
    assert callable(export)
    with pytest.raises(TypeError):
        export(SECRET)


def test_tokens_do_not_become_a_dictionary_by_accident() -> None:
    with pytest.raises(TypeError):
        asdict(TOKENS)


def test_an_erased_grant_takes_its_data_key_with_it() -> None:
    """B22: the wrapped key is in the value; with the value gone nothing at rest could open it."""
    world = enveloped()
    connect(world)
    sealed: bytes = row(world)["sealed"]
    wrapped = sealed[3 : 3 + int.from_bytes(sealed[1:3])]
    assert wrapped in at_rest(world)
    world.disconnect.disconnect(ALICE, GMAIL)
    assert wrapped not in at_rest(world)
    assert sealed[-16:] not in at_rest(world)


def test_a_key_that_has_left_signs_for_no_url_in_its_grace() -> None:
    world = World(ring=key_ring("k1", "k0")).deployed()
    instance = world.instances.ensure(CONFIG, ALICE)
    old = world.url_key()
    world.instances.rotate(instance.id, ALICE, timedelta(hours=1))
    # What somebody can make who got hold of the ring's other key.
    forged = world.url_keys.derive(UrlKey(instance.id, instance.generation, "k0"))
    assert world.url_keys.parse(forged)
    assert world.sessions.open(forged) is None
    assert world.sessions.open(old)


def test_a_refresh_that_is_under_way_does_not_bring_an_erased_user_back() -> None:
    world = enveloped()
    connect(world)
    world.now.advance(hours=2)
    grant = world.grant({})

    def erased() -> TokenGrant:
        world.erase.erase(ALICE)
        return grant

    world.provider.answers = [erased]
    with pytest.raises(NotConnected):
        world.usable()
    assert keys.account(ALICE, GMAIL) not in world.table.items
