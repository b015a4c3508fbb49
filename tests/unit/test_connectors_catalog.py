"""Connectors are read from data, each when first asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from valet.connectors.catalog import connector_names, load_connector
from valet.errors import UnknownName

FUNCTIONS = Path(__file__).parents[2] / "functions"


def test_both_connectors_are_known_in_a_fixed_order() -> None:
    assert connector_names() == ["gmail", "googlecalendar"]


def test_a_connector_is_read_once() -> None:
    assert load_connector("gmail") is load_connector("gmail")


@pytest.mark.parametrize("name", ["gmial", "", "..", "../connectors/gmail", "providers", "Gmail"])
def test_an_unknown_connector_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        load_connector(name)
    assert caught.value.code == "unknown_connector"


def test_a_mistyped_connector_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gmail'"):
        load_connector("gmial")


def test_the_alias_of_a_tool_leads_to_it() -> None:
    gmail = load_connector("gmail")
    assert gmail.tool("gmail_send_mail") is gmail.tool("gmail_send_message")


@pytest.mark.parametrize("name", ["gmail_send_mial", "googlecalendar_list_events", ""])
def test_an_unknown_tool_is_refused(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        load_connector("gmail").tool(name)
    assert caught.value.code == "unknown_tool"


def test_a_mistyped_tool_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gmail_fetch_mails'"):
        load_connector("gmail").tool("gmail_fetch_mail")


def test_both_connectors_share_the_facts_about_google() -> None:
    gmail, calendar = (load_connector(name).provider for name in connector_names())
    assert gmail == calendar
    assert gmail.name == "google"
    assert gmail.issuer == "https://accounts.google.com"
    assert gmail.pkce == "S256"
    assert gmail.iss_parameter == "required"
    assert gmail.base_scopes == ("openid", "email")
    assert gmail.authorize_params == {
        "access_type": "offline",
        "prompt": "consent select_account",
    }


def test_granted_scopes_of_other_connections_are_not_pulled_in() -> None:
    # With include_granted_scopes, revoking one connection would revoke the others of the project.
    assert "include_granted_scopes" not in load_connector("gmail").provider.authorize_params


def test_loading_one_connector_reads_no_other() -> None:
    program = (
        "import pathlib, sys\n"
        "read = pathlib.Path.read_text\n"
        "seen = []\n"
        "pathlib.Path.read_text = lambda p, *a, **k: (seen.append(str(p)), read(p, *a, **k))[1]\n"
        "from valet.connectors.catalog import load_connector\n"
        "load_connector('gmail')\n"
        "assert any('gmail/tools.json' in p for p in seen), seen\n"
        "assert not any('googlecalendar' in p for p in seen), seen\n"
        "assert 'valet.connectors.gmail.views' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=FUNCTIONS)  # noqa: S603
