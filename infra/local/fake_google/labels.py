"""Gmail's labels."""

from __future__ import annotations

from .call import Call, Json, handles
from .errors import ApiError, bad_request, not_found
from .mailbox import SYSTEM_LABELS

_AT = "gmail.users."


@handles(_AT + "labels.list")
def list_labels(call: Call) -> Json:
    system = [{"id": label, "name": label, "type": "system"} for label in SYSTEM_LABELS]
    return {"labels": system + [_own(key, name) for key, name in _labels(call).items()]}


@handles(_AT + "labels.get")
def get_label(call: Call) -> Json:
    label = call.params["id"]
    if label not in SYSTEM_LABELS and label not in _labels(call):
        raise not_found()
    mails = [mail for mail in call.person.mailbox.mails.values() if label in mail.labels]
    known = _own(label, _labels(call)[label]) if label in _labels(call) else None
    return {
        **(known or {"id": label, "name": label, "type": "system"}),
        "messagesTotal": len(mails),
        "messagesUnread": sum("UNREAD" in mail.labels for mail in mails),
        "threadsTotal": len({mail.thread_id for mail in mails}),
    }


@handles(_AT + "labels.create")
def create_label(call: Call) -> Json:
    name = (call.body.get("name") or "").strip()
    if not name:
        raise bad_request("Invalid label name")
    if name.lower() in {each.lower() for each in (*SYSTEM_LABELS, *_labels(call).values())}:
        raise ApiError(409, "aborted", "Label name exists or conflicts")
    taken = [int(label.partition("_")[2]) for label in _labels(call)]
    key = f"Label_{max(taken, default=0) + 1}"
    _labels(call)[key] = name
    return _own(key, name)


@handles(_AT + "labels.delete")
def delete_label(call: Call) -> None:
    label = call.params["id"]
    if label in SYSTEM_LABELS:
        raise bad_request("Invalid delete request")
    if _labels(call).pop(label, None) is None:
        raise not_found()
    for mail in call.person.mailbox.mails.values():
        if label in mail.labels:
            call.person.mailbox.touch(mail, [], [label])


def _labels(call: Call) -> dict[str, str]:
    return call.person.mailbox.labels


def _own(key: str, name: str) -> Json:
    return {
        "id": key,
        "name": name,
        "type": "user",
        "messageListVisibility": "show",
        "labelListVisibility": "labelShow",
    }
