"""One file while it is read: where the reading stands, and whether it is still the same file."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import replace

from engine.errors import ShippingError
from shipping.formats import NO_HEADER, Header, header_before, is_header_only, runs_by_header
from shipping.framing import Block, LineFramer
from shipping.growth import Growth
from shipping.identity import HEAD_BYTES, TAIL_BYTES, Entry, Fingerprint, fingerprint, first_line, new_key
from shipping.positions import Span
from shipping.registry import Registry
from shipping.sources import CompressedFile, Pipe, PlainFile, Source, State


class Truncated(Exception):
    """The file was emptied: what is in it now is another log, to be read from its beginning."""


class Tail:
    """Reads one source from a position on.

    Attributes:
        path: what its lines are said to come from: the name under which the file was first seen.
        attached: the file is still where it is looked for.
        left_at: when it was no longer there, on the monotonic clock.
        growth: how fast it grows.
        damaged: it cannot be read any further.
        closed: it was let go of.
        seen: size on the disk and time of the last writing before it was last read; a later change shows.
        header: what the file said of the lines that come next.
        in_doubt_until: lines that begin before this offset may have been sent by an earlier shipper.
    """

    def __init__(
        self, source: Source, path: str, *, entry: Entry | None, max_line_bytes: int, in_doubt_bytes: int = 0
    ) -> None:
        self.path = path
        self.source = source
        self.attached = True
        self.left_at = time.monotonic()
        self.growth = Growth(self.left_at)
        self.damaged = self.closed = False
        self.at_end = False
        # Size and time of the last writing when it was found to hold nothing more.
        self._at_end_at: State | None = None
        self.seen = source.state
        self._entry = entry
        self._max_line_bytes = max_line_bytes
        self._head = b""
        self._is_empty = False
        # What was read last: where it has changed, the file was emptied and has grown beyond it since.
        self._before = b""
        self._reached = entry.tail if entry else Fingerprint(0, "")
        offset, state = (entry.offset, entry.state) if entry else (0, "start")
        self.framer = LineFramer(offset, state, max_line_bytes=max_line_bytes)
        self.in_doubt_until = offset + in_doubt_bytes
        self.header = entry.header if entry else NO_HEADER
        self._header_sought = False

    @property
    def key(self) -> str | None:
        """Its part of document ids; None until its first line is there."""
        return self._entry.key if self._entry else None

    @property
    def file(self) -> tuple[int, int]:
        """Device and inode."""
        return self.source.device, self.source.inode

    @property
    def grew_at(self) -> float:
        """When it last grew, on the monotonic clock; at first when it was opened."""
        return self.growth.grew_at

    @property
    def is_pipe(self) -> bool:
        """Whether it is standard input or a FIFO."""
        return isinstance(self.source, Pipe)

    def is_read(self) -> bool:
        """Whether all that it holds now was read, and what was read is kept in ``seen``."""
        if self.framer.has_partial_line or not self.at_end:
            return False
        if isinstance(self.source, PlainFile):
            self.seen = self.source.state
            return self.seen[0] == self.framer.position
        return self.key is not None or self._is_empty

    def begins_like(self, content: bytes) -> bool:
        """Whether some bytes begin like what was read of it, as far as both go."""
        length = min(len(self._head), len(content))
        return self._head[:length] == content[:length]

    def was_emptied(self) -> bool:
        """Whether it is shorter than what was read of it, or holds other bytes."""
        size, position = self.source.size, self.framer.position
        if size is None or size < position:
            return size is not None
        before = self.source.read_at(position - len(self._before), len(self._before))
        return before != self._before or not self._head_is_unchanged()

    def skip_to_end(self) -> None:
        """Leave out what is there already."""
        size = self.source.size or 0
        whole = size == 0 or self.source.read_at(size - 1, 1) == b"\n"
        self.framer = LineFramer(size, "start" if whole else "skipping", max_line_bytes=self._max_line_bytes)

    def read(self, registry: Registry, length: int) -> list[Block]:
        """The blocks that up to ``length`` further bytes complete.

        Raises Truncated when the file was emptied, OSError or ShippingError when it cannot be read.
        """
        state = None
        if isinstance(self.source, CompressedFile):
            self.seen = self.source.state
        elif isinstance(self.source, PlainFile):
            state = self.source.state
            if state == self._at_end_at:
                return []  # of a thousand logs, most do not grow just now
        self._at_end_at = None
        if self.key is None and not self._identify(registry, whole_line=True):
            self.at_end = not self.is_pipe or self._pipe_ended()
            self._at_end_at = state
            return []
        position = self.framer.position
        if state is not None and state[0] < position:
            raise Truncated
        before = self._before
        try:
            data = self.source.read_at(position - len(before), len(before) + length)
        except EOFError:
            data = self.source.cut_short if isinstance(self.source, CompressedFile) else b""
            if not data:
                raise _end_is_missing(self.source) from None
        if before:
            if not data.startswith(before):
                raise Truncated
            data = data[len(before) :]
        # Emptied just before or just after the bytes were read? They are of the old content unless the new
        # one has grown beyond the position already.
        if isinstance(self.source, PlainFile):
            if len(data) < length:
                self.source.hold_page(position + len(data))
            if self._head_is_unchanged():
                self.source.confirm_held()
            elif not data or self.source.size >= position:
                raise Truncated
        if data:
            if isinstance(self.source, PlainFile):
                self._before = data[-TAIL_BYTES:]
            self.growth.grew(len(data), time.monotonic())
            self.at_end = False
        else:
            self.at_end = not self.is_pipe or self._pipe_ended()
            self._at_end_at = state
        blocks = self._framed(self.framer.feed(data) if data else [])
        self._remember_growth(registry, position, data)
        return blocks

    def read_held(self) -> list[Block]:
        """Of a file that was emptied, the blocks of what had not been read and was held."""
        if not isinstance(self.source, PlainFile):
            return []
        held = self.source.take_held(self.framer.position, self._before)
        return self._framed(self.framer.feed(held))

    def identify(self, registry: Registry) -> None:
        """Take an entry in the registry, if enough of the file is there to tell it from others."""
        if self.key is None and not self.is_pipe:
            # What is wrong with a file is said when it is read.
            with contextlib.suppress(OSError, EOFError, ShippingError):
                self._identify(registry, whole_line=self.attached)

    def flush(self, registry: Registry) -> list[Block]:
        """Give out a half-written last line, flagged."""
        if self.key is None and not self._identify(registry, whole_line=False, at_last=True):
            return []
        whole: list[Block] = []
        if self.framer.position == 0 and isinstance(self.source, PlainFile):
            whole = self.framer.feed(self.source.read_at(0, HEAD_BYTES))
        return self._framed(whole + self.framer.flush())

    def parts(self, block: Block) -> list[tuple[Block, Header]]:
        """A block cut where the file names other columns, with what it said of each part; in order."""
        if self.header == NO_HEADER and block.offset and not self._header_sought and not self.is_pipe:
            self.header = header_before(self.source.read_at, block.offset)
        self._header_sought = True
        parts, self.header = runs_by_header(block, self.header)
        return parts

    def span(self, block: Block) -> Span:
        """The part of the file that a block is; raises ValueError before the file is identified."""
        if self.key is None:
            raise ValueError("no span before the first line")
        return Span(self.key, block.offset, block.end, block.state, _end_of(block), self.header)

    def reached(self) -> Entry | None:
        """The entry as of what has been read, acknowledged or not; without a half-written line."""
        if self._entry is None:
            return None
        return replace(
            self._entry,
            offset=self.framer.offset,
            state=self.framer.state,
            tail=self._reached,
            header=self.header,
        )

    def close(self) -> None:
        """Let go of the file."""
        self.closed = True
        self.source.close()

    # ----------------------------------------------------------------------------------------------------

    def _framed(self, blocks: list[Block]) -> list[Block]:
        if blocks:
            self._reached = _end_of(blocks[-1])
        return blocks

    def _pipe_ended(self) -> bool:
        return isinstance(self.source, Pipe) and self.source.ended

    def _identify(self, registry: Registry, *, whole_line: bool, at_last: bool = False) -> bool:
        if self.is_pipe:
            # Nothing of a pipe can be read twice, so its lines need ids that never come again.
            head = os.urandom(16)
        else:
            head = self._read_head()
            self._is_empty = not head
            complete = head.endswith(b"\n") or len(head) == HEAD_BYTES or first_line(head) != head
            if not head or (whole_line and not complete):
                return False
            # Nor does a header tell a file from others; so a line is waited for as long as for half a one.
            if not at_last and len(head) < HEAD_BYTES and head[-1:] == b"\n" and is_header_only(head):
                return False
        device, inode = self.file
        host = socket.gethostname()
        key = new_key(host, device, inode, head, registry.keys)
        self._entry = Entry(
            key,
            self.path,
            device,
            inode,
            fingerprint(head),
            self.framer.position,
            modified=self.source.modified,
            found_at="" if self.is_pipe else os.path.realpath(self.source.path),
        )
        self._head = b"" if self.is_pipe else head
        registry.put(self._entry, underivable=key != new_key(host, device, inode, head, ()))
        return True

    def _read_head(self) -> bytes:
        try:
            return self.source.read_at(0, HEAD_BYTES)
        except EOFError:
            head = self.source.cut_short if isinstance(self.source, CompressedFile) else b""
            if b"\n" not in head:
                raise _end_is_missing(self.source) from None
            return head

    def _head_is_unchanged(self) -> bool:
        if not self._head and self._entry is not None:
            head = self.source.read_at(0, self._entry.head.length)
            if not self._entry.head.matches(head):
                return False
            self._head = head
        return self.source.read_at(0, len(self._head)) == self._head

    def _remember_growth(self, registry: Registry, position: int, data: bytes) -> None:
        """Keep the fingerprint of the beginning as long as it may be, and the time of the last writing.

        The beginning is taken from what was read: what the file begins with by now may be another log.
        """
        if self._entry is None or self.is_pipe or not data:
            return
        growing = len(self._head) < HEAD_BYTES and position <= len(self._head)
        if growing and isinstance(self.source, PlainFile):
            self._head = (self._head[:position] + data)[:HEAD_BYTES]
            self._entry = replace(self._entry, head=fingerprint(self._head))
        self._entry = replace(self._entry, modified=self.source.modified)
        registry.put(self._entry)


def _end_of(block: Block) -> Fingerprint:
    """Of the bytes before a block's end, where the block holds them."""
    contiguous = block.offset + len(block.content) == block.end
    return fingerprint(block.content[-TAIL_BYTES:]) if block.content and contiguous else Fingerprint(0, "")


def _end_is_missing(source: Source) -> ShippingError:
    return ShippingError(f"{source.path}: the end of this packed file is missing")
