"""What the terminal at hand can do."""

from __future__ import annotations

import os
import shutil
import sys

# Terminals that cannot move the cursor, and those whose fonts lack the block elements.
_NO_CURSOR = frozenset({"", "dumb", "unknown"})
_NO_BLOCKS = frozenset({"linux", "vt100", "vt102", "vt220", "ansi"})


def live_terminal() -> bool:
    """Whether a live screen can be shown: keys come in, and the cursor moves."""
    terminal = os.environ.get("TERM", "")
    return sys.stdin.isatty() and sys.stdout.isatty() and terminal not in _NO_CURSOR


def output_width() -> int | None:
    """How many columns what is printed may take; None where it goes into a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def output_height() -> int | None:
    """How many lines can be seen at once; None where the output goes into a pipe or a file."""
    return shutil.get_terminal_size().lines if sys.stdout.isatty() else None


def draws_blocks() -> bool:
    """Whether the terminal can draw more than ASCII, by its kind and the locale's character set."""
    if os.environ.get("TERM", "") in _NO_BLOCKS:
        return False
    # POSIX: the first of these that is set and not empty decides.
    locale = next(filter(None, (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))), "UTF-8")
    return "utf" in locale.lower()


def require_format(format: str) -> None:  # noqa: A002
    """Raise UsageError for an output format that is neither ``table`` nor ``json``."""
    from engine.errors import UsageError

    if format not in ("table", "json"):
        raise UsageError(f"--format {format}: it is table or json")
