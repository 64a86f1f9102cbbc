"""Reads the engine's log, also while it is written and rotated."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_POLL_SECONDS = 0.25


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines, without line ends; none where there is no file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except FileNotFoundError:
        return []


def follow(path: Path, count: int) -> Iterator[str]:
    """The last ``count`` lines, then each line as it is written; never ends.

    Goes on in the new file after a rotation, and waits for a file that is not there yet.
    """
    yielded_all = False
    while True:
        try:
            file = path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            yielded_all = True
            time.sleep(_POLL_SECONDS)
            continue
        with file:
            if not yielded_all:
                yield from (line.rstrip("\n") for line in deque(file, maxlen=count))
                yielded_all = True
            yield from _lines_until_rotated(file, path)


def _lines_until_rotated(file: TextIO, path: Path) -> Iterator[str]:
    begun = ""
    while True:
        # Asked before reading: what was written until the rotation is still read afterwards.
        rotated = _is_another_file(file, path)
        for piece in file:
            begun += piece
            if begun.endswith("\n"):
                yield begun[:-1]
                begun = ""
        if rotated:
            return
        time.sleep(_POLL_SECONDS)


def _is_another_file(file: TextIO, path: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True
