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

import mmh3

_SEED = 19
_ID_BYTES = 24
_FIRST_BYTES = _ID_BYTES - 16
_NULL = b"__NULL_VALUE__"
_EMPTY = b"__EMPTY_VALUE__"
_LARGEST_LONG = 2**63 - 1
# The library gives the two halves with the least significant byte first.
_HALVES = struct.Struct("<QQ")
_REVERSED = struct.Struct(">QQ")
_DOUBLE = struct.Struct(">d")


def document_id(key: Mapping[str, Any]) -> str:
    """The id of the document of one group; ``key`` by output name, dates in milliseconds.

    Raises:
        ValueError: a key is greater than any ``long``, which Elasticsearch gives no id either.
    """
    values = [_bytes_of(key[name]) for name in sorted(key)]
    first = bytes([value[0] for value in values[:_FIRST_BYTES]])
    hashed = mmh3.mmh3_x64_128_digest(b"$".join(values) + b"$", _SEED)
    digest = _REVERSED.pack(*_HALVES.unpack(hashed))
    return base64.urlsafe_b64encode((first + digest).ljust(_ID_BYTES, b"\0")).decode()


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode() or _EMPTY
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    if isinstance(value, int):
        if value > _LARGEST_LONG:
            raise ValueError(f"the key {value} is greater than any long, so it gives no document an id")
        return value.to_bytes(8, "big", signed=True)
    return _DOUBLE.pack(value)
