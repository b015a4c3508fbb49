"""The environment: what is missing is named, and a stand-in is on this machine or nowhere."""

from __future__ import annotations

import pytest

from valet.errors import Misconfigured
from valet.settings import settings


def test_a_missing_variable_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_NAME", raising=False)
    with pytest.raises(Misconfigured, match="TABLE_NAME"):
        settings().require("table_name")


def test_a_variable_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "one")
    assert settings().require("table_name") == "one"
    monkeypatch.setenv("TABLE_NAME", "two")
    assert settings().require("table_name") == "one"


def test_a_providers_url_is_itself_without_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROVIDER_OVERRIDE", raising=False)
    url = "https://oauth2.googleapis.com/token"
    assert settings().provider_url(url) == url


def test_a_stand_in_keeps_host_and_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_OVERRIDE", "http://127.0.0.1:4700")
    reached = settings().provider_url("https://oauth2.googleapis.com/token")
    assert reached == "http://127.0.0.1:4700/oauth2.googleapis.com/token"


@pytest.mark.parametrize(
    "override",
    [
        "https://evil.example",
        "http://evil.example:80",
        "http://127.0.0.1.evil.example:80",
        "http://127.0.0.1:80@evil.example",
        "http://127.0.0.1:4700/path",
        "http://127.0.0.1:4700\n",
        "http://localhost:4700",
        "http://127.0.0.1",
    ],
)
def test_a_stand_in_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    monkeypatch.setenv("PROVIDER_OVERRIDE", override)
    with pytest.raises(Misconfigured):
        settings().provider_url("https://oauth2.googleapis.com/token")
