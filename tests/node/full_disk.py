"""An index as the engine leaves it when the disk is full."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.client import Engine

Seen = TypeVar("Seen")


def look_while_blocked(
    engine: Engine, index: str, look: Callable[[], Seen], shows_it: Callable[[Seen], bool]
) -> Seen:
    """What ``look`` sees while writing to an index is blocked; the last it saw if it never shows the block.

    Where there is room on the disk, the engine takes the block away again by itself: then it is set anew.
    """
    looks = 5
    while True:
        engine.request("PUT", f"/{index}/_settings", body={"index.blocks.read_only_allow_delete": True})
        seen, looks = look(), looks - 1
        if shows_it(seen) or not looks:
            return seen
