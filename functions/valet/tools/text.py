"""Text from outside: what a person would not see, an agent does not get to see either.

Invisible characters and hidden HTML are how instructions are smuggled past a reader into a model
(OWASP MCP cheat sheet §12). This narrows that channel; it does not make the text trustworthy.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

# All of Cf (bidi, zero width, tag characters), controls, surrogates, variation selectors and the
# fillers that render as nothing. A test compares it with the Unicode database.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_HTML = re.compile(r"<(?:[a-zA-Z!/])")
_BLANKS = re.compile(r"[ \t\xa0]+")
_BLANK_LINES = re.compile(r"\n[ \t\xa0]*(?:\n[ \t\xa0]*)+")

# The parser's worst case is quadratic in its input.
_MAX_HTML = 100_000
_MAX_NESTING = 500


def has_forbidden_characters(text: str) -> bool:
    """Whether an argument holds controls other than tab and line ends, or lone surrogates."""
    return _FORBIDDEN.search(text) is not None


def clean(text: str) -> str:
    """The text without characters that a person would not see."""
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))


def cut(text: str, max_bytes: int) -> str:
    """The text shortened to that many bytes of UTF-8, never inside a character."""
    if len(text) * 4 <= max_bytes:
        return text
    return text.encode(errors="replace")[:max_bytes].decode(errors="ignore")


def plain(text: str) -> str:
    """What a person would read of text that may be HTML."""
    return html_to_text(text) if _HTML.search(text) else clean(text)


def html_to_text(html: str) -> str:
    """The visible text of an HTML document: no hidden nodes, no markup, no link targets."""
    parser = _VisibleText()
    parser.feed(html[:_MAX_HTML])
    parser.close()
    lines = _BLANKS.sub(" ", clean("".join(parser.pieces)))
    return _BLANK_LINES.sub("\n\n", lines).strip()


_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905
)
_NEVER_SHOWN = frozenset(
    "head title script style template noscript iframe object svg math textarea select".split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    "p div br hr tr li ul ol table h1 h2 h3 h4 h5 h6 blockquote pre section".split()  # noqa: SIM905
)
_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0*)?(?:;|!|$)|mso-hide:all"
    r"|(?:font-size|max-height|max-width|line-height):0(?:\.0*)?(?:px|pt|em|rem|%)?(?:;|!|$)"
    r"|text-indent:-\d{3,}|color:transparent|(?:left|top):-\d{3,}"
)


class _VisibleText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._open: list[tuple[str, bool]] = []  # each open element, and whether it hides its text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag in _VOID:
            return
        hidden = self._hidden or tag in _NEVER_SHOWN or _hides(dict(attrs))
        # Past the cap nothing shows: deeper text must not escape its hidden parent.
        if len(self._open) < _MAX_NESTING:
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth][0] == tag:
                del self._open[depth:]
                break
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden and len(self._open) < _MAX_NESTING:
            self.pieces.append(data)

    @property
    def _hidden(self) -> bool:
        return bool(self._open) and self._open[-1][1]


def _hides(attrs: dict[str, str | None]) -> bool:
    style = re.sub(r"\s|/\*.*?\*/", "", (attrs.get("style") or "").lower())
    return "hidden" in attrs or _HIDING.search(style) is not None
