"""The demo app's pages. No script; every value is escaped."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #d7dbe0; --soft: #59636e; --main: #1a7f4b; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f4f6f4; color: #1f2328; }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem;
  max-width: 46rem; margin: 0 auto; padding: 1.25rem 1rem 0; }
header p { margin: 0; }
header form { display: flex; gap: .75rem; align-items: center; }
main { max-width: 46rem; margin: 1rem auto 3rem; padding: 1.5rem 2rem 2rem; background: #fff;
  border: 1px solid var(--line); border-radius: 12px; }
h1 { font-size: 1.5rem; margin: .5rem 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.note { color: var(--soft); margin: .25rem 0; }
.good, .bad { border-left: 4px solid var(--main); padding: .5rem 1rem; margin: 0 0 1.5rem;
  background: #eef8f2; color: #14532d; }
.bad { border-color: #b42318; background: #fdf0ee; color: #7a1a12; }
.good p, .bad p { margin: 0; }
input { width: 100%; font: .9rem/1.4 ui-monospace, monospace; padding: .6rem .75rem;
  border: 1px solid var(--line); border-radius: 8px; background: transparent; color: inherit; }
ul { list-style: none; padding: 0; margin: 0; }
ul.rows > li { display: flex; justify-content: space-between; align-items: center; gap: 1rem;
  padding: .7rem 0; border-bottom: 1px solid var(--line); }
.status { font-size: .8rem; padding: .1rem .5rem; border-radius: 99px; background: #eceff2;
  color: #3a424b; }
.status.ACTIVE { background: #d5f0e0; color: #14532d; }
details { margin: .5rem 0; }
summary { cursor: pointer; }
details li { padding: .15rem 0 .15rem 1.25rem; }
code { font: .88em ui-monospace, monospace; }
button, .button { font: inherit; display: inline-block; padding: .45rem 1.1rem; cursor: pointer;
  border: 1px solid var(--main); border-radius: 8px; background: transparent; color: var(--main);
  text-decoration: none; }
.button.main, button.main { background: var(--main); color: #fff; }
.choices { display: flex; gap: .75rem; margin-top: 1.25rem; }
:focus-visible { outline: 3px solid #67b58b; outline-offset: 2px; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4048; --soft: #a3abb5; --main: #4cc38a; }
  body { background: #14171a; color: #e6e8eb; } main { background: #1c2024; }
  .button.main, button.main { color: #06210f; }
}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# (what happened, whether it is good news)
type Note = tuple[str, str, bool]
_REASONS = {
    "not_connected": "not connected yet",
    "not_verified": "waiting for this app",
    "expired": "the grant has ended: connect again",
    "disconnected": "disconnected",
    "missing_permission": "a permission was not granted: connect again",
    "connection_removed": "no longer offered",
}


def sign_in(people: dict[str, str], *, waiting: bool) -> str:
    said = (
        "<p>Sign in to finish connecting. We will check that it was you who started it.</p>"
        if waiting
        else "<p>This stands for your app: it signs its own people in.</p>"
    )
    buttons = "".join(
        f'<button class="main" name="email" value="{escape(email)}">Sign in as {escape(name)}'
        "</button>"
        for email, name in people.items()
    )
    form = f'<form method="post" action="/sign-in" class="choices">{buttons}</form>'
    return page("Sign in", said + form)


def instance(person: str, found: dict[str, Any], note: Note | None) -> str:
    """A user's MCP URL, their connections, and which tools are ready."""
    connections = found["connections"]
    missing = [each for each in connections if each["status"] != "ACTIVE"]
    # An active connection may still lack a permission; connecting again asks for it.
    missing += [tool for tool in found["tools"] if not tool["ready"]]
    connect = (
        f'<p><a class="button main" href="{_link(found["connect_url"])}">Connect</a></p>'
        if missing
        else '<p class="note">Everything is connected.</p>'
    )
    return page(
        "Your assistant's tools",
        f"""{_note(note)}
<label for="url">Your MCP URL</label>
<input id="url" readonly value="{escape(found["url"])}">
<p class="note">Paste it into an MCP client. Whoever has it can use your tools: treat it like a
password.</p>
<h2>Connections</h2>
<ul class="rows">{"".join(_connection(each) for each in connections)}</ul>
{connect}
<h2>Tools</h2>
{"".join(_tools(each["connection"], found["tools"]) for each in connections)}""",
        person,
    )


def result(person: str, note: Note, *, replaceable: bool = False) -> str:
    """What became of a consent."""
    back = '<a class="button main" href="/">Back to your connections</a>'
    swap = (
        '<form method="post" action="/replace"><button>Use this account instead</button></form>'
        if replaceable
        else ""
    )
    return page("Connecting", f'{_note(note)}<div class="choices">{back}{swap}</div>', person)


def page(headline: str, content: str, person: str = "") -> str:
    out = (
        f'<form method="post" action="/sign-out"><span>{escape(person)}</span>'
        "<button>Sign out</button></form>"
        if person
        else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(headline)} - Demo app</title>
<style>{STYLE}</style>
</head>
<body>
<header><p><strong>Demo app</strong></p>{out}</header>
<main>
<h1>{escape(headline)}</h1>
{content}
</main>
</body>
</html>
"""


def _connection(each: dict[str, Any]) -> str:
    name, status = each["connection"], each["status"]
    button = (
        f'<form method="post" action="/disconnect"><button name="connection" '
        f'value="{escape(name)}" aria-label="Disconnect {escape(name)}">Disconnect</button></form>'
        if status == "ACTIVE"
        else ""
    )
    words = status.replace("_", " ").lower()
    return (
        f'<li><span><strong>{escape(name)}</strong> <span class="status {escape(status)}">'
        f"{escape(words)}</span></span>{button}</li>"
    )


def _tools(connection: str, tools: list[dict[str, Any]]) -> str:
    mine = [tool for tool in tools if tool["connection"] == connection]
    ready = sum(tool["ready"] for tool in mine)
    rows = "".join(f"<li><code>{escape(tool['name'])}</code>{_why(tool)}</li>" for tool in mine)
    opened = " open" if len(mine) <= 8 else ""
    return (
        f"<details{opened}><summary>{escape(connection)}: {ready} of {len(mine)} ready</summary>"
        f"<ul>{rows}</ul></details>"
    )


def _why(tool: dict[str, Any]) -> str:
    if tool["ready"]:
        return " &middot; ready"
    reason = tool.get("reason", "")
    return f' <span class="note">&middot; {escape(_REASONS.get(reason, reason))}</span>'


def _note(note: Note | None) -> str:
    if note is None:
        return ""
    title, detail, good = note
    kind, role = ("good", "status") if good else ("bad", "alert")
    more = f"<p>{escape(detail)}</p>" if detail else ""
    return f'<div class="{kind}" role="{role}"><p><strong>{escape(title)}</strong></p>{more}</div>'


def _link(url: str) -> str:
    """A link out of the API's answer; nothing but the web can be clicked."""
    return escape(url) if url.startswith(("https://", "http://")) else "#"
