"""HTML of mails: only tags and attributes that cannot do harm, as Watcher sanitises it. Pure.

What stands in a log was written by strangers, and a body's values are not escaped: without this, a requested
path could bring a script or a form into a mail.
"""

from __future__ import annotations

import html
from html.parser import HTMLParser

# Watcher's default: body, head, _tables, _links, _blocks, _formatting, img:embedded (documentation of its
# settings).
_BLOCKS = {
    "html",
    "body",
    "head",
    "p",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
}
_TABLES = {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup", "col", "hr"}
_FORMATTING = {
    "b", "i", "s", "u", "o", "sup", "sub", "ins", "del", "strong", "strike", "tt", "code", "big", "small",
    "br", "span", "em", "pre",
}  # fmt: skip
_TAGS = frozenset(_BLOCKS | _TABLES | _FORMATTING | {"a", "img"})
_ATTRIBUTES = frozenset({"align", "width", "height", "class", "colspan", "rowspan", "alt", "title"})
_VOID = frozenset(("br", "hr", "img", "col"))
# What stands between these is no text for a reader.
_DROPPED = frozenset(("script", "style", "iframe", "object", "noscript", "template", "textarea", "title"))
_LINKS = ("http:", "https:", "mailto:")


class _Sanitizer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self.texts: list[str] = []
        self._dropping = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropping += 1
        elif tag in _TAGS and not self._dropping:
            if tag in _VOID:
                self.texts.append("\n")
            kept = "".join(
                f' {name}="{html.escape(value or "")}"'
                for name, value in attributes
                if _is_harmless(tag, name, value or "")
            )
            self.kept.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropping = max(0, self._dropping - 1)
        elif tag in _TAGS and tag not in _VOID and not self._dropping:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self.kept.append(html.escape(data, quote=False))
            self.texts.append(data)


def _is_harmless(tag: str, name: str, value: str) -> bool:
    if tag == "a" and name == "href":
        return value.strip().lower().startswith(_LINKS)
    if tag == "img" and name == "src":
        # Only images that the mail itself brings: any other tells its server who reads the mail, and when.
        return value.strip().lower().startswith(("cid:", "data:image/"))
    if name == "style":
        return "url(" not in value.lower() and "expression" not in value.lower()
    return name in _ATTRIBUTES


def sanitized(text: str) -> str:
    """The HTML with harmless tags and attributes alone; the text of all others stays, but not of scripts."""
    return "".join(_parsed(text).kept)


def plain(text: str) -> str:
    """The text of HTML, for readers without it."""
    lines = ("".join(_parsed(text).texts)).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())


def _parsed(text: str) -> _Sanitizer:
    sanitizer = _Sanitizer()
    sanitizer.feed(text)
    sanitizer.close()
    return sanitizer
