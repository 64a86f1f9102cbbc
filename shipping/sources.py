"""The edge to the file system: what lines are read from, each read in one direction and in portions."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import select
import stat
import time
import zlib
from pathlib import Path
from typing import IO, Protocol

import zstandard

from engine.errors import ShippingError
from shipping.held_page import HeldPage, hold_page
from shipping.identity import COMPRESSED_SUFFIXES

State = tuple[int, int]
"""Size on the disk in bytes, and time of the last writing in nanoseconds since the epoch."""


def state_of(status: os.stat_result) -> State:
    """The state of a file."""
    return status.st_size, status.st_mtime_ns


class Source(Protocol):
    """Something with bytes in it.

    ``path`` is where it was opened; ``device`` and ``inode`` say which file it is (0 where it is none).
    """

    path: str
    device: int
    inode: int

    @property
    def size(self) -> int | None:
        """Bytes that it holds now; None where only reading tells."""
        ...

    @property
    def state(self) -> State:
        """By which a change is seen; always the same where it is no file."""
        ...

    @property
    def modified(self) -> float:
        """When it was last written, seconds since the epoch."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to so many bytes from an offset; fewer only at the end of what there is now."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class PlainFile:
    """A file that may grow, shrink, be renamed or deleted while it is open."""

    def __init__(self, path: str) -> None:
        """Open; raises OSError."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self.device, self.inode = status.st_dev, status.st_ino
        self._held: HeldPage | None = None
        self._unconfirmed: HeldPage | None = None

    @property
    def size(self) -> int:  # noqa: D102 - as in Source
        return os.fstat(self._descriptor).st_size

    @property
    def state(self) -> State:  # noqa: D102
        return state_of(os.fstat(self._descriptor))

    @property
    def modified(self) -> float:  # noqa: D102
        return os.fstat(self._descriptor).st_mtime

    def read_at(self, offset: int, length: int) -> bytes:  # noqa: D102
        return os.pread(self._descriptor, length, offset)

    def hold_page(self, position: int) -> None:
        """Keep what will be written right after ``position``, even if the file is emptied then.

        It is kept from ``confirm_held`` on: the page may be one of what the file was filled with anew, which
        only a look at its beginning tells, afterwards.
        """
        if self._held is None or not self._held.holds(position):
            self._let_go_of_unconfirmed()
            self._unconfirmed = hold_page(self._descriptor, position)

    def confirm_held(self) -> None:
        """The file was not emptied before its page was held."""
        if self._unconfirmed is not None:
            if self._held is not None:
                self._held.close()
            self._held, self._unconfirmed = self._unconfirmed, None

    def take_held(self, position: int, before: bytes) -> bytes:
        """What came after ``position`` before the file was emptied, as far as it was held; only once.

        ``before``: the bytes that preceded it.
        """
        held = self._held
        content = held.after(position, before) if held is not None and held.holds(position) else b""
        self._let_go()
        return content

    def _let_go(self) -> None:
        self._let_go_of_unconfirmed()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _let_go_of_unconfirmed(self) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.close()
            self._unconfirmed = None

    def close(self) -> None:  # noqa: D102
        self._let_go()
        os.close(self._descriptor)


class CompressedFile:
    """A whole file that is unpacked while it is read; offsets are those of the content.

    Going back means starting again from the beginning of the file, so it is read in one direction.

    Attributes:
        cut_short: what came before the missing end, in the reading that raised EOFError.
    """

    def __init__(self, path: str) -> None:
        """Open; raises OSError."""
        self.path = path
        self._raw = Path(path).open("rb")  # noqa: SIM115 - closed by close()
        status = os.fstat(self._raw.fileno())
        self.device, self.inode = status.st_dev, status.st_ino
        self._stream = _unpacked(self._raw, path)
        self._position = 0
        self._head = b""
        self.cut_short = b""

    @property
    def size(self) -> int | None:  # noqa: D102
        return None

    @property
    def state(self) -> State:  # noqa: D102
        return state_of(os.fstat(self._raw.fileno()))

    @property
    def modified(self) -> float:  # noqa: D102
        return os.fstat(self._raw.fileno()).st_mtime

    def read_at(self, offset: int, length: int) -> bytes:
        """As in Source; raises ShippingError where the file is damaged, EOFError where its end is missing."""
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        if offset < self._position:
            self._raw.seek(0)
            self._stream = _unpacked(self._raw, self.path)
            self._position = 0
        while self._position < offset:
            if not self._read(min(1 << 18, offset - self._position)):
                return b""
        parts: list[bytes] = []
        while length:
            try:
                part = self._read(length)
            except EOFError:
                self.cut_short = b"".join(parts)
                raise
            if not part:
                break
            parts.append(part)
            length -= len(part)
        content = b"".join(parts)
        if offset == 0 and len(content) > len(self._head):
            self._head = content[:4096]
        return content

    def _read(self, length: int) -> bytes:
        try:
            content = self._stream.read(length)
        except EOFError:
            raise
        except (OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
            raise ShippingError(f"{self.path}: cannot be unpacked: {error}") from None
        self._position += len(content)
        return content

    def close(self) -> None:  # noqa: D102
        self._raw.close()


class _Readable(Protocol):
    def read(self, length: int, /) -> bytes: ...


class _ZstandardFrames:
    """The content of a file of Zstandard frames; the library's own reader takes a missing end for the end."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._content = b""

    def read(self, length: int, /) -> bytes:
        """Up to so many bytes, none at the end; raises EOFError where the last frame is not whole."""
        while not self._content:
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._begun = False
            packed = packed or self._raw.read(1 << 16)
            if not packed:
                if self._begun:
                    raise EOFError
                return b""
            self._begun = True
            self._content = self._frame.decompress(packed)
        content, self._content = self._content[:length], self._content[length:]
        return content


def _unpacked(raw: IO[bytes], path: str) -> _Readable:
    suffix = Path(path).suffix
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    return _ZstandardFrames(raw)


class Pipe:
    """Standard input or a FIFO: what is read is gone, so nothing is known of it after a crash.

    Attributes:
        ended: the last writer has closed it.
    """

    device = 0
    inode = 0

    def __init__(self, path: str, descriptor: int | None = None) -> None:
        """Open the FIFO at ``path``, or take an open descriptor; raises OSError."""
        self.path = path
        self._descriptor = (
            os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if descriptor is None else descriptor
        )
        os.set_blocking(self._descriptor, False)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self.ended = False

    @property
    def size(self) -> int | None:  # noqa: D102
        return None

    @property
    def state(self) -> State:  # noqa: D102
        return 0, 0

    @property
    def modified(self) -> float:  # noqa: D102
        return time.time()

    def read_at(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - a pipe has no offsets
        """The next bytes, if there are any now."""
        events = self._poll.poll(0)
        if not events and not self._regular:
            return b""
        try:
            content = os.read(self._descriptor, length)
        except BlockingIOError:
            return b""
        # A FIFO that nobody has opened for writing yet reads as empty too, but then no event is reported.
        if not content:
            self.ended = True
        return content

    def close(self) -> None:  # noqa: D102
        os.close(self._descriptor)


def open_source(path: str) -> Source:
    """Open a file by what it is; raises OSError."""
    if stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116 - st_mode of what a link points to, no more
        return Pipe(path)
    return CompressedFile(path) if path.endswith(COMPRESSED_SUFFIXES) else PlainFile(path)
