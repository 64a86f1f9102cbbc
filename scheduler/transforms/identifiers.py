"""Document ids from group keys, byte for byte those of Elasticsearch's transforms. Pure.

The same group has the same id whoever writes it, so that a repeated page overwrites itself, and an
installation that changes its executor goes on with the documents that it has instead of doubling them.

How an id is made was read off the ids that Elasticsearch 8.10.4 wrote: MurmurHash3 (x64, 128 bits, seed 19)
of the keys' bytes in the order of their names, ``$`` after each; before it the first byte of each key, after
it zeros up to 24 bytes; all of it in URL-safe Base64.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

_SEED = 19
_ID_BYTES = 24
_FIRST_BYTES = _ID_BYTES - 16
_NULL = b"__NULL_VALUE__"
_MASK = (1 << 64) - 1
# The constants of MurmurHash3_x64_128 by Austin Appleby, which is in the public domain.
_C1 = 0x87C37B91114253D5
_C2 = 0x4CF5AD432745937F


def document_id(key: Mapping[str, Any]) -> str:
    """The id of the document of one group; ``key`` by output name, dates in milliseconds."""
    values = [_bytes_of(key[name]) for name in sorted(key)]
    first = bytes(value[0] for value in values[:_FIRST_BYTES])
    digest = murmur3_128(b"".join(value + b"$" for value in values), _SEED)
    return base64.urlsafe_b64encode((first + digest).ljust(_ID_BYTES, b"\0")).decode()


def _bytes_of(value: Any) -> bytes:
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    if isinstance(value, float):
        return struct.pack(">d", value)
    # Nothing at all has no first byte, so that it stands as null does.
    return str(value).encode() or _NULL


def murmur3_128(data: bytes, seed: int) -> bytes:
    """MurmurHash3, x64 variant, 128 bits, as 16 bytes with the most significant first."""
    h1 = h2 = seed
    whole = len(data) & ~15
    for k1, k2 in struct.iter_unpack("<QQ", data[:whole]):
        h1 ^= _mix_first(k1)
        h1 = (_rotate(h1, 27) + h2) & _MASK
        h1 = (h1 * 5 + 0x52DCE729) & _MASK
        h2 ^= _mix_second(k2)
        h2 = (_rotate(h2, 31) + h1) & _MASK
        h2 = (h2 * 5 + 0x38495AB5) & _MASK
    rest = data[whole:]
    h2 ^= _mix_second(int.from_bytes(rest[8:], "little"))
    h1 ^= _mix_first(int.from_bytes(rest[:8], "little"))
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _finish(h1), _finish(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return struct.pack(">QQ", h1, h2)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _mix_first(block: int) -> int:
    return _rotate(block * _C1 & _MASK, 31) * _C2 & _MASK


def _mix_second(block: int) -> int:
    return _rotate(block * _C2 & _MASK, 33) * _C1 & _MASK


def _finish(value: int) -> int:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ (value >> 33)
