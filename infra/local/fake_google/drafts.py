"""Gmail drafts. Sending one deletes it, which is how a client learns after a lost answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import mime
from .call import Call, Json, handles, page
from .errors import bad_request, not_found
from .gmail import labelled, matching, reference, resource
from .outbox import save, submit

if TYPE_CHECKING:
    from .mailbox import Mail

_AT = "gmail.users.drafts."


@handles(_AT + "list")
def list_drafts(call: Call) -> Json:
    by_mail = {mail: draft for draft, mail in call.person.mailbox.drafts.items()}
    found = [mail for mail in matching(call) if mail.id in by_mail]
    mails, more = page(call, found, 100, 500)
    drafts = [{"id": by_mail[mail.id], "message": reference(mail)} for mail in mails]
    out: Json = {"resultSizeEstimate": len(found), **more}
    return out | ({"drafts": drafts} if drafts else {})


@handles(_AT + "get")
def get_draft(call: Call) -> Json:
    return {"id": call.params["id"], "message": resource(call, _find(call, call.params["id"]))}


@handles(_AT + "create")
def create_draft(call: Call) -> Json:
    mail = save(call, *_content(call))
    draft = f"r{int(mail.id, 16)}"
    call.person.mailbox.drafts[draft] = mail.id
    return {"id": draft, "message": labelled(mail)}


@handles(_AT + "update")
def update_draft(call: Call) -> Json:
    draft = call.params["id"]
    old = _find(call, draft)
    mail = save(call, *_content(call))
    call.person.mailbox.remove(old.id)
    call.person.mailbox.drafts[draft] = mail.id
    return {"id": draft, "message": labelled(mail)}


@handles(_AT + "delete")
def delete_draft(call: Call) -> None:
    call.person.mailbox.remove(_find(call, call.params["id"]).id)


@handles(_AT + "send")
def send_draft(call: Call) -> Json:
    mail = _find(call, call.body.get("id") or "")
    raw = mail.raw
    if call.body.get("message"):
        raw, _ = _content(call)
    sent = submit(call, raw, None)
    call.person.mailbox.remove(mail.id)
    return labelled(sent)


def _find(call: Call, draft: str) -> Mail:
    mailbox = call.person.mailbox
    if draft not in mailbox.drafts:
        raise not_found()
    return mailbox.mails[mailbox.drafts[draft]]


def _content(call: Call) -> tuple[bytes, str | None]:
    message = call.body.get("message") or {}
    if not message.get("raw"):
        raise bad_request("Missing draft message")
    return mime.decode(message["raw"]), message.get("threadId")
