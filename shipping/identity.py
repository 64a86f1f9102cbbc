"""Which file is which, through renames, copies, truncation and compression. Pure; bytes come from callbacks.

A file is known by device and inode, and by what it holds: the fingerprint of its first bytes and of the
bytes before the position reached. A name says nothing, except that a rotated file is called after the one
it was.
"""

from __future__ import annotations

import base64
import hashlib
import os.path
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from shipping.formats import NO_HEADER, Header
from shipping.framing import LineState

# How much of the beginning is compared (Filebeat's fingerprint takes as much), and how much before the
# position.
HEAD_BYTES = 1024
TAIL_BYTES = 256

# Suffixes of whole files that are unpacked while they are read.
COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")

_ROTATION_MARK = r"(?:\d[\d._:T+-]*?Z?|old|prev|bak)"
# At the end, or before the suffix.
_ROTATION_MARKS = (rf"[._-]{_ROTATION_MARK}", rf"[._-]{_ROTATION_MARK}(\.[^./]+)")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of some bytes, and how many they are."""

    length: int
    digest: str

    def matches(self, content: bytes) -> bool:
        """Whether these are the bytes."""
        return len(content) == self.length and fingerprint(content) == self


def fingerprint(content: bytes) -> Fingerprint:
    """Digest bytes."""
    return Fingerprint(len(content), hashlib.blake2b(content, digest_size=12).hexdigest())


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of one file.

    Attributes:
        key: its part of document ids.
        path: where it was when it was first seen.
        device, inode: of the file that was read.
        head: fingerprint of its beginning.
        offset: bytes that the engine has acknowledged.
        tail: fingerprint of the bytes before ``offset``.
        state: in which line ``offset`` lies.
        modified: when the file was last written, seconds since the epoch, as far as it was seen.
        header: what the file said of the lines at ``offset``.
        found_at: where it was when it was last opened, links followed.
    """

    key: str
    path: str
    device: int
    inode: int
    head: Fingerprint
    offset: int = 0
    tail: Fingerprint = Fingerprint(0, "")
    state: LineState = "start"
    modified: float = 0.0
    header: Header = NO_HEADER
    found_at: str = ""


def first_line(head: bytes) -> bytes:
    """The bytes that a key is made of: the first line, at most HEAD_BYTES of it.

    Not all of HEAD_BYTES, so that the key of a file is the same however short the file was when it was met.
    """
    head = head[:HEAD_BYTES]
    newline = head.find(b"\n")
    return head[: newline + 1] if newline >= 0 else head


def new_key(host: str, device: int, inode: int, head: bytes, taken: Collection[str]) -> str:
    """The key of a file not known yet: 12 characters of URL-safe base64, from host, inode and first line.

    With the offset in 12 digits it makes ids that the engines store packed in 18 bytes, and that ascend
    within a file. Measured through the pipeline (``bench/shipping.py --ids``, 60,000 lines), they cost no
    more than the engine's own; nor, at that size, did UUIDs or digests.

    The same file gets the same key even where the registry is lost, so that its lines are recognised as
    sent. A file that begins like an earlier one on the same inode (it was emptied and written again) gets
    the next key. The host is part of it because containers made of one image have the same devices and
    inodes, and logs with a header the same first line.
    """
    line = first_line(head)
    generation = 0
    while True:
        text = b"%s:%d:%d:%d:%s" % (host.encode(), device, inode, generation, line)
        key = base64.urlsafe_b64encode(hashlib.blake2b(text, digest_size=9).digest()).decode()
        if key not in taken:
            return key
        generation += 1


ReadAt = Callable[[int, int], bytes]


def same_content(entry: Entry, size: int | None, read_at: ReadAt) -> Literal["same", "shorter", "other"]:
    """Compare a file with what an entry remembers of its content.

    Args:
        entry: the entry.
        size: of the file's content in bytes; None where only reading tells (compressed).
        read_at: returns up to so many bytes (second) from an offset (first).

    Returns:
        "same": it holds all that was acknowledged, and may hold more; "shorter": it begins alike and ends
        before that; "other".
    """
    if not entry.head.matches(read_at(0, entry.head.length)):
        return "other"
    if size is not None and size < entry.offset:
        return "shorter"
    before = read_at(entry.offset - entry.tail.length, entry.tail.length) if entry.tail.length else b""
    if len(before) < entry.tail.length:
        return "shorter"
    return "same" if not entry.tail.length or entry.tail.matches(before) else "other"


def is_rotated_name(candidate: str, original: str) -> bool:
    """Whether ``candidate`` is what a rotation makes of the path ``original``.

    ``access.log`` becomes ``access.log.1``, ``access.log-20240131``, ``access.log.2.gz``,
    ``access-20240131.log`` (with logrotate's ``extension``) or ``access.1.log``; in the same folder.
    """
    # Asked for every pair of a file and a name, so what costs little comes first.
    begin = _beginning(original)
    if not candidate.startswith(begin) or "/" in candidate[len(begin) :] or candidate == original:
        return False
    return _rotated_names(original).fullmatch(candidate) is not None


def may_hold_the_same(candidate: str, path: str) -> bool:
    """Whether, by its name, a file may be a rotated, copied or packed one of what was met at a path.

    That may have been a rotated file itself, where a glob names these, too.
    """
    names = logs_before(candidate)
    return path in names or not names.isdisjoint(logs_before(path))


@lru_cache(maxsize=4096)
def logs_before(path: str) -> frozenset[str]:
    """What a file may have been called before it was rotated or packed, if its name says that it was."""
    plain, suffix = os.path.splitext(path)  # noqa: PTH122
    if suffix not in COMPRESSED_SUFFIXES:
        plain = path
    found = [re.fullmatch(rf"(.+?){mark}", plain) for mark in _ROTATION_MARKS]
    names = {"".join(match.groups(default="")) for match in found if match}
    return frozenset({*names, plain} - {path})


@lru_cache(maxsize=4096)
def _beginning(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122


@lru_cache(maxsize=4096)
def _rotated_names(name: str) -> re.Pattern[str]:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    packed = "|".join(map(re.escape, COMPRESSED_SUFFIXES))
    after = rf"{re.escape(name)}[._-]{_ROTATION_MARK}"
    inside = rf"{re.escape(stem)}[._-]{_ROTATION_MARK}{re.escape(suffix)}"
    return re.compile(rf"(?:{after}|{inside})(?:{packed})?")


def find_same_file(
    entries: Iterable[Entry], *, device: int, inode: int, path: str, size: int | None, read_at: ReadAt
) -> Entry | None:
    """The entry of this very file, by device, inode and content; None where it is another.

    Device numbers may change when a machine starts again: an entry of the same path and inode counts too.
    """
    for entry in entries:
        here = entry.inode == inode and (entry.device == device or entry.path == path)
        if here and same_content(entry, size, read_at) == "same":
            return entry
    return None
