"""A provider's facts are data: what could not work, or would not be safe, is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.connectors import HERE, NOTEBOARD, noteboard
from valet.connectors import catalog
from valet.connectors.catalog import added, connector_names, load_connector, read_connector
from valet.connectors.models import Userinfo
from valet.connectors.oauth_facts import read_provider
from valet.errors import Misconfigured, UnknownName

PACKAGED = Path(catalog.__file__).parent / "providers"
FILES = sorted([*PACKAGED.glob("*.json"), *(HERE / "providers").glob("*.json")])
GOOD: dict[str, Any] = json.loads((HERE / "providers/noteboard.json").read_text())


def refusal(**changes: Any) -> str:
    with pytest.raises(Misconfigured) as refused:
        read_provider(GOOD | changes)
    return str(refused.value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_provider_that_is_here_can_work(file: Path) -> None:
    provider = read_provider(json.loads(file.read_text()))
    assert provider.name == file.stem
    assert provider.pkce == "S256"


def test_what_may_be_left_out_has_a_meaning() -> None:
    provider = read_provider(GOOD)
    assert (provider.userinfo, provider.token_params, provider.lifetime_seconds) == (None, {}, 3600)


def test_each_missing_key_is_named() -> None:
    with pytest.raises(Misconfigured) as refused:
        read_provider({"name": "acme"})
    for name in GOOD.keys() - {"name"}:
        assert f"'{name}' is missing" in str(refused.value)


def test_an_unknown_key_is_refused_not_ignored() -> None:
    assert "unknown key 'token_uri'" in refusal(token_uri="https://x.example/token")


@pytest.mark.parametrize("name", ["issuer", "authorize_url", "token_url", "revoke_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://id.noteboard.example/auth",
        "https://user@id.noteboard.example/auth",
        "https://id.noteboard.example/auth?tenant=1",
        "https://id.noteboard.example/auth#x",
        "https://id.noteboard.example/auth\n",
        "https://localhost/auth",
        "//id.noteboard.example/auth",
        "id.noteboard.example",
        7,
        None,
    ],
)
def test_an_endpoint_is_an_https_url_and_nothing_more(name: str, url: object) -> None:
    assert f"'{name}' must be an https URL" in refusal(**{name: url})


def test_only_revocation_may_be_without_an_endpoint() -> None:
    assert read_provider(GOOD | {"revoke_url": ""}).revoke_url == ""
    assert "'token_url'" in refusal(token_url="")


@pytest.mark.parametrize("pkce", ["plain", "none", "s256", "", None, False, True])
def test_pkce_without_s256_cannot_be_written_down(pkce: object) -> None:
    assert "'pkce' must be one of S256" in refusal(pkce=pkce)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Note Board"),
        ("name", "../google"),
        ("client_auth", "private_key_jwt"),
        ("client_auth", ["client_secret_post"]),
        ("iss_parameter", True),
        ("id_token", "yes"),
        ("offline", 1),
        ("rotates_refresh_tokens", None),
        ("base_scopes", "openid email"),
        ("base_scopes", ["openid email"]),
        ("base_scopes", [7]),
        ("authorize_params", {"max_age": 0}),
        ("authorize_params", []),
        ("token_params", {"resource": None}),
        ("lifetime_seconds", 0),
        ("lifetime_seconds", True),
        ("lifetime_seconds", "3600"),
        ("userinfo", "https://id.noteboard.example/me"),
        ("userinfo", {"url": "https://id.noteboard.example/me"}),
        ("userinfo", {"url": "http://id.noteboard.example/me", "subject": "sub"}),
        ("userinfo", {"url": "https://id.noteboard.example/me", "subject": ""}),
        ("userinfo", {"url": "https://id.noteboard.example/me", "subject": "sub", "name": "x"}),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(key: str, value: object) -> None:
    assert f"'{key}' must be" in refusal(**{key: value})


@pytest.mark.parametrize(
    "name",
    [
        *("state", "nonce", "code_challenge", "code_challenge_method", "redirect_uri"),
        *("response_type", "response_mode", "scope", "client_id", "request", "request_uri"),
    ],
)
def test_data_cannot_say_again_what_the_flow_says(name: str) -> None:
    assert "'authorize_params' must be" in refusal(authorize_params={name: "plain"})


@pytest.mark.parametrize(
    "name", ["grant_type", "code", "code_verifier", "refresh_token", "client_secret", "client_id"]
)
def test_nor_can_it_at_the_token_endpoint(name: str) -> None:
    assert "'token_params' must be" in refusal(token_params={name: "x"})


def test_facts_that_contradict_each_other_are_refused() -> None:
    userinfo = {"url": "https://id.noteboard.example/me", "subject": "sub"}
    assert "needs 'openid'" in refusal(base_scopes=["offline_access"])
    assert "without 'id_token'" in refusal(userinfo=userinfo)
    assert "needs 'offline'" in refusal(offline=False)
    assert read_provider(GOOD | {"userinfo": userinfo, "id_token": False}).userinfo == Userinfo(
        "https://id.noteboard.example/me", "sub"
    )


def test_a_connector_that_is_added_is_known_while_it_is_and_no_longer() -> None:
    connector = noteboard()
    with added(connector):
        assert load_connector(NOTEBOARD) is connector
        assert NOTEBOARD in connector_names()
        assert connector.tool("noteboard_list_notes").scopes == ("notes.read",)
    assert NOTEBOARD not in connector_names()
    with pytest.raises(UnknownName):
        load_connector(NOTEBOARD)


def test_a_connector_of_the_package_cannot_be_replaced() -> None:
    gmail = load_connector("gmail")
    with pytest.raises(ValueError, match="already"), added(gmail):
        pass
    assert load_connector("gmail") is gmail


def test_a_folder_with_wrong_facts_gives_no_connector(tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    for name in ("connector.json", "tools.json"):
        (tmp_path / "evil" / name).write_text((HERE / NOTEBOARD / name).read_text())
    (tmp_path / "noteboard.json").write_text(json.dumps(GOOD | {"token_url": "http://evil"}))
    with pytest.raises(Misconfigured, match="token_url"):
        read_connector(tmp_path / "evil", tmp_path)
