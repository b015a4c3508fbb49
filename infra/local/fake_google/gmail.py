"""Gmail: profile, messages and threads."""

from __future__ import annotations

from . import mime
from .call import Call, Json, handles, page
from .errors import ApiError, bad_request, not_found
from .mailbox import HIDDEN, SYSTEM_LABELS, Mail
from .outbox import submit
from .search import looks_everywhere, matcher, with_label_ids

_METADATA = "https://www.googleapis.com/auth/gmail.metadata"
_FIXED = {"SENT", "DRAFT"}  # labels that only Gmail itself puts on
_AT = "gmail.users."


@handles(_AT + "getProfile")
def get_profile(call: Call) -> Json:
    mailbox = call.person.mailbox
    return {
        "emailAddress": call.person.email,
        "messagesTotal": len(mailbox.mails),
        "threadsTotal": len({mail.thread_id for mail in mailbox.mails.values()}),
        "historyId": str(mailbox.history),
    }


@handles(_AT + "messages.list")
def list_messages(call: Call) -> Json:
    found = matching(call)
    mails, more = page(call, found, 100, 500)
    out = {"resultSizeEstimate": len(found), **more}
    # An empty list is no list at Gmail.
    return out | ({"messages": [reference(mail) for mail in mails]} if mails else {})


@handles(_AT + "threads.list")
def list_threads(call: Call) -> Json:
    newest: dict[str, Mail] = {}
    for mail in matching(call):
        newest.setdefault(mail.thread_id, mail)
    mails, more = page(call, list(newest.values()), 100, 500)
    out: Json = {"resultSizeEstimate": len(newest), **more}
    threads = [
        {
            "id": mail.thread_id,
            "snippet": mime.snippet(mail.message),
            "historyId": str(mail.history),
        }
        for mail in mails
    ]
    return out | ({"threads": threads} if threads else {})


def matching(call: Call) -> list[Mail]:
    """The mails that `q` and `labelIds` ask for, newest first; trash and spam only if asked."""
    query, labels = call.params.get("q", ""), set(call.params.get("labelIds", ()))
    if query and only_metadata(call):
        raise ApiError(403, "forbidden", "Metadata scope does not support 'q' parameter")
    for label in labels:
        _check_label(call, label)
    everywhere = call.params.get("includeSpamTrash") or labels & HIDDEN or looks_everywhere(query)
    wanted = matcher(with_label_ids(query, call.person.mailbox.labels), call.world.today())
    return [
        mail
        for mail in call.person.mailbox.newest_first()
        if (everywhere or not HIDDEN & set(mail.labels))
        and labels <= set(mail.labels)
        and wanted(mail)
    ]


def only_metadata(call: Call) -> bool:
    """`gmail.metadata` narrows a token even beside `gmail.readonly`."""
    return _METADATA in call.scopes


@handles(_AT + "messages.get")
def get_message(call: Call) -> Json:
    return resource(call, find(call))


@handles(_AT + "threads.get")
def get_thread(call: Call) -> Json:
    mails = _thread(call)
    return {
        "id": mails[0].thread_id,
        "historyId": str(max(mail.history for mail in mails)),
        "messages": [resource(call, mail) for mail in mails],
    }


@handles(_AT + "messages.attachments.get")
def get_attachment(call: Call) -> Json:
    mail = find(call, "messageId")
    parts = mime.attachments(mime.payload(mail.message, mail.id))
    part_id = parts.get(call.params["id"])
    if part_id is None:
        raise bad_request("Invalid attachment token")
    content = mime.body(mime.part_at(mail.message, part_id))
    return {"size": len(content), "data": mime.encode(content)}


@handles(_AT + "messages.send")
def send_message(call: Call) -> Json:
    return labelled(submit(call, mime.decode(call.body["raw"]), call.body.get("threadId")))


@handles(_AT + "messages.modify")
def modify_message(call: Call) -> Json:
    return _relabel(call, [find(call)])


@handles(_AT + "threads.modify")
def modify_thread(call: Call) -> Json:
    return _relabel(call, _thread(call), thread=True)


@handles(_AT + "messages.batchModify")
def batch_modify(call: Call) -> None:
    mails = call.person.mailbox.mails
    _relabel(call, [mails[each] for each in call.body.get("ids", ()) if each in mails])


@handles(_AT + "messages.trash")
def trash(call: Call) -> Json:
    return _move(call, [find(call)], ["TRASH"], ["INBOX", "SPAM"])


@handles(_AT + "threads.trash")
def trash_thread(call: Call) -> Json:
    return {"id": _move(call, _thread(call), ["TRASH"], ["INBOX", "SPAM"])["threadId"]}


@handles(_AT + "messages.untrash")
def untrash(call: Call) -> Json:
    # Gmail does not put it back into the inbox.
    return _move(call, [find(call)], [], ["TRASH"])


@handles(_AT + "threads.untrash")
def untrash_thread(call: Call) -> Json:
    return {"id": _move(call, _thread(call), [], ["TRASH"])["threadId"]}


@handles(_AT + "messages.delete")
def delete_message(call: Call) -> None:
    call.person.mailbox.remove(find(call).id)


@handles(_AT + "messages.batchDelete")
def batch_delete(call: Call) -> None:
    for each in call.body.get("ids", ()):
        if each in call.person.mailbox.mails:
            call.person.mailbox.remove(each)


def find(call: Call, name: str = "id") -> Mail:
    mail = call.person.mailbox.mails.get(call.params[name])
    if mail is None:
        raise not_found()
    return mail


def reference(mail: Mail) -> Json:
    """What a write and a list answer: ids, and for a write the labels."""
    return {"id": mail.id, "threadId": mail.thread_id}


def resource(call: Call, mail: Mail) -> Json:
    """A `Message` in the format that was asked for."""
    form = call.params.get("format", "full")
    if form in {"full", "raw"} and only_metadata(call):
        said = f"Metadata scope doesn't allow format {form.upper()}"
        raise ApiError(403, "forbidden", said)
    out = {
        **reference(mail),
        "snippet": mime.snippet(mail.message),
        "sizeEstimate": len(mail.raw),
        "historyId": str(mail.history),
        "internalDate": str(int(mail.at.timestamp() * 1000)),
    }
    if mail.labels:
        out["labelIds"] = list(mail.labels)
    if form == "full":
        out["payload"] = mime.payload(mail.message, mail.id)
    elif form == "metadata":
        names = call.params.get("metadataHeaders")
        out["payload"] = {
            "mimeType": mail.message.get_content_type(),
            "headers": mime.headers(mail.message, names),
        }
    elif form == "raw":
        out["raw"] = mime.encode(mail.raw)
    return out


def labelled(mail: Mail) -> Json:
    return reference(mail) | ({"labelIds": list(mail.labels)} if mail.labels else {})


def _thread(call: Call) -> list[Mail]:
    mails = call.person.mailbox.thread(call.params["id"])
    if not mails:
        raise not_found()
    return mails


def _move(call: Call, mails: list[Mail], add: list[str], remove: list[str]) -> Json:
    for mail in mails:
        call.person.mailbox.touch(mail, add, remove)
    return labelled(mails[0])


def _relabel(call: Call, mails: list[Mail], *, thread: bool = False) -> Json:
    add, remove = call.body.get("addLabelIds") or [], call.body.get("removeLabelIds") or []
    if not add and not remove:
        raise bad_request("No label add or removes specified")
    for label in (*add, *remove):
        _check_label(call, label)
        if label in _FIXED:
            raise bad_request(f"Invalid label: {label}")
    for mail in mails:
        call.person.mailbox.touch(mail, add, remove)
    if thread:
        return {"id": mails[0].thread_id, "messages": [labelled(mail) for mail in mails]}
    return labelled(mails[0]) if mails else {}


def _check_label(call: Call, label: str) -> None:
    if label not in SYSTEM_LABELS and label not in call.person.mailbox.labels:
        raise bad_request(f"Invalid label: {label}")
