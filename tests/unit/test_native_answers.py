"""What a provider's answer may look like: one issuer, and a code or an error, once each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world import GMAIL, GOOGLE, World
from valet.connectors.catalog import load_connector
from valet.native.authorizations import Returned
from valet.native.callbacks import _issuer_holds


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        "",
        f"{GOOGLE}/",
        GOOGLE.upper(),
        "https://Accounts.google.com",
        f"{GOOGLE}:443",
        "accounts.google.com",
        "https://accounts.google.com.evil.example",
        [GOOGLE, GOOGLE],
        [GOOGLE, "https://evil.example"],
    ],
)
def test_an_answer_without_the_exact_issuer_is_refused(issuer: str | list[str] | None) -> None:
    flow = World().deployed().started()
    assert flow.refused(flow.answer(iss=issuer)).code == "state_invalid"


def test_an_answer_of_a_wrong_issuer_ends_the_consent_and_its_error_is_not_acted_on() -> None:
    flow = World().deployed().started()
    wrong = flow.answer(iss="https://evil.example", code=None, error="access_denied")
    assert flow.refused(wrong).code == "state_invalid"
    assert flow.refused(flow.answer()).code == "authorization_used"


@pytest.mark.parametrize(
    ("parameter", "issuer", "present", "holds"),
    [
        ("required", GOOGLE, True, True),
        ("required", None, False, False),
        ("optional", GOOGLE, True, True),
        ("optional", None, False, True),
        ("optional", f"{GOOGLE}/", True, False),
        ("optional", None, True, False),
    ],
)
def test_a_provider_that_may_leave_the_issuer_out_may_not_send_a_wrong_one(
    parameter: str, issuer: str | None, *, present: bool, holds: bool
) -> None:
    google = load_connector("gmail").provider
    provider = replace(google, iss_parameter=parameter)  # type: ignore[arg-type]
    assert _issuer_holds(provider, issuer, present=present) is holds


@pytest.mark.parametrize(
    "changes",
    [
        {"error": "access_denied"},
        {"code": None},
        {"code": ""},
        {"code": ["a", "b"]},
        {"code": ["code-1", "code-1"]},
        {"code": "c" * 4097},
        {"code": "c" * 8192},
        {"code": None, "error": ["access_denied", "x"]},
        {"code": None, "error": ""},
    ],
)
def test_a_malformed_answer_is_refused(changes: dict[str, str | list[str] | None]) -> None:
    flow = World().deployed().started()
    assert flow.refused(flow.answer(**changes)).code == "state_invalid"


def test_an_answer_with_both_code_and_error_ends_the_consent() -> None:
    flow = World().deployed().started()
    flow.refused(flow.answer(error="access_denied"))
    assert flow.refused(flow.answer()).code == "authorization_used"


def test_what_a_provider_adds_to_its_answer_is_ignored() -> None:
    flow = World().deployed().started()
    extra = {"scope": ["email"], "authuser": ["0", "1"], "prompt": ["consent"], "hd": ["x.example"]}
    answer = flow.answer(code="c" * 4096) | extra
    assert flow.world.callbacks.receive(GMAIL, answer, flow.cookies).authorization_id


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", "user_denied"),
        ("ACCESS_DENIED", "provider_error"),
        ("server_error", "provider_error"),
        ("<script>alert(1)</script>", "provider_error"),
        ("x\r\nSet-Cookie: a=b", "provider_error"),
        ("e" * 100_000, "provider_error"),
    ],
)
def test_a_refusal_by_the_provider_becomes_one_of_two_words(error: str, reason: str) -> None:
    flow = World().deployed().started()
    returned = flow.returns(code=None, error=error, error_description="<b>", error_uri="http://x")
    assert returned == Returned(GMAIL, flow.started.cookie_name, error=reason)
    assert flow.refused(flow.answer()).code == "authorization_used"
