"""The fake Google's control plane: settings, expiry, revocation, and what it was asked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import httpx

from tests.e2e import canaries
from tests.e2e.deployed import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE: Final = "alice@example.com"
BOB: Final = "bob@example.com"


class Google:
    def __init__(self) -> None:
        self._http = httpx.Client(base_url=PROVIDER, timeout=30, trust_env=False)

    @contextmanager
    def setting(self, **settings: Any) -> Iterator[None]:
        """Settings for a while; then they are as they were."""
        before = self.state()["settings"]
        self._post("config", settings)
        try:
            yield
        finally:
            self._post("config", {name: before[name] for name in settings})

    def expire(self) -> None:
        """End every access token."""
        self.note()
        self._post("expire", {})

    def revoke_user(self, email: str) -> None:
        """What a person does in the security settings of their account."""
        self.note()
        self._post("revoke_user", {"email": email})

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get("/_test/state").raise_for_status().json()
        return found

    def log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.get("/_test/log").raise_for_status().json()
        return found

    def refresh_tokens(self) -> set[str]:
        return {token["value"] for token in self.state()["refresh_tokens"]}

    def token_requests(self, **form: str) -> list[dict[str, Any]]:
        """What came to the token endpoint with these fields."""
        return [
            row
            for row in self.log()
            if row["host"] == "oauth2.googleapis.com" and row["path"] == "/token"
            if {name: [value] for name, value in form.items()}.items()
            <= parse_qs(row["body"]).items()
        ]

    def sent(self, email: str, subject: str) -> list[dict[str, Any]]:
        """A person's sent mails of a subject."""
        mails = self.state()["people"][email]["messages"]
        return [m for m in mails if m["Subject"] == subject and "SENT" in m["labelIds"]]

    def note(self) -> None:
        """Add to the canaries what only Google knows."""
        state = self.state()
        for kind in ("codes", "access_tokens", "refresh_tokens"):
            canaries.remember(kind, *(entry["value"] for entry in state[kind]))
        for person in state["people"].values():
            for mail in person["messages"]:
                canaries.remember("mail", mail["Subject"] or "", *_long_lines(mail["text"] or ""))

    def note_log(self) -> None:
        """Add what was sent to Google: codes, verifiers, refresh and access tokens, the client."""
        for row in self.log():
            form = parse_qs(row["body"]) if row["path"] in ("/token", "/revoke") else {}
            for name in ("code", "code_verifier", "refresh_token", "token", "client_secret"):
                canaries.remember(name, *form.get(name, ()))
            canaries.remember(
                "bearer",
                *(
                    value.removeprefix("Bearer ")
                    for name, value in row["headers"]
                    if name == "authorization"
                ),
            )

    def close(self) -> None:
        self._http.close()

    def _post(self, command: str, given: dict[str, Any]) -> None:
        self._http.post(f"/_test/{command}", json=given).raise_for_status()


def _long_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if len(line.strip()) >= 24]
