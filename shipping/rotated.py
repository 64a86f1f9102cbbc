"""Where rotated files are looked for and how long, and which files hold nothing more to read."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator

from shipping.identity import is_rotated_name
from shipping.sources import State, state_of

FileId = tuple[int, int]
"""Device and inode."""

# How long after a rotation its products are looked for: logrotate renames, copies and packs one after the
# other.
SEARCH_SECONDS = 10.0


class RotatedFiles:
    """The searches under way, and the files that they need not look at again."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._settled: dict[FileId, State] = {}

    def begin(self, home: str, now: float) -> None:
        """Look from now on for what rotation makes of a path."""
        self._until[home] = now + SEARCH_SECONDS

    def searches(self, now: float, *, only_once: bool) -> Iterator[tuple[str, list[str]]]:
        """The paths under search, each with the rotated files that stand there.

        Packed ones come last, because an unpacked twin is read more cheaply.
        """
        listed: dict[str, list[str]] = {}
        for home, until in list(self._until.items()):
            yield home, list(_rotated_of(home, listed))
            if now >= until or only_once:
                del self._until[home]

    def home_of(self, path: str) -> str:
        """The path under search that a file was rotated from; its own where there is none."""
        return next((home for home in self._until if is_rotated_name(path, home)), path)

    def settle(self, file: FileId, state: State) -> None:
        """Remember that nothing of a file is left to look at while it stays as it was seen.

        ``state`` is from before it was read, or what came meanwhile would be missed.
        """
        self._settled[file] = state

    def unsettle(self, file: FileId) -> None:
        """Look at a file again, as it is."""
        self._settled.pop(file, None)

    def is_settled(self, status: os.stat_result) -> bool:
        """Whether there is nothing to look at."""
        return self._settled.get((status.st_dev, status.st_ino)) == state_of(status)


def rotated_of(home: str) -> list[str]:
    """The rotated files of a path that are there now."""
    return list(_rotated_of(home, {}))


def _rotated_of(home: str, listed: dict[str, list[str]]) -> Iterator[str]:
    folder, name = os.path.split(home)
    if folder not in listed:
        try:
            listed[folder] = sorted(os.listdir(folder))  # noqa: PTH208
        except OSError:
            listed[folder] = []
    names, stem = listed[folder], os.path.splitext(name)[0]  # noqa: PTH122
    found = []
    # All of a path's rotated files begin like it; a folder may hold the logs of a thousand sites.
    for other in names[bisect.bisect_left(names, stem) :]:
        if not other.startswith(stem):
            break
        if other == name:
            continue
        path = os.path.join(folder, other)  # noqa: PTH118
        if is_rotated_name(path, home):
            found.append(path)
    yield from sorted(found, key=lambda path: (len(path), path))
