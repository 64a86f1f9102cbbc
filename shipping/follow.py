"""Finds the files to read and keeps up with what becomes of them: rotated, emptied, deleted, made anew."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator

from engine.errors import ShippingError
from shipping.framing import Block
from shipping.identity import Entry, is_rotated_name
from shipping.open_files import FollowOptions, OpenFiles
from shipping.positions import Span
from shipping.registry import Registry
from shipping.rotated import SEARCH_SECONDS, FileId, RotatedFiles, rotated_of
from shipping.sources import state_of
from shipping.tail import Tail, Truncated
from shipping.wanted import STANDARD_INPUT, WantedPaths

# How often the paths are looked at.
_SCAN_SECONDS = 0.1
# For so long after it grew, a log counts as growing.
_GROWING_SECONDS = 1.0
# How much of a pipe is read when it is left: as much as Linux lets one hold.
_PIPE_BYTES = 1 << 20


class Follower:
    """Everything that is read, by patterns of paths."""

    def __init__(
        self,
        patterns: list[str],
        registry: Registry,
        options: FollowOptions,
        notify: Callable[[str], None],
    ) -> None:
        """Look at the files for the first time.

        Args:
            patterns: paths, globs, or ``-`` for standard input.
            registry: what has been shipped.
            options: how to follow.
            notify: takes one line for the user.

        ``met_again`` takes, from any thread, spans of which the engine turned out to have lines already.

        Raises ShippingError with ``once`` when a path is not there or cannot be read.
        """
        self._wanted = WantedPaths(patterns, once=options.once, notify=notify)
        self._registry = registry
        self._options = options
        self._notify = notify
        self._rotated = RotatedFiles()
        self._files = OpenFiles(registry, self._wanted, self._rotated, options, notify)
        self._homes: dict[str, FileId] = {}
        self._told_damaged: set[FileId] = set()
        self.met_again: deque[Span] = deque()
        self._next_scan = 0.0
        self.scan()
        self._files.first_look = False

    @property
    def tails(self) -> list[Tail]:
        """All that is open."""
        return self._files.all

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: with ``once``, or where all that is read are pipes that ended."""
        only_pipes = len(self._files.pipes) >= len(self._wanted.patterns) and not self._has_fifo()
        if not self._options.once and not only_pipes:
            return False
        return not (self._files.orphans or self._files.postponed) and all(
            tail.damaged or (tail.at_end and not tail.framer.has_partial_line) for tail in self._files.all
        )

    def scan(self) -> None:
        """Look for new, moved and vanished files, if it is time to."""
        now = time.monotonic()
        if now < self._next_scan:
            return
        self._next_scan = now + _SCAN_SECONDS
        self._files.postponed = False
        present: dict[FileId, str] = {}
        homes: dict[str, FileId] = {}
        for path in self._wanted.paths(now):
            file = self._look_at(path, present)
            if file is not None:
                homes[path] = file
        self._notice_rotations(present, homes, now)
        if self._files.first_look:
            self._search_what_was_missed(list(present.values()), now)
        self._remember_homes(homes)
        self._search_rotated(now)
        self._files.close_idle(now)
        unknown = [tail for tail in self._files.tails.values() if tail.key is None]
        for tail in unknown:
            tail.identify(self._registry)
        self._look_for_older([tail for tail in unknown if tail.key is not None], now)
        self._registry.save_new()

    def read(self) -> Iterator[tuple[Tail, Block]]:
        """One portion of every file, as blocks."""
        self._doubt_further()
        for tail in self._files.all:
            # Files come and go while the one who takes the blocks waits for the engine.
            if tail.damaged or tail.closed:
                continue
            was_known = tail.key is not None
            try:
                blocks = tail.read(self._registry, self._options.read_bytes)
            except Truncated:
                yield from ((tail, block) for block in tail.read_held())
                self._files.start_over(tail)
                self._next_scan = 0.0
                continue
            except (OSError, ShippingError) as error:
                self._give_up(tail, error)
                continue
            if not blocks and self._partial_is_due(tail):
                blocks = tail.flush(self._registry)
            if not was_known and tail.key is not None:
                self._look_for_older([tail], time.monotonic())
            for block in blocks:
                yield tail, block
        yield from self._abandon_orphans()

    def next_page_seconds(self) -> float:
        """How long to wait before the next look, so that the page that a log begins next is held early.

        Infinite where none has grown for the last second.
        """
        now = time.monotonic()
        return min(
            (
                tail.growth.next_page_seconds(tail.framer.position, now)
                for tail in self._files.tails.values()
                if now - tail.grew_at < _GROWING_SECONDS
            ),
            default=math.inf,
        )

    def leave_pipes(self) -> Iterator[tuple[Tail, Block]]:
        """What pipes hold still, with the half line at the end: when they are left, it is gone."""
        for tail in self._files.pipes.values():
            left = _PIPE_BYTES
            try:
                while left > 0 and not tail.at_end:
                    before = tail.framer.position
                    for block in tail.read(self._registry, self._options.read_bytes):
                        yield tail, block
                    taken = tail.framer.position - before
                    left = left - taken if taken else 0
            except OSError as error:
                self._give_up(tail, error)
            for block in tail.flush(self._registry):
                yield tail, block

    def _doubt_further(self) -> None:
        """Where lines were met that are there already, those that follow may be there as well."""
        tails = {tail.key: tail for tail in self._files.all}
        while self.met_again:
            span = self.met_again.popleft()
            tail = tails.get(span.key)
            if tail is not None:
                until = span.end + self._options.in_doubt_bytes
                tail.in_doubt_until = max(tail.in_doubt_until, until)

    def acknowledged(self) -> dict[str, tuple[int, int]]:
        """By file, of those whose size is known: its size, and how much of it is acknowledged, in bytes."""
        return {
            tail.key or tail.path: (size, self._registry.entry(tail.key).offset if tail.key else 0)
            for tail in self._files.all
            if (size := tail.source.size) is not None
        }

    def close(self) -> None:
        """Close all files."""
        for tail in self._files.all:
            tail.close()

    # -- finding -----------------------------------------------------------------------------------------

    def _look_at(self, path: str, present: dict[FileId, str]) -> FileId | None:
        """Open what is new; returns which file a path leads to, if it leads to one."""
        if path == STANDARD_INPUT:
            self._files.open_standard_input()
            return None
        if path in self._files.pipes:
            return None
        try:
            status = os.stat(path)  # noqa: PTH116 - in the hot path of every scan
        except OSError as error:
            self._wanted.missing(path, error.strerror or str(error))
            return None
        if stat.S_ISDIR(status.st_mode):
            self._wanted.missing(path, "is a directory; name the files in it, or a glob")
            return None
        self._wanted.found(path)
        file = status.st_dev, status.st_ino
        if file in present and file in self._files.tails:
            return file  # two names of one file
        present[file] = path
        if file not in self._files.tails and not self._rotated.is_settled(status):
            self._files.open(path, wanted=True, reference=None)
            if not self._files.first_look:
                self._note_target(path)
        return file

    def _notice_rotations(self, present: dict[FileId, str], homes: dict[str, FileId], now: float) -> None:
        for file, tail in self._files.tails.items():
            was, tail.attached = tail.attached, file in present
            if was and not tail.attached:
                tail.left_at = now
                self._rotated.begin(tail.path, now)
        for path, file in self._homes.items():
            if homes.get(path) != file:
                self._rotated.begin(path, now)
                # Its writer may not know yet that it was renamed: one that was closed is looked at again.
                self._rotated.unsettle(file)
        self._homes = homes

    def _search_what_was_missed(self, present: list[str], now: float) -> None:
        """Look for what became of the files while nobody looked."""
        followed = self._registry.followed
        homes = {entry.path for entry in self._registry.entries} | set(followed)
        for home in homes:
            if (
                home in present
                or any(is_rotated_name(path, home) for path in present)
                or self._wanted.is_wanted(home)
            ):
                self._rotated.begin(home, now)
        for entry in self._registry.entries:
            # A link that led to it may lead elsewhere now.
            if entry.found_at != entry.path and entry.path in homes and entry.found_at:
                self._reopen(entry)
        for target in self._targets_left:
            self._files.open(target, wanted=False, reference=0.0)
        for path in present:
            if path not in followed:
                # Files that were rotated before anyone asked for this log are none of ours.
                for old in rotated_of(path):
                    self._settle_path(old)

    def _reopen(self, entry: Entry) -> None:
        try:
            status = os.stat(entry.found_at)  # noqa: PTH116
        except OSError:
            return
        file = status.st_dev, status.st_ino
        if status.st_ino == entry.inode and status.st_size > entry.offset and file not in self._files.tails:
            self._files.open(entry.found_at, wanted=False, reference=None)

    @property
    def _targets_left(self) -> list[str]:
        """Where links led that lead elsewhere now."""
        moved = []
        for path, targets in self._registry.targets.items():
            for target in targets if self._wanted.is_wanted(path) else ():
                with contextlib.suppress(OSError):
                    status = os.stat(target)  # noqa: PTH116
                    if (status.st_dev, status.st_ino) not in self._files.tails:
                        moved.append(target)
        return moved

    def _settle_path(self, path: str) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return
        file = status.st_dev, status.st_ino
        if file not in self._files.tails:
            self._rotated.settle(file, state_of(status))

    def _note_target(self, path: str) -> None:
        if os.path.islink(path):  # noqa: PTH114
            self._registry.note_target(path, os.path.realpath(path))

    def _remember_homes(self, homes: dict[str, FileId]) -> None:
        if self._files.first_look:  # what was noted before has been looked at by now
            for path in homes:
                self._note_target(path)
        followed = self._registry.followed
        new = [path for path in homes if path not in followed]
        if new:
            self._registry.note_followed(new)

    # -- rotation ----------------------------------------------------------------------------------------

    def _look_for_older(self, known_now: list[Tail], now: float) -> None:
        """Find what was rotated before these files were known, and make it known as well.

        What is written down of a file says that the older ones are known. A log that was empty when it was
        opened may have been filled, copied and emptied since, while the engine took nothing.
        """
        homes = {tail.path for tail in known_now if not tail.is_pipe}
        if not homes:
            return
        for home in homes:
            self._rotated.begin(home, now)
        self._search_rotated(now)
        for tail in list(self._files.tails.values()):
            tail.identify(self._registry)

    def _search_rotated(self, now: float) -> None:
        """Look for what rotation made of files that are not where they were."""
        for home, paths in self._rotated.searches(now, only_once=self._options.once):
            reference = self._unknown_since(home)
            for path in paths:
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                file = status.st_dev, status.st_ino
                if file in self._files.tails or self._rotated.is_settled(status):
                    continue
                if any(tail.file == file for tail in self._files.remainders):
                    continue
                self._files.open(path, wanted=False, reference=reference)

    def _unknown_since(self, home: str) -> float | None:
        """Rotated files that were last written before this were there before us, or shipped long ago.

        Not when the newest file that is known was written: one may have been written later than others that
        came after it, and nobody got to know them.
        """
        times = [at for at in (self._registry.followed.get(home), self._registry.forgotten.get(home)) if at]
        return max(times) if times else None

    def _abandon_orphans(self) -> Iterator[tuple[Tail, Block]]:
        """Where no copy turns up, a half line that was read is all there is."""
        now = time.monotonic()
        for orphan in list(self._files.orphans):
            if self._options.once or now - orphan.since >= SEARCH_SECONDS:
                self._files.orphans.remove(orphan)
                for block in orphan.tail.flush(self._registry):
                    yield orphan.tail, block

    # -- ending ------------------------------------------------------------------------------------------

    def _has_fifo(self) -> bool:
        return any(path != STANDARD_INPUT for path in self._files.pipes)

    def _partial_is_due(self, tail: Tail) -> bool:
        if not tail.framer.has_partial_line and (tail.key is not None or tail.is_pipe):
            return False
        if tail.at_end and (self._options.once or tail.is_pipe):
            return True
        quiet = tail.at_end or tail.is_pipe
        return quiet and time.monotonic() - tail.grew_at >= self._options.partial_seconds

    def _give_up(self, tail: Tail, error: Exception) -> None:
        tail.damaged = True
        if tail.file not in self._told_damaged:
            self._told_damaged.add(tail.file)
            message = str(error) if isinstance(error, ShippingError) else f"{tail.source.path}: {error}"
            self._notify(f"{message}; its other lines are not read, unless it changes")
