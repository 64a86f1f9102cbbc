"""Text out of a log, made safe to print.

A log's paths and user agents are written by strangers. Printed raw, an escape sequence among them could
recolour, retitle or rewrite the terminal of whoever looks (CWE-150), and a bidirectional override could
make one name look like another (CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Control, format (bidirectional overrides, zero-width), surrogate, private use and unassigned characters,
# line and paragraph separators: what a terminal may act upon, or cannot show (Unicode general categories).
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, width: int | None = None) -> str:
    r"""The text with every unsafe character written as ``\x1b`` or ``\u202e``, cut to ``width`` with ``...``.

    ``width`` is in characters and at least 4; None cuts nothing.
    """
    safe = text if text.isascii() and text.isprintable() else "".join(map(_escaped, text))
    if width is not None and len(safe) > width:
        return safe[: width - 3] + "..."
    return safe


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first names, each once, and how many more there are."""
    names = list(dict.fromkeys(names))
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters two, combining ones none (UAX 11)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly ``width`` columns: cut with ``~`` at its end, or filled with spaces."""
    if cells(text) > width:
        kept = ""
        for character in text:
            if cells(kept + character) > width - 1:
                break
            kept += character
        text = f"{kept}~" if width > 0 else ""
    filling = " " * (width - cells(text))
    return filling + text if right else text + filling
