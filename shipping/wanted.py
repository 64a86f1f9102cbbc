"""Which paths are to be read: those that were named, and those that match now."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import ShippingError

STANDARD_INPUT = "-"

# How often globs are matched anew.
_GLOB_SECONDS = 1.0


class WantedPaths:
    """The paths behind patterns, and what has been said about those that are not there.

    Attributes:
        patterns: absolute paths and globs, or ``-`` for standard input.
    """

    def __init__(self, patterns: list[str], *, once: bool, notify: Callable[[str], None]) -> None:
        """Take the patterns; with ``once``, nothing is waited for. ``notify`` takes one line for the user."""
        self.patterns = [
            # abspath, because a symlink in place of a log is followed to where it leads at each look.
            pattern if pattern == STANDARD_INPUT else os.path.abspath(pattern)  # noqa: PTH100
            for pattern in patterns
        ]
        self._once = once
        self._notify = notify
        self._told: set[str] = set()
        self._next_glob = 0.0
        self._paths: list[str] = []

    def paths(self, now: float) -> list[str]:
        """The paths at this time of the monotonic clock; raises ShippingError as ``missing`` does."""
        if now >= self._next_glob:
            self._next_glob = now + _GLOB_SECONDS
            self._paths = []
            for pattern in self.patterns:
                if glob.has_magic(pattern) and not Path(pattern).exists():
                    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns are absolute
                    self._paths += found
                    if not found:
                        self.missing(pattern, "no file matches yet")
                else:
                    self._paths.append(pattern)
        return self._paths

    def is_wanted(self, path: str) -> bool:
        """Whether a pattern names a path, be it there or not."""
        return any(
            path == pattern or (glob.has_magic(pattern) and _matches(path, pattern))
            for pattern in self.patterns
        )

    def missing(self, path: str, reason: str) -> None:
        """Say once that a path cannot be read now; raises ShippingError where nothing is waited for.

        Nothing is said of what a glob matched: a folder, or a file that has just been moved.
        """
        if path not in self.patterns and not Path(path).is_file():
            return
        if self._once:
            raise ShippingError(f"{path}: {reason}")
        if path not in self._told:
            self._told.add(path)
            self._notify(f"{path}: {reason}; waiting for it")

    def found(self, path: str) -> None:
        """Forget that it was said."""
        self._told.discard(path)


def _matches(path: str, pattern: str) -> bool:
    """As glob does it: no wildcard crosses a folder's border, except ``**``."""
    if "**" in pattern:
        return fnmatch.fnmatch(path, pattern.replace("**/", "*"))
    names, patterns = Path(path).parts, Path(pattern).parts
    return len(names) == len(patterns) and all(map(fnmatch.fnmatch, names, patterns))
