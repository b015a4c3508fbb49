"""The control plane of tests, under `/_test/`: settings, expiry, revocation, log and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.local import control_plane

if TYPE_CHECKING:
    from starlette.routing import Route

    from .mailbox import Mail
    from .world import Person, World


def routes(world: World) -> list[Route]:
    return control_plane.routes(world, _COMMANDS)


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


_COMMANDS: dict[tuple[str, str], control_plane.Command[World]] = {
    ("POST", "config"): _config,
    ("POST", "expire"): _expire,
    ("POST", "revoke_user"): _revoke_user,
    ("POST", "reset"): _reset,
    ("GET", "log"): _log,
    ("DELETE", "log"): _clear_log,
    ("GET", "state"): _state,
}
