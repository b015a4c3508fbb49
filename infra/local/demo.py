"""Walks two people from signing in to a tool call, on the local stack: `make demo`.

Everything is the real thing but for who answers: the deployed template, the pages as a browser
clicks through them, and the official MCP client.
"""

from __future__ import annotations

import asyncio
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mcp import Client

from infra.local.browser import Browser, Page
from infra.local.deployment import Layout
from infra.local.processes import StackError
from infra.local.stack import ROOT, RUN, Stack, chosen_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = "http://127.0.0.1:8500/"
_CONNECTORS = {"MY_GMAIL": "Gmail", "MY_CALENDAR": "Google Calendar"}


class Person:
    """Somebody with a browser, signed in to the demo app."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.email = f"{name.lower()}@example.com"
        self.browser = Browser()
        self.home = self.browser.click(self.browser.open(APP), f"Sign in as {name}")
        _expect(self.home, "Your assistant's tools")
        for connection in _CONNECTORS:  # left over from an earlier walk
            if f"Disconnect {connection}" in _buttons(self.home):
                self.home = self.browser.click(self.home, f"Disconnect {connection}")

    @property
    def url(self) -> str:
        """Their MCP URL, as the app shows it."""
        return self.home.values["url"]

    def refresh(self) -> None:
        self.home = self.browser.open(APP)

    def connects(self, connection: str) -> Page:
        """From the app through the connect page and the consent, back to the app."""
        self.refresh()
        page = self.browser.open(self.home.links["Connect"])
        _expect(page, "Connect your accounts to Demo app")
        return self.consents(page, connection)

    def consents(self, page: Page, connection: str) -> Page:
        """Press a connection's button on a connect page, and allow what Google asks."""
        title = _CONNECTORS[connection]
        verb = "Reconnect" if f"Reconnect {title}" in _buttons(page) else "Connect"
        google = self.browser.click(page, f"{verb} {title}")
        _expect(google, "Choose an account")
        return self.browser.click(google, "Allow", account=self.email)


def walk(*, ours: bool) -> None:
    """Alice and Bob, start to end; `ours` says whether MCP is served here, and not at Scalekit.

    Raises:
        StackError: something was not as it should be; says what the person saw instead.
    """
    alice = Person("Alice")
    _say("Alice signs in to the app, which ensures her instance:")
    _show(_short(alice.url), *_readiness(alice.home))

    answers = "with a link that she can open" if ours else "what is missing; the app has a link"
    _say(f"Her agent tries at once. The tool answers {answers}:")
    _show(*textwrap.wrap(_text(_call(alice.url, "gmail_fetch_mails", {"max_results": 3})), 90))

    _say(f"She opens the link, chooses {alice.email} at Google, allows; back in the app:")
    for connection in _CONNECTORS:
        _expect(alice.connects(connection), f"{connection} is connected")
        _show(f"{connection} is connected")

    alice.refresh()
    _say("Now the official MCP client lists and calls, with nothing but her URL:")
    _show("tools/list: " + ", ".join(_list(alice.url)))
    _show(*_mails(_call(alice.url, "gmail_fetch_mails", {"max_results": 3})))
    _show(_event(_call(alice.url, "googlecalendar_create_event", _lunch())))

    bob = Person("Bob")
    _say("Bob gets a server of his own. Alice sends him her connect link; he falls for it:")
    forwarded = bob.browser.open(alice.home.links.get("Connect") or _fresh_link(alice))
    refused = bob.consents(forwarded, "MY_GMAIL")
    _expect(refused, "somebody else")
    _show(refused.text.partition("Forbidden")[2].partition("Back to")[0].strip())

    _expect(bob.connects("MY_GMAIL"), "MY_GMAIL is connected")
    _say("With his own link it works, and his tools reach his mail only:")
    _show(*_mails(_call(bob.url, "gmail_fetch_mails", {"max_results": 2})))

    _farewell([alice, bob])


def _fresh_link(person: Person) -> str:
    """Once all is connected the app shows no link; after a disconnect it does."""
    person.home = person.browser.click(person.home, "Disconnect MY_GMAIL")
    return person.home.links["Connect"]


def _list(url: str) -> list[str]:
    async def go() -> list[str]:
        async with Client(url) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    return asyncio.run(go())


def _call(url: str, tool: str, arguments: dict[str, Any]) -> Any:
    async def go() -> Any:
        async with Client(url) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(go())


def _lunch() -> dict[str, Any]:
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    return {
        "summary": "Lunch with Bob",
        "start_datetime": tomorrow.isoformat(),
        "event_duration_minutes": 45,
        "location": "Canteen",
    }


def _mails(result: Any) -> list[str]:
    content = _structured(result)
    return [f"{mail['from']}: {mail['subject']}" for mail in content["messages"]]


def _event(result: Any) -> str:
    event = _structured(result)["event"]
    return f"created {event['summary']!r}, {event['start']}"


def _structured(result: Any) -> Any:
    if result.is_error:
        raise StackError(f"the tool answered: {_text(result)}")
    return result.structured_content


def _text(result: Any) -> str:
    return str(result.content[0].text)


def _readiness(page: Page) -> list[str]:
    tools = page.text.rpartition("Tools")[2]
    for connection in _CONNECTORS:
        tools = tools.replace(f"{connection}:", f"\n{connection}:")
    return [line.strip() for line in tools.splitlines() if line.strip()]


def _buttons(page: Page) -> list[str]:
    return [label for form in page.forms for label in form.buttons]


def _expect(page: Page, words: str) -> None:
    if words not in page.text:
        raise StackError(f"{page.title or page.url!r} (HTTP {page.status}) said: {page.text[:300]}")


def _short(url: str) -> str:
    return f"MCP URL {url[:60]}…"


def _say(sentence: str) -> None:
    print(f"\n{sentence}", flush=True)


def _show(*lines: str) -> None:
    for line in lines:
        print(f"    {line}", flush=True)


def _farewell(people: Sequence[Person]) -> None:
    urls = "\n".join(f"    {person.name:6} {person.url}" for person in people)
    example = people[0].url
    print(
        f"""
Try it by hand (the stack stays up; `make down` stops it):
    the app    {APP}   sign in, connect, disconnect, see your URL
{urls}

Point a client at a URL (whole programs, and more clients, are in the README):
    Python      async with mcp.Client(URL) as client: await client.list_tools()
    LangChain   MultiServerMCPClient({{"valet": {{"transport": "streamable_http", "url": URL}}}})
    Inspector   npx @modelcontextprotocol/inspector --cli URL --transport http --method tools/list
    Claude      Code: claude mcp add --transport http valet URL
                Desktop: Settings, Connectors, Add custom connector (needs a public https URL)
    curl        curl -s {example[:44]}… -H 'content-type: application/json' \\
                  -d '{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}'"""
    )


def main() -> int:
    began = time.monotonic()
    stack = Stack(Layout(ROOT), RUN, chosen_backend())
    found_up = stack.is_up()
    try:
        stack.up()
        walk(ours=chosen_backend() == "native")
    except (StackError, LookupError) as error:
        print(f"\ndemo failed: {error.args[0]}", file=sys.stderr)
        if not found_up:
            stack.down()
        return 1
    print(f"\ndone in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
