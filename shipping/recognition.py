"""Tells what an unknown file is: a copy of what is being read, the rest of a log that was emptied, or new.

Names only say what may be related. Whether it is, the content says; and where that is no more than a header,
which all files of a log begin with, it says nothing.
"""

from __future__ import annotations

import os.path
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from shipping.formats import is_header_only
from shipping.identity import TAIL_BYTES, Entry, may_hold_the_same, same_content
from shipping.sources import CompressedFile, PlainFile, Source
from shipping.tail import Tail

# So much of two open files is compared; packed ones are unpacked for it.
_COMPARED_BYTES = 1 << 16


@dataclass(slots=True)
class Orphan:
    """A file that was emptied before it was read to its end: the rest may be in a copy of it."""

    tail: Tail
    entry: Entry
    since: float


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file is.

    Attributes:
        what: "copy" of what is being read, made before the original is emptied; "rest": it holds what was
            not read of a file that is gone; "nothing": all of it was read; "empty": what will be in it tells;
            "new".
        entry: of the file that it holds the rest of.
        orphan: that file, where it was emptied while it was followed.
    """

    what: Literal["copy", "rest", "nothing", "empty", "new"]
    entry: Entry | None = None
    orphan: Orphan | None = None


NEW = Recognised("new")
_COPY = Recognised("copy")
_EMPTY = Recognised("empty")


def recognise(
    source: Source,
    entries: Sequence[Entry],
    tails: Collection[Tail],
    orphans: Iterable[Orphan],
    logs: Iterable[str] = (),
) -> Recognised:
    """Compare a file that is not known by device and inode with those that are.

    Args:
        source: the file.
        entries: of all files that are known.
        tails: those that are open.
        orphans: those that were emptied before they were read to their end.
        logs: paths of those that it may be a copy of: one may have come into its place just now.

    Raises EOFError, OSError or ShippingError where the file cannot be read.
    """
    content = _beginning_of(source)
    if not content:
        return _EMPTY
    for tail in tails:
        if tail.file == (source.device, source.inode):
            return _COPY  # that very file, of which the rest is being read
        if may_hold_the_same(source.path, tail.path) and _is_copy_of(tail, source, content):
            return _COPY
    compared = {tail.key for tail in tails if isinstance(tail.source, PlainFile)}
    unpacked = {tail.key for tail in tails} - compared
    emptied = {orphan.entry.key: orphan for orphan in orphans}
    for entry in reversed(entries):
        if entry.key in compared or not may_hold_the_same(source.path, entry.path):
            continue
        orphan = emptied.get(entry.key)
        last = orphan.entry if orphan else entry
        known = same_content(last, source.size, source.read_at)
        if known == "other" or (orphan is None and _only_header_is_same(last, source)):
            continue
        if entry.key in unpacked:
            return _COPY
        if orphan and source.size is not None and source.size < orphan.tail.framer.position:
            known = "shorter"
        return Recognised("nothing" if known == "shorter" else "rest", last, orphan)
    return _COPY if any(_is_copy_of_log(path, source, content) for path in logs) else NEW


def _is_copy_of(tail: Tail, source: Source, content: bytes) -> bool:
    """Whether a file begins as an open one does, as far as it goes."""
    if not isinstance(tail.source, PlainFile):
        return False
    # With what the open one holds now, where it will be read: that may be another log than was read of it.
    if _begin_alike(source, tail.source, content):
        return True
    if not tail.begins_like(content) or not tail.was_emptied():
        return False
    # It was emptied, perhaps while the two were compared, and nobody has noticed yet. The copy is looked at
    # again.
    reached = tail.reached()
    return reached is not None and same_content(reached, source.size, source.read_at) != "other"


def _is_copy_of_log(path: str, source: Source, content: bytes) -> bool:
    """Whether a file begins as a log does that is at a path by now, open or not."""
    if not os.path.isfile(path):  # noqa: PTH113 - to open a FIFO is to wait
        return False
    try:
        log = PlainFile(path)
    except OSError:
        return False
    try:
        return _begin_alike(source, log, content)
    finally:
        log.close()


def _begin_alike(source: Source, original: PlainFile, content: bytes) -> bool:
    """Whether a file that begins with ``content`` holds what the original begins with."""
    size = source.size
    if size is not None and not 0 < size <= original.size:
        return False
    if not content or original.read_at(0, len(content)) != content:
        return False
    end = max(0, (size or 0) - TAIL_BYTES)
    return size is None or source.read_at(end, TAIL_BYTES) == original.read_at(end, size - end)


def _beginning_of(source: Source) -> bytes:
    try:
        return source.read_at(0, _COMPARED_BYTES)
    except EOFError:  # it is still being packed
        begun = source.cut_short if isinstance(source, CompressedFile) else b""
        if b"\n" not in begun:
            raise
        return begun


def _only_header_is_same(entry: Entry, source: Source) -> bool:
    """Whether nothing is known of a file but the header that it shares with this one, which has lines."""
    head = source.read_at(0, entry.head.length + 1)
    return len(head) > entry.head.length and is_header_only(head[: entry.head.length])
