"""What a person sees: the consent page and the error page. No script, one small style."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STYLE = """
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #eef1f5; color: #1f2328; }
main { max-width: 34rem; margin: 2.5rem auto; padding: 2rem; background: #fff;
  border: 1px solid #d5dae1; border-radius: 12px; }
.mark { margin: 0; color: #57606a; font-size: .9rem; }
h1 { font-size: 1.6rem; margin: .25rem 0 1rem; }
fieldset { border: 0; margin: 0 0 1.5rem; padding: 0; }
legend { font-weight: 600; padding: 0; margin-bottom: .5rem; }
label { display: flex; gap: .75rem; align-items: flex-start; padding: .6rem .75rem;
  border: 1px solid #d5dae1; border-radius: 8px; margin-bottom: .5rem; cursor: pointer; }
label:hover { background: #f6f8fa; }
input { margin: .3rem 0 0; flex: none; width: 1rem; height: 1rem; }
small { display: block; color: #57606a; overflow-wrap: anywhere; }
.buttons { display: flex; gap: .75rem; justify-content: flex-end; }
button { font: inherit; padding: .5rem 1.5rem; border-radius: 8px; border: 1px solid #0b57d0;
  background: #fff; color: #0b57d0; cursor: pointer; }
button.main { background: #0b57d0; color: #fff; }
:focus-visible { outline: 3px solid #7cacf8; outline-offset: 2px; }
@media (prefers-color-scheme: dark) {
  body { background: #16191d; color: #e6e8eb; }
  main { background: #1f2328; border-color: #3a4048; }
  label { border-color: #3a4048; } label:hover { background: #2a2f36; }
  small, .mark { color: #a3abb5; }
  button { background: transparent; color: #a8c7fa; border-color: #a8c7fa; }
  button.main { background: #a8c7fa; color: #062e6f; }
}
"""


def consent(app: str, people: Iterable[tuple[str, str]], hint: str, scopes: dict[str, str]) -> str:
    """Account, permissions, decision: one form that posts to its own URL."""
    accounts = "".join(
        f'<label><input type="radio" name="account" value="{escape(email)}" required'
        f"{' checked' if email == hint else ''}>"
        f"<span>{escape(name)}<small>{escape(email)}</small></span></label>"
        for email, name in people
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}" checked>'
        f"<span>{escape(said)}<small>{escape(scope)}</small></span></label>"
        for scope, said in scopes.items()
    )
    permissions = f"<fieldset><legend>It may</legend>{boxes}</fieldset>" if boxes else ""
    return _page(
        "Choose an account",
        f"""<p><strong>{escape(app)}</strong> wants access to your account. It will see your name
and email address.</p>
<form method="post">
<fieldset><legend>Account</legend>{accounts}</fieldset>
{permissions}
<div class="buttons">
<button name="decision" value="deny" formnovalidate>Deny</button>
<button name="decision" value="allow" class="main">Allow</button>
</div>
</form>""",
    )


def blocked(status: int, error: str, said: str) -> str:
    """The error that stays at Google: the app is never called back."""
    return _page(
        "Access blocked",
        f"<p>This app's request is invalid.</p><p>{escape(said)}</p>"
        f"<p><strong>Error {status}: {escape(error)}</strong></p>",
    )


def _page(headline: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fake Google</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="mark">Fake Google &middot; for tests and demos, on this machine only</p>
<h1>{escape(headline)}</h1>
{content}
</main>
</body>
</html>
"""
