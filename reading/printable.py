"""Text out of a log, made safe to print.

A log's paths and user agents are written by strangers. Printed raw, an escape sequence among them could
recolour, retitle or rewrite the terminal of whoever looks (CWE-150), and a bidirectional override could
make one name look like another (CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata

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
