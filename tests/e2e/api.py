"""Calls of the deployed API as its callers make them: with a token, signed, or with nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from infra.local.deployment import REGION
from tests.e2e import answers, canaries
from tests.e2e.deployed import ROOT_USER, Credentials


class Api:
    """One client for everybody; it notes each secret that an answer brings."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self.http = httpx.Client(
            timeout=60,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
            event_hooks={"response": [self._record]},
        )

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        signed: Credentials | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """`path` is sent as it is, percent-encoding included."""
        sent = {"accept": "application/json", **(headers or {})}
        data = json.dumps(body).encode() if body is not None else content
        if data is not None:
            sent.setdefault("content-type", "application/json")
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if signed:
            sent |= self._signature(method, path, data, sent, signed)
        answer = self.http.request(method, self.url + path, content=data, headers=sent)
        _remember(answer)
        return answer

    def as_service(
        self, method: str, path: str, body: object = None, **more: Any
    ) -> httpx.Response:
        return self.send(method, path, body, signed=ROOT_USER, **more)

    def _record(self, answer: httpx.Response) -> None:
        url = str(answer.request.url)
        if url.startswith(self.url):  # and not Google, which may well tell a code
            body, headers = answer.read(), answer.headers.multi_items()
            answers.record("answer to", answer.request.method, url, headers, body)

    def _signature(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
        who: Credentials,
    ) -> dict[str, str]:
        request = AWSRequest(method, self.url + path, data=data, headers=headers)
        credentials = BotoCredentials(who.key, who.secret, who.token)
        SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
        return dict(request.headers.items())


def _remember(answer: httpx.Response) -> None:
    canaries.remember_url(str(answer.request.url))
    canaries.remember_url(answer.headers.get("location", ""))
    for cookie in answer.headers.get_list("set-cookie"):
        canaries.remember("cookie", cookie.partition(";")[0].partition("=")[2])
    if "json" in answer.headers.get("content-type", "") and answer.content:
        canaries.remember_json(answer.json())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which is a whole problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    said = answer.json()
    assert said["status"] == answer.status_code
    assert said["title"]
    assert said["detail"]
    return answer.status_code, said["code"]
