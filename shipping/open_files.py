"""The files that are open: which of what turns up is read on, read from its beginning, or not read at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import ShippingError
from shipping.identity import Entry, find_same_file, is_rotated_name, logs_before, may_hold_the_same
from shipping.recognition import Orphan, recognise
from shipping.registry import Registry
from shipping.rotated import FileId, RotatedFiles
from shipping.sources import Pipe, Source, State, open_source
from shipping.tail import Tail
from shipping.wanted import STANDARD_INPUT, WantedPaths


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


class OpenFiles:
    """What is read, by what it is.

    Attributes:
        tails: files that are, or were, in a log's place.
        remainders: rotated files of which the rest is read, once.
        pipes: standard input and FIFOs, by path.
        orphans: files that were emptied before they were read to their end, while the rest is looked for.
        first_look: what turns up was there before the shipper.
        postponed: something was not opened, because too many are open.
    """

    def __init__(
        self,
        registry: Registry,
        wanted: WantedPaths,
        rotated: RotatedFiles,
        options: FollowOptions,
        notify: Callable[[str], None],
    ) -> None:
        """Begin with none."""
        self._registry = registry
        self._wanted = wanted
        self._rotated = rotated
        self._options = options
        self._notify = notify
        self.tails: dict[FileId, Tail] = {}
        self.remainders: list[Tail] = []
        self.pipes: dict[str, Tail] = {}
        self.orphans: list[Orphan] = []
        self.first_look = True
        self.postponed = False
        self._told_many = False

    @property
    def all(self) -> list[Tail]:
        """All that is open."""
        return [*self.remainders, *self.tails.values(), *self.pipes.values()]

    def open_standard_input(self) -> None:
        """Read standard input, if it is not read yet."""
        if STANDARD_INPUT not in self.pipes:
            self._read_pipe(Pipe(STANDARD_INPUT, 0))

    def open(self, path: str, *, wanted: bool, reference: float | None) -> None:
        """Open a file and find out what of it is new.

        Args:
            path: where it is.
            wanted: it is one of those to be read; else it may be a rotated one of them.
            reference: for a rotated one that is not known: read it if it was written after this time.
        """
        if not self._make_room():
            self.postponed = True
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
            self._read_pipe(source)
            return
        state = source.state
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

    def _read_pipe(self, pipe: Pipe) -> None:
        limit = self._options.max_line_bytes
        self.pipes[pipe.path] = Tail(pipe, pipe.path, entry=None, max_line_bytes=limit)

    def _recognise(self, source: Source, state: State, *, wanted: bool, reference: float | None) -> bool:
        file = source.device, source.inode
        entries = self._registry.entries
        open_keys = {tail.key for tail in self.all}
        orphans = {orphan.entry.key for orphan in self.orphans}
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
        self._identify()
        logs = filter(self._wanted.is_wanted, logs_before(source.path))
        found = recognise(source, self._registry.entries, self.all, self.orphans, logs)
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
                self.orphans.remove(found.orphan)
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
        return not any(may_hold_the_same(path, tail.path) for tail in self.all)

    def _identify(self) -> None:
        """Make known what is open, or a copy that turns up would be taken for another log."""
        for tail in self.tails.values():
            if tail.key is None and tail.source.size != 0:
                tail.identify(self._registry)

    def _follow(self, source: Source, path: str, entry: Entry | None) -> None:
        known_before = entry is not None or self.first_look
        tail = Tail(
            source,
            path,
            entry=entry,
            max_line_bytes=self._options.max_line_bytes,
            in_doubt_bytes=self._options.in_doubt_bytes if known_before else 0,
        )
        if entry is None and self.first_look and self._options.from_end:
            tail.skip_to_end()
        self.tails[tail.file] = tail

    def _follow_rest(self, source: Source, state: State, entry: Entry) -> None:
        tail = Tail(
            source,
            entry.path,
            entry=entry,
            max_line_bytes=self._options.max_line_bytes,
            in_doubt_bytes=self._options.in_doubt_bytes,
        )
        tail.attached = False
        self.remainders.append(tail)
        self._rotated.settle(tail.file, state)

    def start_over(self, tail: Tail) -> None:
        """Start the file over, and look for a copy that holds what was not read of it."""
        now = time.monotonic()
        reached = tail.reached()
        self._notify(f"{tail.path}: was emptied; reading it from its beginning")
        if tail in self.remainders:
            self.remainders.remove(tail)
            tail.close()
            return
        self.tails.pop(tail.file, None)
        if reached is not None:
            self.orphans.append(Orphan(tail, reached, now))
            self._rotated.begin(tail.path, now)
        fresh = Tail(tail.source, tail.path, entry=None, max_line_bytes=self._options.max_line_bytes)
        fresh.header = tail.header  # a log that is emptied while it is written gets no second one
        fresh.attached = tail.attached
        self.tails[fresh.file] = fresh

    def close_idle(self, now: float) -> None:
        """Close what is no longer where it was and has not grown for long; a rest that was read at once.

        A log in its place stays open: its writer may be about to write, rename and write once more.
        """
        for tail in list(self.remainders):
            if tail.damaged or tail.is_read():
                self.remainders.remove(tail)
                tail.close()
        if self._options.once:
            return
        for tail in list(self.tails.values()):
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
        del self.tails[tail.file]
        tail.close()
        return True

    def _make_room(self) -> bool:
        """See that one more file may be open; closes the one that has not grown for the longest time."""
        if len(self.tails) + len(self.remainders) < self._options.most_open:
            return True
        by_growth = sorted(self.tails.values(), key=lambda tail: tail.grew_at)
        return any(self._close(tail) for tail in by_growth)
