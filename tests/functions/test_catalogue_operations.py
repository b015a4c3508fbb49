"""Catalogue E3 and F, what no other test proves: the audit, switches, pins, what is not there."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests import events
from tests.functions.test_routes import CASES, all_routes, event_for
from tests.infra.template_support import FUNCTIONS, ROOT, environment, resources, statements
from tests.world import ALICE, CONFIG, GMAIL
from valet.models import Secret
from valet.native.key_ring import KeyRing

if TYPE_CHECKING:
    import io

    from tests.functions.support import Bundle

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("route", sorted(CASES))
def test_every_request_leaves_who_did_it_for_whom_in_the_log(
    bundle: Bundle, log: io.StringIO, route: str
) -> None:
    function, caller = all_routes()[route]
    event = event_for(bundle, route)
    log.truncate(0)
    log.seek(0)
    who = {"jwt": events.jwt(), "iam": events.iam(), "none": None}[caller]
    bundle.call(function, route, **event, caller=who)
    (answered,) = [line for line in lines(log) if line["message"] == "answered"]
    assert answered["route"] == route
    actor = events.iam()["iam"]["userArn"] if caller == "iam" else None
    subject = ALICE if caller == "jwt" or "{user}" in route else None
    assert (answered.get("actor"), answered.get("user")) == (actor, subject)


def test_a_refused_service_is_in_the_log_by_its_name_and_the_user_by_key(
    bundle: Bundle, log: io.StringIO
) -> None:
    path = {"user": "alice", "id": "ins_" + "0" * 32}
    route = "DELETE /users/{user}/instances/{id}"
    bundle.call("ensure_instance", route, path=path, caller=events.iam())
    (refused,) = [line for line in lines(log) if line["message"] == "refused"]
    assert refused["actor"].startswith("arn:aws:sts::")
    assert refused["user"] == ALICE
    assert refused["code"] == "not_found"


def test_a_direct_call_leaves_its_own_request_and_user_in_the_log(
    bundle: Bundle, log: io.StringIO
) -> None:
    bundle.ensure("bob")
    bundle.invoke("ensure_instance", {"config": CONFIG, "user": "alice"})
    called = lines(log)[-1]
    assert (called["message"], called["route"], called["user"]) == ("answered", "invoke", ALICE)
    assert called["function_request_id"] == events.Context().aws_request_id
    assert "correlation_id" not in called, "that was the request before"


def test_no_function_logs_its_events() -> None:
    for file in sorted((ROOT / "functions").rglob("*.py")):
        assert "log_event" not in file.read_text(encoding="utf-8"), file
    for function in FUNCTIONS:
        assert not {"POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEV"} & set(environment(function))


def test_every_requirement_is_pinned_and_hashed_and_one_alone_reads_jwts() -> None:
    text = (ROOT / "functions" / "requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z])", "\n" + re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    names = set()
    for block in filter(str.strip, blocks):
        match = re.match(r"([a-z0-9._-]+)(\[[a-z,]+\])?==\S+", block.strip())
        assert match, block
        names.add(match[1])
        assert "--hash=sha256:" in block, match[1]
    assert len(names) > 5
    of_oauth = {"authlib", "pyjwt", "python-jose", "jwcrypto", "httpx-oauth", "requests-oauthlib"}
    assert names & (of_oauth | {"joserfc"}) == {"joserfc"}


def test_no_function_is_a_snapshot_that_could_share_its_randomness() -> None:
    assert not re.search(r"SnapStart", (ROOT / "template.yaml").read_text(encoding="utf-8"))


def test_indexes_are_by_user_or_config_hold_keys_alone_and_nobody_scans() -> None:
    table = resources()["Table"]["Properties"]
    by = {}
    for index in table["GlobalSecondaryIndexes"]:
        (key,) = index["KeySchema"]
        by[index["IndexName"]] = (key["AttributeName"], key["KeyType"])
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert by == {"ByUser": ("user", "HASH"), "ByConfig": ("config", "HASH")}
    allowed = {
        function: {
            name
            for statement in statements(function)
            for name in by
            if f"/index/{name}" in json.dumps(statement["Resource"])
        }
        for function in FUNCTIONS
    }
    assert allowed == {
        "create_config": {"ByConfig"},
        "ensure_instance": set(),
        "oauth_callback": {"ByUser"},
        "mcp_server": set(),
    }
    for function in FUNCTIONS:
        for statement in statements(function):
            assert "dynamodb:Scan" not in statement["Action"], function


def test_a_ring_without_keys_is_told_to_the_operator_and_opens_nothing(bundle: Bundle) -> None:
    key = bundle.ensure()["url"].rsplit("/", 1)[1]
    bundle.world.ring = KeyRing("k9", {"k9": Secret("n" * 40)})
    assert bundle.mcp(key, LIST).status == 404
    body = {"config": CONFIG}
    answer = bundle.call("ensure_instance", "POST /instances", body=body, caller=events.jwt())
    assert (answer.status, answer.code) == (503, "misconfigured")


def test_replacing_the_ring_ends_every_url(bundle: Bundle) -> None:
    """The switch for everything; functions read the ring anew every five minutes."""
    urls = [bundle.ensure(name)["url"].rsplit("/", 1)[1] for name in ("alice", "bob")]
    assert [bundle.mcp(key, LIST).status for key in urls] == [200, 200]
    bundle.world.ring = KeyRing("k9", {"k9": Secret("n" * 40)})
    assert [bundle.mcp(key, LIST).status for key in urls] == [404, 404]


def test_taking_an_oauth_client_away_ends_its_consents_and_keeps_others_working(
    bundle: Bundle,
) -> None:
    """The switch for a provider: nothing is asked of it once the secret is read anew."""
    ticket = bundle.ensure()["connect_url"].rsplit("/", 1)[1]
    waiting = bundle.consent().authorization()
    bundle.world.clients.clients.clear()
    assert bundle.start(ticket, GMAIL).code == "oauth_client_missing"
    assert bundle.verify(waiting).code == "oauth_client_missing"
    assert not bundle.world.provider.calls
    assert bundle.mcp(bundle.ensure()["url"].rsplit("/", 1)[1], LIST).status == 200
