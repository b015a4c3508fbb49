"""What a person sees of Scalekit: one sentence."""

from __future__ import annotations

from html import escape


def page(headline: str, said: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fake Scalekit</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 2.5rem auto; }}
</style>
</head>
<body>
<main>
<p>Fake Scalekit &middot; for tests and demos, on this machine only</p>
<h1>{escape(headline)}</h1>
<p>{escape(said)}</p>
</main>
</body>
</html>
"""
