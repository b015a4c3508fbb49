"""Gmail's search syntax, as far as it is used: operators, phrases, exclusion, OR, braces."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .mailbox import HIDDEN, Mail

_TERM = re.compile(r'(-?)(?:([a-z_0-9]+):)?("[^"]*"|\([^)]*\)|\{[^}]*\}|[^\s(){}]+)', re.IGNORECASE)
_UNITS = {"h": 1 / 24, "d": 1, "m": 30, "y": 365}
type Test = Callable[[Mail], bool]


def matcher(query: str, now: datetime) -> Test:
    """A test for one query: terms are joined by AND, and OR binds its two neighbours."""
    groups: list[list[Test]] = []
    joined = False
    for found in _TERM.finditer(query):
        if found[0] in {"AND", "OR"}:
            joined = found[0] == "OR" and bool(groups)
            continue
        test = _term(found[1] == "-", (found[2] or "").lower(), found[3], now)
        if joined:
            groups[-1].append(test)
        else:
            groups.append([test])
        joined = False
    return lambda mail: all(any(test(mail) for test in group) for group in groups)


def looks_everywhere(query: str) -> bool:
    """Whether the query itself asks for trash or spam."""
    return re.search(r"\b(in|is|label):(trash|spam|anywhere)\b", query, re.IGNORECASE) is not None


def with_label_ids(query: str, labels: dict[str, str]) -> str:
    """`label:` takes a name, in which a hyphen stands for a space; messages carry ids."""
    ids = {name.lower().replace(" ", "-"): label for label, name in labels.items()}
    return re.sub(
        r"\blabel:([^\s(){}]+)",
        lambda found: f"label:{ids.get(found[1].lower(), found[1])}",
        query,
        flags=re.IGNORECASE,
    )


def _term(negated: bool, operator: str, value: str, now: datetime) -> Test:
    test = _positive(operator, value, now)
    return (lambda mail: not test(mail)) if negated else test


def _positive(operator: str, value: str, now: datetime) -> Test:
    inner = value[1:-1]
    if value[0] == "(":
        # `subject:(a b)` is `subject:a subject:b`
        prefix = f"{operator}:" if operator else ""
        return matcher(" ".join(prefix + term for term in inner.split()), now)
    if value[0] == "{":
        return matcher(" OR ".join(inner.split()), now)
    word = (inner if value[0] == '"' else value).lower()
    if operator in _AGES or operator in _DAYS:
        return _time(operator, word, now)
    if operator in _OPERATORS:
        return lambda mail: _OPERATORS[operator](mail, word)
    return lambda mail: _anywhere(mail, f"{operator}:{word}" if operator else word)


def _anywhere(mail: Mail, word: str) -> bool:
    names = ("From", "To", "Cc", "Subject")
    places = [mail.text, *(mail.header(name) for name in names), *mail.file_names()]
    return word in " ".join(places).lower()


def _labelled(mail: Mail, word: str) -> bool:
    """`in:`, `is:` and `label:` all ask for labels, some under other names."""
    if word == "anywhere":
        return True
    if word == "read":
        return "UNREAD" not in mail.labels
    name = {"drafts": "draft", "starred": "starred"}.get(word, word).upper()
    if name == "DRAFT" or name in HIDDEN:
        return name in mail.labels
    return name in mail.labels or word in (label.lower() for label in mail.labels)


def _time(operator: str, value: str, now: datetime) -> Test:
    """A value that is no date matches nothing, as at Gmail."""
    age = re.fullmatch(r"(\d{1,4})([hdmy])", value)
    if operator in _AGES:
        if not age:
            return lambda _: False
        edge = now - timedelta(days=int(age[1]) * _UNITS[age[2]])
        return lambda mail: (mail.at >= edge) == (operator == "newer_than")
    day = _day(value)
    if day is None:
        return lambda _: False
    return lambda mail: (mail.at >= day) == (operator in {"after", "newer"})


def _day(value: str) -> datetime | None:
    """A date, or seconds since the epoch."""
    try:
        if value.isdigit() and len(value) >= 9:
            return datetime.fromtimestamp(int(value), UTC)
        year, month, day = map(int, re.split("[/-]", value))
        return datetime(year, month, day, tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


_AGES = {"newer_than", "older_than"}
_DAYS = {"after", "before", "newer", "older"}
_OPERATORS: dict[str, Callable[[Mail, str], bool]] = {
    "from": lambda mail, word: word in mail.header("From").lower(),
    "to": lambda mail, word: word in f"{mail.header('To')} {mail.header('Cc')}".lower(),
    "cc": lambda mail, word: word in mail.header("Cc").lower(),
    "bcc": lambda mail, word: word in mail.header("Bcc").lower(),
    "subject": lambda mail, word: word in mail.header("Subject").lower(),
    "in": _labelled,
    "is": _labelled,
    "label": _labelled,
    "has": lambda mail, word: word == "attachment" and bool(mail.file_names()),
    "filename": lambda mail, word: any(word in name.lower() for name in mail.file_names()),
    "rfc822msgid": lambda mail, word: (
        mail.header("Message-ID").lower().strip("<>") == word.strip("<>")
    ),
}
