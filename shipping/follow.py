"""Finds the files to read and keeps up with what becomes of them: rotated, emptied, deleted, made anew."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.errors import ShippingError
from shipping.framing import Block
from shipping.identity import Entry, find_same_file, is_rotated_name, same_content
from shipping.positions import Span
from shipping.registry import Registry
from shipping.sources import Pipe, Source, open_source
from shipping.tail import Tail, Truncated
from shipping.wanted import STANDARD_INPUT, WantedPaths

# How often the paths are looked at.
_SCAN_SECONDS = 0.1
# How long after a rotation its products are looked for: logrotate renames, copies and packs one after the
# other.
_SEARCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How to follow.

    Attributes:
        once: end at the end of each file instead of waiting for more.
        from_end: leave out what new files hold at the first look.
        read_bytes: how much is read at once.
        max_line_bytes: the longest line that is kept whole.
        partial_seconds: how long a half-written line waits for its newline.
        in_doubt_bytes: what an earlier shipper may have sent of a file without hearing that it arrived.
        close_seconds: after how long without growth a file is closed; it is opened again when it changes.
    """

    once: bool = False
    from_end: bool = False
    read_bytes: int = 1 << 18
    max_line_bytes: int = 1 << 20
    partial_seconds: float = 10.0
    in_doubt_bytes: int = 0
    close_seconds: float = 300.0


@dataclass(slots=True)
class _Orphan:
    """A file that was emptied before it was read to its end: the rest may be in a copy of it."""

    tail: Tail
    entry: Entry
    since: float


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
        self._tails: dict[tuple[int, int], Tail] = {}
        self._remainders: list[Tail] = []
        self._pipes: dict[str, Tail] = {}
        self._orphans: list[_Orphan] = []
        self._searching: dict[str, float] = {}
        self._settled: dict[tuple[int, int], tuple[int, float]] = {}
        self.met_again: deque[Span] = deque()
        self._first_scan = True
        self._next_scan = 0.0
        self.scan()
        self._first_scan = False

    @property
    def tails(self) -> list[Tail]:
        """All that is open."""
        return [*self._remainders, *self._tails.values(), *self._pipes.values()]

    @property
    def finished(self) -> bool:
        """Whether nothing more will come: with ``once``, or where all that is read are pipes that ended."""
        if not self._options.once and (len(self._pipes) < len(self._wanted.patterns) or self._has_fifo()):
            return False
        return not self._orphans and all(
            tail.damaged or (tail.at_end and not tail.framer.has_partial_line) for tail in self.tails
        )

    def scan(self) -> None:
        """Look for new, moved and vanished files, if it is time to."""
        now = time.monotonic()
        if now < self._next_scan:
            return
        self._next_scan = now + _SCAN_SECONDS
        present: dict[tuple[int, int], str] = {}
        for path in self._wanted.paths(now):
            self._look_at(path, present)
        for file, tail in self._tails.items():
            was, tail.attached = tail.attached, file in present
            if was and not tail.attached:
                self._searching[tail.path] = now + _SEARCH_SECONDS
        if self._first_scan:
            self._searching |= {
                entry.path: now + _SEARCH_SECONDS
                for entry in self._registry.entries
                if entry.path in present.values()
                or any(is_rotated_name(path, entry.path) for path in present.values())
                or entry.path in self._wanted.patterns
            }
        self._search_rotated(now)
        self._close_idle(now)

    def read(self) -> Iterator[tuple[Tail, Block]]:
        """One portion of every file, as blocks."""
        self._doubt_further()
        for tail in self.tails:
            if tail.damaged:
                continue
            try:
                blocks = tail.read(self._registry, self._options.read_bytes)
            except Truncated:
                self._truncated(tail)
                continue
            except (OSError, ShippingError) as error:
                self._give_up(tail, error)
                continue
            if not blocks and tail.at_end and self._partial_is_due(tail):
                blocks = tail.flush(self._registry)
            for block in blocks:
                yield tail, block
        yield from self._abandon_orphans()

    def _doubt_further(self) -> None:
        """Where lines were met that are there already, those that follow may be there as well."""
        tails = {tail.key: tail for tail in self.tails}
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
            for tail in self.tails
            if (size := tail.source.size) is not None
        }

    def close(self) -> None:
        """Close all files."""
        for tail in self.tails:
            tail.close()

    # -- finding -----------------------------------------------------------------------------------------

    def _look_at(self, path: str, present: dict[tuple[int, int], str]) -> None:
        if path == STANDARD_INPUT:
            if path not in self._pipes:
                self._pipes[path] = Tail(
                    Pipe(path, 0), path, entry=None, max_line_bytes=self._options.max_line_bytes
                )
            return
        if path in self._pipes:
            return
        try:
            status = os.stat(path)  # noqa: PTH116 - in the hot path of every scan
        except OSError as error:
            self._wanted.missing(path, error.strerror or str(error))
            return
        self._wanted.found(path)
        file = status.st_dev, status.st_ino
        if file in present and file in self._tails:
            return  # two names of one file
        present[file] = path
        if file in self._tails:
            return
        if self._settled.get(file) == (status.st_size, status.st_mtime):
            return
        self._open(path, wanted=True, reference=None)

    def _open(self, path: str, *, wanted: bool, reference: float | None) -> None:
        """Open a file and find out what of it is new.

        Args:
            path: where it is.
            wanted: it is one of those to be read; else it may be a rotated one of them.
            reference: for a rotated one that is not known: read it if it was written after this time.
        """
        try:
            if os.path.isdir(path):  # noqa: PTH112
                raise IsADirectoryError(21, "is a directory; name the files in it, or a glob")
            source = open_source(path)
        except OSError as error:
            if wanted:
                self._wanted.missing(path, error.strerror or str(error))
            return
        if isinstance(source, Pipe):
            self._pipes[path] = Tail(source, path, entry=None, max_line_bytes=self._options.max_line_bytes)
            return
        try:
            keep = self._recognise(source, wanted=wanted, reference=reference)
        except (EOFError, ShippingError) as error:
            # Still being packed, or damaged: it is looked at again while the search goes on.
            keep = False
            if wanted and self._options.once:
                source.close()
                raise ShippingError(f"{path}: {error}") from None
        if not keep:
            source.close()

    def _recognise(self, source: Source, *, wanted: bool, reference: float | None) -> bool:
        file = source.device, source.inode
        entries = self._registry.entries
        open_keys = {tail.key for tail in self.tails}
        orphans = {orphan.entry.key: orphan for orphan in self._orphans}
        entry = find_same_file(
            [entry for entry in entries if entry.key not in open_keys and entry.key not in orphans],
            device=file[0],
            inode=file[1],
            path=source.path,
            size=source.size,
            read_at=source.read_at,
        )
        if entry is not None:
            self._follow(source, entry.path, entry)
            return True
        related = [entry for entry in entries if is_rotated_name(source.path, entry.path)]
        for entry in reversed(related):
            orphan = orphans.get(entry.key)
            content = same_content(orphan.entry if orphan else entry, source.size, source.read_at)
            if content == "other":
                continue
            if entry.key in open_keys:
                return False  # a copy of what is being read, made before the original is emptied
            if orphan and source.size is not None and source.size < orphan.tail.framer.position:
                content = "shorter"
            if content == "shorter":
                self._settle(source)
                if orphan:  # all of the copy was read; a half line beyond it is nowhere else
                    orphan.since = -math.inf
                return False
            self._follow_rest(source, orphan.entry if orphan else entry)
            if orphan:
                self._orphans.remove(orphan)
            return True
        if not wanted and (reference is None or source.modified < reference):
            return False
        if source.size == 0 and not wanted:
            return False
        path = source.path if wanted else self._original_of(source.path)
        self._follow(source, path, None)
        return True

    def _original_of(self, path: str) -> str:
        return next((home for home in self._searching if is_rotated_name(path, home)), path)

    def _follow(self, source: Source, path: str, entry: Entry | None) -> None:
        known_before = entry is not None or self._first_scan
        tail = Tail(
            source,
            path,
            entry=entry,
            max_line_bytes=self._options.max_line_bytes,
            in_doubt_bytes=self._options.in_doubt_bytes if known_before else 0,
        )
        if entry is None and self._first_scan and self._options.from_end:
            tail.skip_to_end()
        self._tails[tail.file] = tail

    def _follow_rest(self, source: Source, entry: Entry) -> None:
        tail = Tail(
            source,
            entry.path,
            entry=entry,
            max_line_bytes=self._options.max_line_bytes,
            in_doubt_bytes=self._options.in_doubt_bytes,
        )
        tail.attached = False
        self._remainders.append(tail)
        self._settle(source)

    def _settle(self, source: Source) -> None:
        """Remember that nothing of this file is left to look at, unless it changes."""
        status = os.stat(source.path)  # noqa: PTH116
        self._settled[(source.device, source.inode)] = (status.st_size, status.st_mtime)

    # -- rotation ----------------------------------------------------------------------------------------

    def _search_rotated(self, now: float) -> None:
        """Look for what rotation made of files that are not where they were."""
        for home, until in list(self._searching.items()):
            live = {tail.key for tail in self._tails.values() if tail.attached}
            gone = [
                entry.modified
                for entry in self._registry.entries
                if entry.path == home and entry.key not in live
            ]
            # Rotated files that are older than the one we knew were there before us.
            reference = max(gone, default=None)
            for path in self._rotated_of(home):
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                file = status.st_dev, status.st_ino
                if file in self._tails or self._settled.get(file) == (status.st_size, status.st_mtime):
                    continue
                if any(tail.file == file for tail in self._remainders):
                    continue
                self._open(path, wanted=False, reference=reference)
            if now >= until or self._options.once:
                del self._searching[home]

    def _rotated_of(self, home: str) -> list[str]:
        """Rotated files of a path; packed ones last, because an unpacked twin is read more cheaply."""
        folder = os.path.dirname(home)  # noqa: PTH120
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            return []
        paths = [os.path.join(folder, name) for name in names]  # noqa: PTH118
        return sorted(
            (path for path in paths if is_rotated_name(path, home)), key=lambda path: (len(path), path)
        )

    def _truncated(self, tail: Tail) -> None:
        """Start the file over, and look for a copy that holds what was not read of it."""
        now = time.monotonic()
        reached = tail.reached()
        self._notify(f"{tail.path}: was emptied; reading it from its beginning")
        if tail in self._remainders:
            self._remainders.remove(tail)
            tail.close()
            return
        del self._tails[tail.file]
        if reached is not None:
            self._orphans.append(_Orphan(tail, reached, now))
            self._searching[tail.path] = now + _SEARCH_SECONDS
        fresh = Tail(tail.source, tail.path, entry=None, max_line_bytes=self._options.max_line_bytes)
        fresh.header = tail.header  # a log that is emptied while it is written gets no second one
        fresh.attached = tail.attached
        self._tails[fresh.file] = fresh
        self._next_scan = 0.0

    def _abandon_orphans(self) -> Iterator[tuple[Tail, Block]]:
        """Where no copy turns up, a half line that was read is all there is."""
        now = time.monotonic()
        for orphan in list(self._orphans):
            if self._options.once or now - orphan.since >= _SEARCH_SECONDS:
                self._orphans.remove(orphan)
                for block in orphan.tail.flush(self._registry):
                    yield orphan.tail, block

    # -- ending ------------------------------------------------------------------------------------------

    def _has_fifo(self) -> bool:
        return any(path != STANDARD_INPUT for path in self._pipes)

    def _partial_is_due(self, tail: Tail) -> bool:
        if not tail.framer.has_partial_line and tail.key is not None:
            return False
        if self._options.once or tail.is_pipe:
            return True
        return time.monotonic() - tail.grew_at >= self._options.partial_seconds

    def _give_up(self, tail: Tail, error: Exception) -> None:
        tail.damaged = True
        message = str(error) if isinstance(error, ShippingError) else f"{tail.source.path}: {error}"
        self._notify(f"{message}; its other lines are not read")

    def _close_idle(self, now: float) -> None:
        """Close what has not grown for long; a rest that was read to its end at once."""
        for tail in list(self._remainders):
            if tail.damaged or (tail.at_end and not tail.framer.has_partial_line):
                self._remainders.remove(tail)
                tail.close()
        if self._options.once:
            return
        for file, tail in list(self._tails.items()):
            idle = tail.at_end and not tail.framer.has_partial_line and tail.key is not None
            if (idle or tail.damaged) and now - tail.grew_at >= self._options.close_seconds:
                self._settled[file] = (tail.source.size or 0, tail.source.modified)
                del self._tails[file]
                tail.close()
