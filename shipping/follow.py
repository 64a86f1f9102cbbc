"""Finds the files to read and keeps up with what becomes of them: rotated, emptied, deleted, made anew."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.errors import ShippingError
from shipping.framing import Block
from shipping.identity import Entry, find_same_file, is_rotated_name, may_hold_the_same
from shipping.positions import Span
from shipping.recognition import Orphan, recognise
from shipping.registry import Registry
from shipping.rotated import SEARCH_SECONDS, FileId, RotatedFiles, rotated_of
from shipping.sources import Pipe, Source, open_source
from shipping.tail import Tail, Truncated, state_of
from shipping.wanted import STANDARD_INPUT, WantedPaths

# How often the paths are looked at.
_SCAN_SECONDS = 0.1
# For so long after it grew, a log counts as growing.
_GROWING_SECONDS = 1.0
# How much of a pipe is read when it is left: as much as Linux lets one hold.
_PIPE_BYTES = 1 << 20


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
        close_seconds: after how long without growth a file that is no longer in its place is closed; it is
            opened again when it changes.
        most_open: how many files may be open at once; beyond, those that do not grow are closed.
    """

    once: bool = False
    from_end: bool = False
    read_bytes: int = 1 << 18
    max_line_bytes: int = 1 << 20
    partial_seconds: float = 10.0
    in_doubt_bytes: int = 0
    close_seconds: float = 300.0
    most_open: int = 4096


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
        self._tails: dict[FileId, Tail] = {}
        self._remainders: list[Tail] = []
        self._pipes: dict[str, Tail] = {}
        self._orphans: list[Orphan] = []
        self._rotated = RotatedFiles()
        self._homes: dict[str, FileId] = {}
        self._told_damaged: set[FileId] = set()
        self._postponed = False
        self._told_many = False
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
        return not (self._orphans or self._postponed) and all(
            tail.damaged or (tail.at_end and not tail.framer.has_partial_line) for tail in self.tails
        )

    def scan(self) -> None:
        """Look for new, moved and vanished files, if it is time to."""
        now = time.monotonic()
        if now < self._next_scan:
            return
        self._next_scan = now + _SCAN_SECONDS
        self._postponed = False
        present: dict[FileId, str] = {}
        homes: dict[str, FileId] = {}
        for path in self._wanted.paths(now):
            file = self._look_at(path, present)
            if file is not None:
                homes[path] = file
        self._notice_rotations(present, homes, now)
        if self._first_scan:
            self._search_what_was_missed(list(present.values()), now)
        self._remember_homes(homes)
        self._search_rotated(now)
        self._close_idle(now)
        unknown = [tail for tail in self._tails.values() if tail.key is None]
        for tail in unknown:
            tail.identify(self._registry)
        self._look_for_older([tail for tail in unknown if tail.key is not None], now)
        self._registry.save_new()

    def read(self) -> Iterator[tuple[Tail, Block]]:
        """One portion of every file, as blocks."""
        self._doubt_further()
        for tail in self.tails:
            # Files come and go while the one who takes the blocks waits for the engine.
            if tail.damaged or tail.closed:
                continue
            was_known = tail.key is not None
            try:
                blocks = tail.read(self._registry, self._options.read_bytes)
            except Truncated:
                yield from ((tail, block) for block in tail.read_held())
                self._truncated(tail)
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
                for tail in self._tails.values()
                if now - tail.grew_at < _GROWING_SECONDS
            ),
            default=math.inf,
        )

    def leave_pipes(self) -> Iterator[tuple[Tail, Block]]:
        """What pipes hold still, with the half line at the end: when they are left, it is gone."""
        for tail in self._pipes.values():
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

    def _look_at(self, path: str, present: dict[FileId, str]) -> FileId | None:
        """Open what is new; returns which file a path leads to, if it leads to one."""
        if path == STANDARD_INPUT:
            if path not in self._pipes:
                self._pipes[path] = Tail(
                    Pipe(path, 0), path, entry=None, max_line_bytes=self._options.max_line_bytes
                )
            return None
        if path in self._pipes:
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
        if file in present and file in self._tails:
            return file  # two names of one file
        present[file] = path
        if file not in self._tails and not self._rotated.is_settled(status):
            self._open(path, wanted=True, reference=None)
            if not self._first_scan:
                self._note_target(path)
        return file

    def _notice_rotations(self, present: dict[FileId, str], homes: dict[str, FileId], now: float) -> None:
        for file, tail in self._tails.items():
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
            self._open(target, wanted=False, reference=0.0)
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
        if status.st_ino == entry.inode and status.st_size > entry.offset and file not in self._tails:
            self._open(entry.found_at, wanted=False, reference=None)

    @property
    def _targets_left(self) -> list[str]:
        """Where links led that lead elsewhere now."""
        moved = []
        for path, targets in self._registry.targets.items():
            for target in targets if self._wanted.is_wanted(path) else ():
                with contextlib.suppress(OSError):
                    status = os.stat(target)  # noqa: PTH116
                    if (status.st_dev, status.st_ino) not in self._tails:
                        moved.append(target)
        return moved

    def _settle_path(self, path: str) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return
        file = status.st_dev, status.st_ino
        if file not in self._tails:
            self._rotated.settle(file, (status.st_size, status.st_mtime))

    def _note_target(self, path: str) -> None:
        if os.path.islink(path):  # noqa: PTH114
            self._registry.note_target(path, os.path.realpath(path))

    def _remember_homes(self, homes: dict[str, FileId]) -> None:
        if self._first_scan:  # what was noted before has been looked at by now
            for path in homes:
                self._note_target(path)
        followed = self._registry.followed
        new = [path for path in homes if path not in followed]
        if new:
            self._registry.note_followed(new)

    def _open(self, path: str, *, wanted: bool, reference: float | None) -> None:
        """Open a file and find out what of it is new.

        Args:
            path: where it is.
            wanted: it is one of those to be read; else it may be a rotated one of them.
            reference: for a rotated one that is not known: read it if it was written after this time.
        """
        if not self._make_room():
            self._postponed = True
            if not self._told_many:
                self._told_many = True
                self._notify(
                    f"{self._options.most_open} files are open, which is all that the system's limit allows "
                    "(ulimit -n); the others are read in turn"
                )
            return
        try:
            source = open_source(path)
        except OSError as error:
            if wanted:
                self._wanted.missing(path, error.strerror or str(error))
            return
        if isinstance(source, Pipe):
            self._pipes[path] = Tail(source, path, entry=None, max_line_bytes=self._options.max_line_bytes)
            return
        state = state_of(source)
        try:
            keep = self._recognise(source, state, wanted=wanted, reference=reference)
        except (EOFError, OSError, ShippingError) as error:
            # Still being packed, or damaged: it is looked at again once it has changed.
            keep = False
            self._rotated.settle((source.device, source.inode), state)
            if wanted and self._options.once:
                source.close()
                raise ShippingError(f"{path}: {error}") from None
        if not keep:
            source.close()

    def _recognise(
        self, source: Source, state: tuple[int, float], *, wanted: bool, reference: float | None
    ) -> bool:
        file = source.device, source.inode
        entries = self._registry.entries
        open_keys = {tail.key for tail in self.tails}
        orphans = {orphan.entry.key for orphan in self._orphans}
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
        self._identify_opened()
        found = recognise(source, self._registry.entries, self.tails, self._orphans)
        if found.what == "copy":
            return False
        if found.what == "nothing":
            self._rotated.settle(file, state)
            if found.orphan:  # all of the copy was read; a half line beyond it is nowhere else
                found.orphan.since = -math.inf
            return False
        if found.entry is not None:
            self._follow_rest(source, state, found.entry)
            if found.orphan:
                self._orphans.remove(found.orphan)
            return True
        if not wanted and (reference is None or source.modified < reference):
            return False
        if any(
            source.modified <= at and is_rotated_name(source.path, home)
            for home, at in self._registry.forgotten.items()
        ):
            return False
        if found.what == "empty" and not (wanted and self._is_a_log_of_its_own(source.path)):
            return False
        path = source.path if wanted else self._rotated.home_of(source.path)
        self._follow(source, path, None)
        return True

    def _is_a_log_of_its_own(self, path: str) -> bool:
        """Whether, by its name, it is no copy that is about to be made of a log that is open."""
        return not any(may_hold_the_same(path, tail.path) for tail in self.tails)

    def _identify_opened(self) -> None:
        """Make known what is open, or a copy that turns up would be taken for another log."""
        for tail in self._tails.values():
            if tail.key is None and tail.source.size != 0:
                tail.identify(self._registry)

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

    def _follow_rest(self, source: Source, state: tuple[int, float], entry: Entry) -> None:
        tail = Tail(
            source,
            entry.path,
            entry=entry,
            max_line_bytes=self._options.max_line_bytes,
            in_doubt_bytes=self._options.in_doubt_bytes,
        )
        tail.attached = False
        self._remainders.append(tail)
        self._rotated.settle(tail.file, state)

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
        for tail in list(self._tails.values()):
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
                if file in self._tails or self._rotated.is_settled(status):
                    continue
                if any(tail.file == file for tail in self._remainders):
                    continue
                self._open(path, wanted=False, reference=reference)

    def _unknown_since(self, home: str) -> float | None:
        """Rotated files that were last written before this were there before us, or shipped long ago.

        Not when the newest file that is known was written: one may have been written later than others that
        came after it, and nobody got to know them.
        """
        times = [at for at in (self._registry.followed.get(home), self._registry.forgotten.get(home)) if at]
        return max(times) if times else None

    def _truncated(self, tail: Tail) -> None:
        """Start the file over, and look for a copy that holds what was not read of it."""
        now = time.monotonic()
        reached = tail.reached()
        self._notify(f"{tail.path}: was emptied; reading it from its beginning")
        if tail in self._remainders:
            self._remainders.remove(tail)
            tail.close()
            return
        self._tails.pop(tail.file, None)
        if reached is not None:
            self._orphans.append(Orphan(tail, reached, now))
            self._rotated.begin(tail.path, now)
        fresh = Tail(tail.source, tail.path, entry=None, max_line_bytes=self._options.max_line_bytes)
        fresh.header = tail.header  # a log that is emptied while it is written gets no second one
        fresh.attached = tail.attached
        self._tails[fresh.file] = fresh
        self._next_scan = 0.0

    def _abandon_orphans(self) -> Iterator[tuple[Tail, Block]]:
        """Where no copy turns up, a half line that was read is all there is."""
        now = time.monotonic()
        for orphan in list(self._orphans):
            if self._options.once or now - orphan.since >= SEARCH_SECONDS:
                self._orphans.remove(orphan)
                for block in orphan.tail.flush(self._registry):
                    yield orphan.tail, block

    # -- ending ------------------------------------------------------------------------------------------

    def _has_fifo(self) -> bool:
        return any(path != STANDARD_INPUT for path in self._pipes)

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

    def _close_idle(self, now: float) -> None:
        """Close what is no longer where it was and has not grown for long; a rest that was read at once.

        A log in its place stays open: its writer may be about to write, rename and write once more.
        """
        for tail in list(self._remainders):
            if tail.damaged or tail.is_read():
                self._remainders.remove(tail)
                tail.close()
        if self._options.once:
            return
        for tail in list(self._tails.values()):
            idle = not tail.attached and now - max(tail.grew_at, tail.left_at) >= self._options.close_seconds
            if tail.damaged or idle:
                self._close(tail)

    def _close(self, tail: Tail) -> bool:
        """Close a file of which nothing is left to do; it is opened again when it changes."""
        if not tail.damaged and not tail.is_read():
            return False
        if tail.key is not None and not self._registry.is_idle(tail.key):
            return False
        self._rotated.settle(tail.file, tail.seen)
        del self._tails[tail.file]
        tail.close()
        return True

    def _make_room(self) -> bool:
        """See that one more file may be open; closes the one that has not grown for the longest time."""
        if len(self._tails) + len(self._remainders) < self._options.most_open:
            return True
        by_growth = sorted(self._tails.values(), key=lambda tail: tail.grew_at)
        return any(self._close(tail) for tail in by_growth)
