"""The pages that a user's browser sees: plain, accessible HTML that loads and runs nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from valet.http import Response
from valet.models import AccountStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valet.errors import ValetError
    from valet.native.connect_pages import Choice, ConnectPage

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
ul { list-style: none; padding: 0; }
li { border: 1px solid #8886; border-radius: .5rem; padding: .75rem 1rem; margin: .75rem 0;
     display: flex; gap: 1rem; align-items: center; justify-content: space-between; }
li p { margin: 0; }
button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .375rem;
         background: #0b57d0; color: #fff; cursor: pointer; }
button:focus-visible { outline: 3px solid #fa0; outline-offset: 2px; }
.note { color: #767676; font-size: .875rem; }
@media (prefers-color-scheme: dark) { .note { color: #a0a0a0; } }
"""
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_MOST_TITLES = 5

_STATUS = {
    AccountStatus.PENDING_AUTH: "Not connected",
    AccountStatus.PENDING_VERIFICATION: "Waiting for your app to finish",
    AccountStatus.ACTIVE: "Connected",
    AccountStatus.EXPIRED: "Access has ended: connect again",
    AccountStatus.DISCONNECTED: "Disconnected",
}


def connect_page(app_name: str, ticket: str, page: ConnectPage) -> Response:
    """What the app asks for, and a button a connection: they post, looking changes nothing."""
    rows = "".join(_row(ticket, choice) for choice in page.choices)
    if not rows:
        rows = "<li><p>This app asks for no connections.</p></li>"
    return _page(
        f"Connect your accounts to {app_name}",
        f"""<p>{escape(page.description)}</p>
<p>{escape(app_name)} asks to use these accounts for you. You choose the account and what to allow
on the provider's own page; {escape(app_name)} never sees your password.</p>
<ul>{rows}</ul>
<p class="note">Go on only if you came here from {escape(app_name)} yourself. If somebody sent you
this link, close the page. The link works until {page.expires_at:%H:%M} UTC.</p>""",
        form_targets=page.authorize_origins,
    )


def problem_page(error: ValetError) -> Response:
    """What happened and what to do, in the words of the error."""
    title = _TITLES.get(error.code, error.status.phrase)
    sentence = escape(str(error)[:1].upper() + str(error)[1:])
    return _page(
        title,
        f'<p>{sentence}.</p>\n<p class="note">{escape(error.code)}</p>',
        status=error.status,
    )


_TITLES = {
    "link_expired": "This link has expired",
    "link_used": "This link was already used",
    "wrong_browser": "This is another browser",
    "authorization_used": "Already done",
    "consent_expired": "That took too long",
    "state_invalid": "This page cannot be used",
    "oauth_client_missing": "Not set up yet",
}


def _some(titles: Sequence[str]) -> str:
    shown = ", ".join(title[:1].lower() + title[1:] for title in titles[:_MOST_TITLES])
    return (
        shown if len(titles) <= _MOST_TITLES else f"{shown} and {len(titles) - _MOST_TITLES} more"
    )


def _row(ticket: str, choice: Choice) -> str:
    status = _STATUS[choice.status]
    if choice.lacking:
        status = f"Connected, but without a permission that is needed to: {_some(choice.lacking)}"
    name = f"<p><strong>{escape(choice.title)}</strong><br>{escape(status)}</p>"
    if choice.used:
        return f"<li>{name}<p class=note>Used</p></li>"
    action = f"/connect/{quote(ticket, safe='')}/{quote(choice.connection, safe='')}"
    verb = "Reconnect" if choice.status is AccountStatus.ACTIVE else "Connect"
    label = escape(f"{verb} {choice.title}")
    return (
        f'<li>{name}<form method="post" action="{escape(action)}">'
        f'<button aria-label="{label}">{verb}</button></form></li>'
    )


def _page(
    title: str, body: str, *, status: int = HTTPStatus.OK, form_targets: Sequence[str] = ()
) -> Response:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""
    targets = " ".join(["'self'", *form_targets]) if form_targets else "'none'"
    return Response(
        status,
        html,
        content_type="text/html; charset=utf-8",
        headers={
            "content-security-policy": (
                f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets}; "
                "base-uri 'none'; frame-ancestors 'none'"
            ),
            # A form's own post has to say where it came from. A page without one may stand at a
            # callback's URL, whose code and state go nowhere.
            "referrer-policy": "same-origin" if form_targets else "no-referrer",
            "strict-transport-security": "max-age=31536000",
            "x-frame-options": "DENY",
        },
    )
