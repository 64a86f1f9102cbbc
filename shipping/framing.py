"""From bytes to lines, with the offset of each. Pure: whoever reads hands the bytes in, in any portions.

Lines travel in blocks, because handling them one by one is what makes a shipper slow: a block is a run of
whole lines as they lie in the file. A line that is not as usual (too long, or without its end) is a block
of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# Set in `log.flags`, as Filebeat does for a line that it cut.
FLAG_TRUNCATED = "truncated"  # longer than the limit; what came after the limit is left out
FLAG_PARTIAL = "partial"  # the end of the line had not been written yet
FLAG_CONTINUATION = "continuation"  # what followed a partial line once it was written

_HOLE = re.compile(rb"(?:\A|(?<=\n))\0+")

# In which line a position lies: at the start of one, in one whose beginning has been sent, or in the part
# of a too long one that is left out.
LineState = Literal["start", "continued", "skipping"]


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines from one place of a file.

    Attributes:
        offset: bytes before its first line.
        content: the lines, each with its newline; a flagged line without. Empty where the bytes up to ``end``
            hold nothing to send.
        end: bytes before what follows the block.
        flags: of the one line that it holds; () for a run of ordinary lines.
        state: in which line ``end`` lies.
    """

    offset: int
    content: bytes
    end: int
    flags: tuple[str, ...] = ()
    state: LineState = "start"

    @property
    def is_ordinary(self) -> bool:
        """Whether it holds whole lines only."""
        return not self.flags


class LineFramer:
    """Cuts the bytes of one file into blocks, however they arrive.

    Every byte is fed exactly once, in order; ``position`` is the offset of the byte expected next.
    """

    def __init__(self, offset: int = 0, state: LineState = "start", *, max_line_bytes: int = 1 << 20) -> None:
        self._offset = offset
        self._state = state
        self._pending = b""
        self._limit = max_line_bytes

    @property
    def position(self) -> int:
        """Offset of the next byte to feed."""
        return self._offset + len(self._pending)

    @property
    def offset(self) -> int:
        """Offset of the first byte that no block holds yet."""
        return self._offset

    @property
    def state(self) -> LineState:
        """In which line ``offset`` lies."""
        return self._state

    @property
    def has_partial_line(self) -> bool:
        """Whether bytes wait for their newline."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[Block]:
        """Take the next bytes; returns the blocks that they complete."""
        data = self._pending + data if self._pending else data
        self._pending = b""
        blocks: list[Block] = []
        if self._state != "start":
            data = self._end_open_line(data, blocks)
        if data[:1] == b"\0" or b"\n\0" in data:
            data = self._pass_over_holes(data, blocks)
        end = data.rfind(b"\n") + 1
        if end:
            self._take_whole_lines(data[:end], blocks)
        rest = data[end:]
        if len(rest) > self._limit and self._state == "start":
            blocks.append(self._cut(rest, len(rest), "skipping"))
        else:
            self._pending = rest
        return blocks

    def flush(self) -> list[Block]:
        """Give out the bytes that wait for their newline, flagged; at the end or after a time-out."""
        if not self._pending:
            return []
        content, self._pending = self._pending, b""
        flag = FLAG_PARTIAL if self._state == "start" else FLAG_CONTINUATION
        return [self._block(content, len(content), (flag,), "continued")]

    def _end_open_line(self, data: bytes, blocks: list[Block]) -> bytes:
        newline = data.find(b"\n")
        if self._state == "skipping":
            taken = newline + 1 or len(data)
            if taken:
                blocks.append(self._block(b"", taken, (), "start" if newline >= 0 else "skipping"))
            return data[taken:]
        if newline < 0:
            if len(data) > self._limit:
                cut = (FLAG_CONTINUATION, FLAG_TRUNCATED)
                blocks.append(self._block(data[: self._limit], len(data), cut, "skipping"))
                return b""
            return data
        rest = data[:newline].removesuffix(b"\r")
        # Nothing but the newline was missing: the partial line was whole.
        flags: tuple[str, ...] = (FLAG_CONTINUATION,) if rest else ()
        if len(rest) > self._limit:
            rest, flags = rest[: self._limit], (FLAG_CONTINUATION, FLAG_TRUNCATED)
        blocks.append(self._block(rest, newline + 1, flags, "start"))
        return data[newline + 1 :]

    def _pass_over_holes(self, data: bytes, blocks: list[Block]) -> bytes:
        """Leave out NULs before lines: a file that was emptied has them up to where its writer went on."""
        at = 0
        for hole in _HOLE.finditer(data):
            if hole.start() > at:
                self._take_whole_lines(data[at : hole.start()], blocks)
            at = hole.end()
            blocks.append(self._block(b"", at - hole.start(), (), "start"))
        return data[at:]

    def _take_whole_lines(self, lines: bytes, blocks: list[Block]) -> None:
        start = 0
        if len(lines) > self._limit:  # only then one of them can be too long
            at = 0
            for line in lines[:-1].split(b"\n"):
                if len(line) > self._limit:
                    if at > start:
                        blocks.append(self._block(lines[start:at], at - start, (), "start"))
                    blocks.append(self._cut(line, len(line) + 1, "start"))
                    start = at + len(line) + 1
                at += len(line) + 1
        if start < len(lines):
            blocks.append(self._block(lines[start:], len(lines) - start, (), "start"))

    def _cut(self, line: bytes, taken: int, state: LineState) -> Block:
        return self._block(line[: self._limit], taken, (FLAG_TRUNCATED,), state)

    def _block(self, content: bytes, taken: int, flags: tuple[str, ...], state: LineState) -> Block:
        block = Block(self._offset, content, self._offset + taken, flags, state)
        self._offset = block.end
        self._state = state
        return block
