"""Calling a Scalekit environment: one token for all, and repeats only where they are safe.

The token comes by client credentials and is kept until shortly before it ends; who waits for one
waits for the same fetch. A 401 may mean that it was taken back: it is fetched anew, once. A 429 was
not carried out, so that it is repeated when it says, if the time allows; a failure without a
verdict is repeated only for what is the same twice as once. A tool's failure at its provider has
the provider's status, 401 and 429 among them: that is a verdict, and not about our token.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from valet.scalekit.errors import (
    ScalekitAnswer,
    ScalekitBusy,
    ScalekitCredentials,
    ScalekitRefused,
    ScalekitUnavailable,
    error_code,
)
from valet.scalekit.transport import Answer, Call, NoAnswer, Transport

if TYPE_CHECKING:
    from valet.errors import ValetError
    from valet.scalekit.credentials import CredentialsSecret

BUDGET_SECONDS = 12.0  # for one call with its repeats: a function has 20
ATTEMPT_SECONDS = 8.0
TOOL_FAILED = "TOOL_ERROR"  # Scalekit's code for what a tool's provider refused, or failed at
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.3  # doubled each time
_EARLY_SECONDS = 60.0  # how long before its end a token is not used any more
_MAX_PAGES = 40

_SIGNING_IN = "signing in"

type Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


@dataclass(slots=True)
class Client:
    transport: Transport
    credentials: CredentialsSecret
    elapsed: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _kept: _Token | None = field(default=None, init=False, repr=False)

    def call(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: Json | None = None,
        repeatable: bool = False,
        seconds: float = ATTEMPT_SECONDS,
    ) -> Json:
        """The answer's JSON object; `doing` says in errors what was asked for, `seconds` is how
        long one attempt may take.

        Raises:
            ScalekitRefused: it said no; with the status and its code.
            ScalekitUnavailable, ScalekitBusy, ScalekitCredentials, ScalekitAnswer.
        """
        deadline = self.elapsed() + max(BUDGET_SECONDS, seconds)
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        sent = None if body is None else json.dumps(body).encode()
        refused: str | None = None
        problem: ValetError = ScalekitCredentials()
        wait = 0.0
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._wait(wait, deadline, problem)
            token = self._token(deadline, refused)
            answer = self._try(method, target, token, sent, self._left(deadline, seconds))
            wait = _PAUSE_SECONDS * 2**attempt
            match answer:
                case None:
                    problem = ScalekitUnavailable(sent=True)
                    if not repeatable:
                        raise problem
                case Answer(status=429) if not _tool_failed(answer):
                    problem, wait = ScalekitBusy(), _seconds(answer.retry_after, wait)
                case Answer(status=401) if refused is None and not _tool_failed(answer):
                    refused, wait = token, 0.0
                case Answer(status=401) if not _tool_failed(answer):
                    raise ScalekitCredentials
                case _:
                    return self._read(doing, answer)
        raise problem

    def pages(
        self, doing: str, path: str, key: str, query: Mapping[str, str | list[str]]
    ) -> Iterator[Json]:
        """The objects under `key` of all pages; a page that says no more of itself is the last."""
        token = ""
        for _ in range(_MAX_PAGES):
            more = {"page_token": token} if token else {}
            page = self.call(doing, "GET", path, query={**query, **more}, repeatable=True)
            # Protobuf's JSON leaves out what is empty.
            yield from objects(doing, page, key)
            before, token = token, str(page.get("next_page_token") or "")
            if not token or token == before:
                return
        raise ScalekitAnswer(doing, "an end of its pages")

    def _try(
        self, method: str, target: str, token: str, body: bytes | None, seconds: float
    ) -> Answer | None:
        """An answer with a verdict, or None."""
        url = f"{self.credentials.get().env_url}{target}"
        headers = {"authorization": f"Bearer {token}"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            answer = self.transport.send(Call(method, url, headers, body), seconds)
        except NoAnswer:
            return None
        verdict = answer.status < 500 or answer.status == 501 or _tool_failed(answer)
        return answer if verdict else None

    def _token(self, deadline: float, refused: str | None) -> str:
        with self._lock:
            kept = self._kept
            if kept is None or kept.value == refused or self.elapsed() >= kept.until:
                kept = self._kept = self._fetch(deadline)
            return kept.value

    def _fetch(self, deadline: float) -> _Token:
        answer = self._ask_for_token(deadline, fresh=False)
        if answer.status in (400, 401, 403):  # perhaps the secret was replaced just now
            answer = self._ask_for_token(deadline, fresh=True)
        if answer.status in (400, 401, 403):
            raise ScalekitCredentials
        if answer.status == 429:
            raise ScalekitBusy
        said = self._read(_SIGNING_IN, answer)
        value = text(_SIGNING_IN, said, "access_token")
        lasts = said.get("expires_in")
        if not isinstance(lasts, int) or lasts <= 0:
            raise ScalekitAnswer(_SIGNING_IN, "expires_in")
        return _Token(value, self.elapsed() + max(lasts - _EARLY_SECONDS, lasts / 2))

    def _ask_for_token(self, deadline: float, *, fresh: bool) -> Answer:
        ours = self.credentials.get(fresh=fresh)
        form = {
            "grant_type": "client_credentials",
            "client_id": ours.client_id,
            "client_secret": ours.client_secret.reveal(),
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        call = Call("POST", f"{ours.env_url}/oauth/token", headers, urlencode(form).encode())
        try:
            answer = self.transport.send(call, self._left(deadline))
        except NoAnswer:
            raise ScalekitUnavailable from None
        if answer.status >= 500:
            raise ScalekitUnavailable
        return answer

    def _left(self, deadline: float, most: float = ATTEMPT_SECONDS) -> float:
        left = min(most, deadline - self.elapsed())
        if left <= 0:
            raise ScalekitUnavailable
        return left

    def _wait(self, seconds: float, deadline: float, otherwise: ValetError) -> None:
        if self.elapsed() + seconds >= deadline:
            raise otherwise
        self.pause(seconds)

    @staticmethod
    def _read(doing: str, answer: Answer) -> Json:
        if not 200 <= answer.status < 300:
            raise ScalekitRefused(doing, answer.status, error_code(answer.body))
        try:
            said = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise ScalekitAnswer(doing, "a JSON object")
        return said


def _tool_failed(answer: Answer) -> bool:
    """Repeating such a call could send twice."""
    return error_code(answer.body) == TOOL_FAILED


def _seconds(retry_after: str | None, otherwise: float) -> float:
    """RFC 9110 §10.2.3 also has a date there: then, and without one, our own pause."""
    given = retry_after.strip() if retry_after else ""
    return float(given) if given.isascii() and given.isdigit() else otherwise


def text(doing: str, said: Json, *path: str) -> str:
    """A string that an answer must have. Raises ScalekitAnswer."""
    value: Any = said
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise ScalekitAnswer(doing, ".".join(path))
    return value


def objects(doing: str, said: Json, key: str) -> list[Json]:
    """A list of objects, which is left out where it is empty. Raises ScalekitAnswer."""
    found = said.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ScalekitAnswer(doing, key)
    return found
