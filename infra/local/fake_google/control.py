"""The control plane of tests, under `/_test/`: settings, expiry, revocation, log and state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .world import Person, World

if TYPE_CHECKING:
    from starlette.requests import Request

    from .mailbox import Mail

type Command = Callable[[World, dict[str, Any]], Any]


def routes(world: World) -> list[Route]:
    return [
        Route(f"/_test/{name}", _endpoint(world, command), methods=[verb])
        for (verb, name), command in _COMMANDS.items()
    ]


def _endpoint(world: World, command: Command) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        with world.lock:
            try:
                given = json.loads(raw) if raw else {}
                return JSONResponse(command(world, given) or {"ok": True})
            except (ValueError, TypeError, KeyError) as wrong:
                return JSONResponse({"error": str(wrong)}, 400)

    return endpoint


def _config(world: World, given: dict[str, Any]) -> Any:
    world.settings.change(given)
    return world.settings.state()


def _expire(world: World, _: dict[str, Any]) -> None:
    world.grants.expire()


def _revoke_user(world: World, given: dict[str, Any]) -> None:
    """What a person does at myaccount.google.com."""
    world.grants.revoke_user(world.people[given["email"]].email)


def _reset(world: World, _: dict[str, Any]) -> None:
    world.reset()


def _log(world: World, _: dict[str, Any]) -> list[dict[str, Any]]:
    return world.log


def _clear_log(world: World, _: dict[str, Any]) -> None:
    world.log.clear()


def _state(world: World, _: dict[str, Any]) -> dict[str, Any]:
    return {
        "settings": world.settings.state(),
        "today": world.today().isoformat(),
        "people": {person.email: _person(person) for person in world.people.values()},
        "invitations": world.invitations,
        **world.grants.state(),
    }


def _person(person: Person) -> dict[str, Any]:
    mailbox = person.mailbox
    return {
        "messages": [_mail(mail) for mail in mailbox.mails.values()],
        "drafts": dict(mailbox.drafts),
        "labels": dict(mailbox.labels),
        "events": {key: list(each.events.values()) for key, each in person.calendars.items()},
    }


def _mail(mail: Mail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "threadId": mail.thread_id,
        "labelIds": mail.labels,
        **{name: mail.header(name) for name in ("From", "To", "Cc", "Bcc", "Subject")},
        "text": mail.text,
    }


_COMMANDS: dict[tuple[str, str], Command] = {
    ("POST", "config"): _config,
    ("POST", "expire"): _expire,
    ("POST", "revoke_user"): _revoke_user,
    ("POST", "reset"): _reset,
    ("GET", "log"): _log,
    ("DELETE", "log"): _clear_log,
    ("GET", "state"): _state,
}
