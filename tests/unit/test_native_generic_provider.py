"""The broker with providers that are not Google: what differs is data, what must hold holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.connectors import NOTEBOARD, noteboard
from tests.fakes import FakeTokenEndpoint
from tests.world import ALICE, BOB, CONFIG, Flow, World
from valet.connectors.catalog import added
from valet.connectors.models import Userinfo
from valet.errors import Conflict, ProviderFailure, ValetError
from valet.models import AccountStatus, ConnectionTools, Secret, TokenSet
from valet.native import keys
from valet.native.authorizations import WrongUser
from valet.native.clock import epoch
from valet.native.provider import OAuthClient, ProviderUnavailable, TokenGrant
from valet.native.readiness import missing_scopes
from valet.native.table import Update
from valet.native.verification import DifferentAccount
from valet.tools.results import NotConnected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valet.connectors.models import OAuthProvider
    from valet.models import Account

NOTES = "MY_NOTES"
ISSUER = "https://id.noteboard.example"
ASKED = {"openid", "offline_access", "email", "notes.read"}
NAMED = Userinfo("https://api.noteboard.example/me", "id", "mail")
BY_USERINFO = {"id_token": False, "userinfo": NAMED}
ANONYMOUS = {"id_token": False, "base_scopes": ("offline_access",)}
PROVIDERS: dict[str, dict[str, Any]] = {
    "id_token": {},
    "userinfo": BY_USERINFO,
    "anonymous": ANONYMOUS,
    "public client": {"client_auth": "none"},
    "no iss": {"iss_parameter": "optional"},
    "no rotation": {"rotates_refresh_tokens": False, "client_auth": "client_secret_post"},
}


@dataclass
class Notes:
    """A world with a connection to the generic provider."""

    world: World

    def started(self) -> Flow:
        flow = self.world.started(connection=NOTES)
        self.answers(flow)
        return flow

    def answers(self, flow: Flow, *, who: str = "n-1", **changes: Any) -> None:
        """What the provider answers for the consent, for this account of its."""
        token = changes.get("access_token", Secret("at-1")).reveal()
        self.world.provider.users[token] = {"id": who, "mail": f"{who}@noteboard.example"}
        claims = {
            "iss": ISSUER,
            "aud": flow.query["client_id"],
            "exp": epoch(self.world.now()) + 600,
            "nonce": flow.query.get("nonce"),
            "sub": who,
            "email": f"{who}@noteboard.example",
        }
        self.world.provider.default = self.world.grant(flow.query, **{"claims": claims} | changes)

    def returned(self, flow: Flow) -> str:
        returned = flow.returns(iss=ISSUER)
        assert returned.authorization_id
        return returned.authorization_id

    def connected(self, *, replace_account: bool = False, **changes: Any) -> Account:
        flow = self.started()
        self.answers(flow, **changes)
        account = self.world.verification.verify(
            self.returned(flow), ALICE, replace_account=replace_account
        )
        self.world.provider.calls.clear()
        return account

    @property
    def account(self) -> Account:
        return self.world.account(connection=NOTES)


def opened() -> Notes:
    world = World()
    world.clients.clients[NOTEBOARD] = OAuthClient("client-n", Secret("secret-n"))
    world.deployed()
    world.configs.put_connection(NOTES, NOTEBOARD, None, owner="s/Notes", replaces=False)
    world.exposing(ConnectionTools(NOTES, ("noteboard_list_notes",)))
    return Notes(world)


@pytest.fixture(params=PROVIDERS)
def notes(request: pytest.FixtureRequest) -> Iterator[Notes]:
    """Every kind of provider."""
    with added(noteboard(**PROVIDERS[request.param])):
        yield opened()


@pytest.fixture
def of_kind(request: pytest.FixtureRequest) -> Iterator[Notes]:
    """One kind, by `@kind(…)`."""
    with added(noteboard(**request.param)):
        yield opened()


def kind(**facts: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("of_kind", [facts], indirect=True, ids=[""])


def test_the_user_that_the_link_was_made_for_becomes_connected(notes: Notes) -> None:
    flow = notes.started()
    account = notes.world.verification.verify(notes.returned(flow), ALICE)
    assert account == notes.account
    assert account.status is AccountStatus.ACTIVE
    tokens, _ = notes.world.usable(account)
    assert (tokens.access_token, tokens.refresh_token) == (Secret("at-1"), Secret("rt-1"))


def test_consent_asks_with_s256_for_what_the_tools_need_and_no_more(notes: Notes) -> None:
    flow = notes.started()
    assert flow.started.authorize_url.startswith(f"{ISSUER}/auth?")
    assert flow.query["code_challenge_method"] == "S256"
    assert flow.query["client_id"] == "client-n"
    assert flow.query["prompt"] == "consent"
    assert set(flow.query["scope"].split()) - {"openid", "email"} == ASKED - {"openid", "email"}
    assert flow.query["redirect_uri"].endswith(f"/oauth/callback/{NOTES}")


def test_a_forwarded_link_connects_nobody_and_asks_the_provider_nothing(notes: Notes) -> None:
    authorization_id = notes.returned(notes.started())
    with pytest.raises(WrongUser):
        notes.world.verification.verify(authorization_id, BOB)
    with pytest.raises(Conflict):
        notes.world.verification.verify(authorization_id, ALICE)
    assert notes.world.provider.calls == []
    assert notes.account.status is AccountStatus.PENDING_AUTH


def test_an_answer_is_taken_once_and_from_this_issuer_browser_and_connection(notes: Notes) -> None:
    for changes in ({"iss": "https://accounts.google.com"}, {"iss": ""}, {"iss": f"{ISSUER}/"}):
        with pytest.raises(ValetError):
            notes.started().returns(**changes)
    flow = notes.started()
    with pytest.raises(ValetError):
        notes.world.callbacks.receive(NOTES, flow.answer(iss=ISSUER), {})
    with pytest.raises(ValetError):
        notes.world.callbacks.receive("MY_GMAIL", flow.answer(iss=ISSUER), flow.cookies)
    notes.returned(flow)
    with pytest.raises(Conflict):
        flow.returns(iss=ISSUER)
    assert notes.world.provider.calls == []


def test_a_denial_is_told_as_one(notes: Notes) -> None:
    returned = notes.started().returns(iss=ISSUER, code=None, error="access_denied")
    assert (returned.authorization_id, returned.error) == (None, "user_denied")


def test_a_new_refresh_token_is_stored_in_the_write_that_stores_the_access_token(
    notes: Notes,
) -> None:
    notes.connected()
    notes.world.provider.default = TokenGrant(Secret("at-2"), Secret("rt-2"), 3600, None)
    notes.world.now.advance(hours=1)
    tokens, account = notes.world.usable(notes.account)
    assert (tokens.access_token, tokens.refresh_token) == (Secret("at-2"), Secret("rt-2"))
    assert notes.world.grants.open(notes.account) == tokens
    assert account.version == notes.account.version == 2
    assert account.scopes >= {"notes.read"}, "an answer without scopes grants what it did before"


@kind(iss_parameter="required")
def test_where_the_issuer_names_itself_an_answer_without_a_name_is_refused(of_kind: Notes) -> None:
    with pytest.raises(ValetError):
        of_kind.started().returns(iss=None)


@kind(iss_parameter="optional")
def test_where_it_does_not_an_answer_without_a_name_is_taken(of_kind: Notes) -> None:
    assert of_kind.started().returns(iss=None).authorization_id


@kind(**BY_USERINFO)
def test_without_an_id_token_the_userinfo_says_whose_grant_it_is(of_kind: Notes) -> None:
    of_kind.connected()
    tokens = of_kind.world.grants.open(of_kind.account)
    assert (tokens.subject, tokens.email) == ("n-1", "n-1@noteboard.example")


@kind(**BY_USERINFO)
def test_a_number_is_a_subject_too(of_kind: Notes) -> None:
    flow = of_kind.started()
    of_kind.world.provider.users["at-1"] = {"id": 583231}
    of_kind.world.verification.verify(of_kind.returned(flow), ALICE)
    assert of_kind.world.grants.open(of_kind.account).subject == "583231"


@kind(**BY_USERINFO)
@pytest.mark.parametrize("answer", [{}, {"id": ""}, {"id": None}, {"id": True}, {"sub": "n-1"}])
def test_a_userinfo_that_names_nobody_connects_nobody(
    of_kind: Notes, answer: dict[str, object]
) -> None:
    flow = of_kind.started()
    of_kind.world.provider.users["at-1"] = answer
    with pytest.raises(ProviderFailure) as refusal:
        of_kind.world.verification.verify(of_kind.returned(flow), ALICE)
    assert refusal.value.code == "identity_unknown"
    assert of_kind.account.status is AccountStatus.PENDING_AUTH


@pytest.mark.parametrize("of_kind", [{}, BY_USERINFO], indirect=True, ids=["id_token", "userinfo"])
def test_where_the_account_is_known_another_one_waits_for_the_users_word(of_kind: Notes) -> None:
    of_kind.connected()
    with pytest.raises(DifferentAccount):
        of_kind.connected(who="n-2", access_token=Secret("at-9"))
    assert of_kind.connected(who="n-2", replace_account=True).version == 2


@kind(**ANONYMOUS)
def test_where_nobody_says_whose_account_it_is_a_reconnect_replaces_it_unasked(
    of_kind: Notes,
) -> None:
    of_kind.connected()
    account = of_kind.connected(access_token=Secret("at-9"), refresh_token=Secret("rt-9"))
    tokens = of_kind.world.grants.open(account)
    assert (tokens.subject, tokens.access_token) == (None, Secret("at-9"))


@kind(**ANONYMOUS)
def test_and_never_inherits_the_refresh_token_of_perhaps_somebody_else(of_kind: Notes) -> None:
    of_kind.connected()
    with pytest.raises(ProviderFailure) as refusal:
        of_kind.connected(access_token=Secret("at-9"), refresh_token=None)
    assert refusal.value.code == "no_offline_access"


@kind(**ANONYMOUS)
def test_an_id_token_that_was_not_asked_for_is_not_believed(of_kind: Notes) -> None:
    of_kind.connected(claims={"iss": "https://evil.example", "sub": "n-666"})
    assert of_kind.world.grants.open(of_kind.account).subject is None


@kind(offline=False, rotates_refresh_tokens=False)
def test_a_provider_without_lasting_access_is_asked_again_when_its_token_ends(
    of_kind: Notes,
) -> None:
    account = of_kind.connected(refresh_token=None)
    assert of_kind.world.usable(account)[0].refresh_token is None
    of_kind.world.now.advance(hours=1)
    with pytest.raises(NotConnected):
        of_kind.world.usable(of_kind.account)
    assert of_kind.account.status is AccountStatus.EXPIRED
    assert of_kind.world.provider.calls == []


@kind()
def test_an_omitted_scope_is_as_asked_and_fewer_are_as_granted(of_kind: Notes) -> None:
    assert of_kind.connected(scopes=None).scopes == ASKED
    config = of_kind.world.configs.get(CONFIG)
    assert missing_scopes([config], of_kind.account) == []
    of_kind.connected(scopes=frozenset({"openid", "offline_access"}))
    assert missing_scopes([config], of_kind.account) == ["notes.read"]


class Down(FakeTokenEndpoint):
    """Grants, and then does not say to whom."""

    def userinfo(self, provider: OAuthProvider, *, token: Secret) -> Mapping[str, Any]:
        del provider, token
        raise ProviderUnavailable("503")


@kind(**BY_USERINFO)
def test_a_userinfo_that_cannot_be_reached_connects_nobody(of_kind: Notes) -> None:
    flow = of_kind.started()
    down = Down(default=of_kind.world.provider.default)
    verification = replace(
        of_kind.world.verification,
        exchange=replace(of_kind.world.verification.exchange, token_endpoint=down),
    )
    with pytest.raises(ProviderUnavailable):
        verification.verify(of_kind.returned(flow), ALICE)
    assert of_kind.account.status is AccountStatus.PENDING_AUTH


def test_a_grant_is_revoked_by_itself_where_a_revocation_takes_nothing_else(notes: Notes) -> None:
    notes.world.configs.put_connection("OTHER", NOTEBOARD, None, owner="s/Other", replaces=False)
    for connection in (NOTES, "OTHER"):
        known = notes.world.configs.connections()[connection]
        flow = notes.started()
        done = keys.authorization(keys.digest(notes.returned(flow)))
        notes.world.grants.connect(
            ALICE,
            known,
            TokenSet(Secret("at"), Secret(f"rt-{connection}"), notes.world.now()),
            frozenset(ASKED),
            Update(done, set={"status": "DONE"}),
        )
    assert notes.world.disconnect.disconnect(ALICE, NOTES).revoked
    assert notes.world.account(connection="OTHER").status is AccountStatus.ACTIVE
    assert notes.world.provider.calls[-1]["token"] == f"rt-{NOTES}"
