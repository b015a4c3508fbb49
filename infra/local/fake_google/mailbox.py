"""A person's mail: messages, threads, drafts and labels, without the API around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from . import mime

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

SYSTEM_LABELS = (
    "INBOX", "SENT", "DRAFT", "TRASH", "SPAM", "UNREAD", "STARRED", "IMPORTANT", "CHAT",
    "CATEGORY_PERSONAL", "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES",
    "CATEGORY_FORUMS",
)  # fmt: skip
HIDDEN = {"TRASH", "SPAM"}


@dataclass
class Mail:
    """One message in one mailbox."""

    id: str
    thread_id: str
    labels: list[str]
    raw: bytes
    at: datetime
    history: int

    @cached_property
    def message(self) -> EmailMessage:
        return mime.parse(self.raw)

    @cached_property
    def text(self) -> str:
        return mime.text(self.message)

    def header(self, name: str) -> str:
        return " ".join(str(self.message.get(name, "")).split())

    def file_names(self) -> list[str]:
        return [part.get_filename() or "" for part in self.message.iter_attachments()]


@dataclass
class Mailbox:
    """The messages by id, oldest first; drafts name the message that they are."""

    owner: str
    mails: dict[str, Mail] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)  # the person's own, id -> name
    history: int = 1000

    def add(self, mail_id: str, raw: bytes, labels: list[str], at: datetime) -> Mail:
        """Puts a message in, in the thread that its headers and subject tie it to."""
        message = mime.parse(raw)
        self.history += 1
        thread = self.find_thread(message) or mail_id
        mail = Mail(mail_id, thread, list(labels), raw, at, self.history)
        self.mails[mail_id] = mail
        return mail

    def find_thread(self, message: EmailMessage) -> str | None:
        """Gmail threads a reply only if it names a message of the thread and keeps its subject."""
        named = mime.references(message)
        for mail in self.mails.values():
            if mail.header("Message-ID") in named and mime.subject(mail.message) == mime.subject(
                message
            ):
                return mail.thread_id
        return None

    def thread(self, thread_id: str) -> list[Mail]:
        return [mail for mail in self.mails.values() if mail.thread_id == thread_id]

    def newest_first(self) -> list[Mail]:
        return sorted(self.mails.values(), key=lambda mail: (mail.at, mail.id), reverse=True)

    def touch(self, mail: Mail, add: list[str], remove: list[str]) -> None:
        self.history += 1
        kept = [label for label in mail.labels if label not in remove]
        mail.labels = kept + [label for label in dict.fromkeys(add) if label not in kept]
        mail.history = self.history

    def remove(self, mail_id: str) -> None:
        self.history += 1
        del self.mails[mail_id]
        self.drafts = {key: value for key, value in self.drafts.items() if value != mail_id}
