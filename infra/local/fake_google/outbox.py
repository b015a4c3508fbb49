"""What happens to mail that is submitted: checks, rewritten headers, threads, delivery."""

from __future__ import annotations

import base64
import hashlib
from email.headerregistry import Address
from email.utils import format_datetime
from typing import TYPE_CHECKING

from . import mime
from .errors import bad_request, not_found

if TYPE_CHECKING:
    from email.message import EmailMessage

    from .call import Call
    from .mailbox import Mail
    from .world import World


def submit(call: Call, raw: bytes, thread_id: str | None) -> Mail:
    """Sends mail: a SENT message here, an INBOX message with each recipient who is in the seed."""
    message = mime.parse(raw)
    recipients = _recipients(message)
    check_thread(call, thread_id)
    _rewrite(call, message)
    mailbox, at = call.person.mailbox, call.world.tick()
    labels = ["SENT"]
    if call.person.email in recipients:
        labels += ["INBOX", "UNREAD"]
    sent = mailbox.add(call.world.next_id(), mime.serialise(message), labels, at)
    del message["Bcc"]
    for person in call.world.people.values():
        if person.email in recipients and person is not call.person:
            copy = mime.serialise(message)
            person.mailbox.add(call.world.next_id(), copy, ["UNREAD", "INBOX"], at)
    return sent


def save(call: Call, raw: bytes, thread_id: str | None) -> Mail:
    """Keeps a draft's message; drafts may lack recipients."""
    check_thread(call, thread_id)
    message = mime.parse(raw)
    _rewrite(call, message)
    mailbox = call.person.mailbox
    return mailbox.add(call.world.next_id(), mime.serialise(message), ["DRAFT"], call.world.tick())


def check_thread(call: Call, thread_id: str | None) -> None:
    """A thread that is named must exist. Naming it is not enough to join it: the headers decide."""
    if thread_id and not call.person.mailbox.thread(thread_id):
        raise not_found()


def _recipients(message: EmailMessage) -> set[str]:
    for name in ("To", "Cc", "Bcc"):
        for address in mime.addresses(message, name):
            local, _, domain = address.partition("@")
            if not local or "." not in domain or "@" in domain or " " in address:
                raise bad_request(f"Invalid {name} header")
    recipients = set(mime.addresses(message, "To", "Cc", "Bcc"))
    if not recipients:
        raise bad_request("Recipient address required")
    return recipients


def _rewrite(call: Call, message: EmailMessage) -> None:
    """Gmail sets the sender and the Message-ID; what the client wrote there is gone."""
    person = call.person
    del message["From"], message["Message-ID"]
    message["From"] = Address(person.name, addr_spec=person.email)
    message["Message-ID"] = _message_id(call.world)
    if "Date" not in message:
        message["Date"] = format_datetime(call.world.today())
    if "MIME-Version" not in message:
        message["MIME-Version"] = "1.0"


def _message_id(world: World) -> str:
    digest = hashlib.sha256(world.next_id().encode()).digest()[:24]
    return f"<CA{base64.b32encode(digest).decode().rstrip('=')}@mail.gmail.com>"
