"""Reads the engine's log, also while it is written and rotated."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from engine.errors import LocalNodeError

_POLL_SECONDS = 0.25


def is_there(path: Path) -> bool:
    """Whether there is a log yet. Raises LocalNodeError where it cannot be read."""
    file = _opened(path)
    if file is not None:
        file.close()
    return file is not None


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines, without line ends; none where there is no file.

    Raises LocalNodeError where it cannot be read.
    """
    file = _opened(path)
    if file is None:
        return []
    with file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(path: Path, count: int) -> Iterator[str]:
    """The last ``count`` lines, then each line as it is written; never ends.

    Goes on in the new file after a rotation, and waits for a file that is not there yet. Raises
    LocalNodeError where it cannot be read.
    """
    yielded_all = False
    while True:
        file = _opened(path)
        if file is None:
            yielded_all = True
            time.sleep(_POLL_SECONDS)
            continue
        with file:
            if not yielded_all:
                yield from (line.rstrip("\n") for line in deque(file, maxlen=count))
                yielded_all = True
            yield from _lines_until_rotated(file, path)


def _opened(path: Path) -> TextIO | None:
    try:
        return path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalNodeError(f"{path}: the node's log cannot be read: {error.strerror}") from None


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
