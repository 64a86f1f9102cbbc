"""Finds the lines of a batch that the engine may have from an earlier attempt whose answer never came.

Within one backing index such a line is answered with a conflict. But an ``_id`` is unique within its
backing index only: where the data stream rolled over in between, the line would be created a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from engine.errors import NotFound, NotPermitted

# The answer is about every id of a batch, so it is kept short.
_ANSWERED = "_source=false&filter_path=docs._id,docs.found"
_ID = b'"_id":"'


class Questioned(Protocol):
    """What is needed of ``engine.client.Engine``."""

    def request(self, method: str, path: str, *, body: Any = None) -> Any:
        """Send a request; raises EngineError."""
        ...


def stored_earlier(engine: Questioned, target: str, items: Sequence[bytes]) -> set[int]:
    """The positions of the items that stand in ``target``.

    Costs one small request, and one for each backing index. The index that is written to is among them: it
    may roll over before the batch is sent. A key that may not read learns nothing. Raises EngineError when
    the engine cannot be asked.
    """
    try:
        answer = engine.request("GET", f"/_data_stream/{target}")
        streams = answer.get("data_streams", [])
        indices = [index["index_name"] for stream in streams for index in stream["indices"]]
        ids = list(map(_id_of, items))
        stored: set[str] = set()
        # By id, because that is answered at once, refreshed or not.
        for index in reversed(indices):
            found = engine.request("POST", f"/{index}/_mget?{_ANSWERED}", body={"ids": ids})
            stored |= {one["_id"] for one in found["docs"] if one.get("found")}
    except (NotFound, NotPermitted):
        return set()
    return {position for position, one in enumerate(ids) if one in stored}


def _id_of(item: bytes) -> str:
    begin = item.index(_ID) + len(_ID)
    return item[begin : item.index(b'"', begin)].decode()
