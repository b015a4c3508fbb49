"""The connect link and page, and what a started consent asks the provider for."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import pytest

from tests.world import ALICE, CALENDAR, CONFIG, GMAIL, READONLY, URL, World
from valet.connectors.catalog import load_connector
from valet.errors import Conflict, Gone, Misconfigured, NotFound
from valet.models import AccountStatus, ConnectionTools
from valet.native.consent import pkce_verifier

SCOPES = "https://www.googleapis.com/auth/"


def test_looking_at_the_page_writes_nothing_and_spends_nothing() -> None:
    world = World().deployed()
    ticket = world.ticket()
    writes = world.table.writes
    for _ in range(5):
        page = world.consent.page(ticket)
    assert world.table.writes == writes
    assert [choice.connection for choice in page.choices] == [GMAIL, CALENDAR]
    assert page.authorize_origins == ("https://accounts.google.com",)
    assert world.started(ticket).returns().authorization_id


def test_the_page_shows_what_each_connection_still_needs() -> None:
    world = World().deployed()
    world.connected(connection=CALENDAR)
    world.exposing(
        ConnectionTools(GMAIL, ("gmail_fetch_mails",)),
        ConnectionTools(CALENDAR, ("googlecalendar_create_event", "googlecalendar_list_settings")),
    )
    ticket = world.ticket()
    world.started(ticket).returns()
    gmail, calendar = world.consent.page(ticket).choices
    assert (gmail.status, gmail.used, gmail.lacking) == ("PENDING_VERIFICATION", True, ())
    assert (calendar.status, calendar.used) == ("ACTIVE", False)
    assert calendar.lacking == (
        load_connector("googlecalendar").tool("googlecalendar_list_settings").title,
    )


@pytest.mark.parametrize("ticket", ["", "nope", "x" * 5000])
def test_an_unknown_link_reads_as_expired(ticket: str) -> None:
    consent = World().deployed().consent
    for use in (consent.page, lambda text: consent.start(text, GMAIL)):
        with pytest.raises(Gone) as refusal:
            use(ticket)
        assert refusal.value.code == "link_expired"


def test_a_link_works_until_its_time_is_up_though_the_table_still_has_it() -> None:
    world = World().deployed()
    link = world.tickets.issue(ALICE, CONFIG)
    ticket = link.url.removeprefix(f"{URL}/connect/")
    world.now.advance(seconds=599)
    assert world.consent.start(ticket, GMAIL)
    world.now.advance(seconds=1)
    assert world.now() == link.expires_at
    with pytest.raises(Gone):
        world.consent.page(ticket)
    with pytest.raises(Gone):
        world.consent.start(ticket, GMAIL)


def test_a_link_of_a_deleted_config_is_gone() -> None:
    world = World().deployed()
    ticket = world.ticket()
    world.configs.delete(CONFIG, owner="s/Config")
    with pytest.raises(Gone):
        world.consent.page(ticket)
    with pytest.raises(Gone):
        world.consent.start(ticket, GMAIL)


def test_a_link_offers_the_connections_of_its_own_config_only() -> None:
    world = World().deployed()
    world.configs.put("mail", "", [ConnectionTools(GMAIL)], owner="o", replaces=False)
    ticket = world.ticket(config="mail")
    assert [choice.connection for choice in world.consent.page(ticket).choices] == [GMAIL]
    for name in (CALENDAR, "nope", ""):
        with pytest.raises(NotFound):
            world.consent.start(ticket, name)


def test_a_link_is_used_up_per_connection_and_only_by_a_consent_that_came_back() -> None:
    world = World().deployed()
    ticket = world.ticket()
    world.started(ticket)  # given up in the browser
    world.started(ticket).returns()
    with pytest.raises(Conflict) as refusal:
        world.started(ticket)
    assert refusal.value.code == "link_used"
    assert world.started(ticket, CALENDAR).returns().authorization_id


def test_a_refused_consent_does_not_use_the_link_up() -> None:
    world = World().deployed()
    ticket = world.ticket()
    world.started(ticket).returns(code=None, error="access_denied")
    assert world.started(ticket).returns().authorization_id


def test_the_provider_is_asked_for_a_code_with_pkce_and_for_lasting_access() -> None:
    world = World().deployed()
    flow = world.started()
    url = urlsplit(flow.started.authorize_url)
    assert f"{url.scheme}://{url.netloc}{url.path}" == (
        "https://accounts.google.com/o/oauth2/v2/auth"
    )
    secrets = {name: flow.query.pop(name) for name in ("state", "nonce", "code_challenge")}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in secrets.values())
    assert flow.query == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": f"{URL}/oauth/callback/{GMAIL}",
        "scope": f"openid email {READONLY}",
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent select_account",
    }


def test_the_verifier_has_43_characters_fits_the_challenge_and_comes_from_cookie_and_state() -> (
    None
):
    flow = World().deployed().started()
    verifier = pkce_verifier(flow.query["state"], flow.started.cookie_value)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", verifier)
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert flow.query["code_challenge"] == challenge
    assert verifier not in flow.started.authorize_url
    assert flow.started.cookie_value not in flow.started.authorize_url


def test_every_flow_has_its_own_state_nonce_challenge_and_cookie() -> None:
    world = World().deployed()
    ticket = world.ticket()
    flows = [world.started(ticket) for _ in range(50)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({flow.query[name] for flow in flows}) == 50
    assert len({flow.started.cookie_name for flow in flows}) == 50
    assert len({flow.started.cookie_value for flow in flows}) == 50


def test_the_cookie_is_a_host_cookie_that_lives_as_long_as_the_state() -> None:
    started = World().deployed().started().started
    assert re.fullmatch(r"__Host-valet_[0-9a-f]{16}", started.cookie_name)
    assert started.max_age_seconds == 600


def test_the_scopes_asked_for_are_the_least_that_all_configs_need_on_that_connection() -> None:
    world = World().deployed()
    for name, mapping in {
        "send": ConnectionTools(GMAIL, ("gmail_send_message",)),
        "label": ConnectionTools(GMAIL, ("gmail_list_labels",)),  # gmail.readonly is enough
        "calendar": ConnectionTools(CALENDAR),
    }.items():
        world.configs.put(name, "", [mapping], owner="o", replaces=False)
    asked = world.started(connection=GMAIL).query["scope"].split()
    assert asked == ["openid", "email", f"{SCOPES}gmail.readonly", f"{SCOPES}gmail.send"]


def test_a_reconnect_asks_for_what_a_new_tool_needs() -> None:
    world = World().deployed()
    world.connected()
    world.exposing(ConnectionTools(GMAIL, ("gmail_fetch_mails", "gmail_send_message")))
    assert world.connected().scopes >= {READONLY, f"{SCOPES}gmail.send"}


def test_without_an_oauth_client_nothing_is_started() -> None:
    world = World().deployed()
    ticket = world.ticket()
    world.clients.clients.clear()
    writes = world.table.writes
    with pytest.raises(Misconfigured) as refusal:
        world.consent.start(ticket, GMAIL)
    assert refusal.value.code == "oauth_client_missing"
    assert world.table.writes == writes


def test_a_started_consent_leaves_the_account_as_it_is() -> None:
    world = World().deployed()
    world.started()
    assert world.account().status is AccountStatus.PENDING_AUTH
