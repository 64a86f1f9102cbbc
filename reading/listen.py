"""Where a server of httpmon's own listens."""

from __future__ import annotations

import re

from engine.errors import UsageError


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:9640`` or ``[::1]:9640``; port 0 lets the system choose.

    Raises UsageError when it is neither.
    """
    match = re.fullmatch(r"\[?([^\[\]]+?)\]?:(\d{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise UsageError(f"--listen {text}: it looks like 127.0.0.1:9640")
    return match[1], int(match[2])
