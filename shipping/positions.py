"""How far each file has been acknowledged, when batches come back in any order. Pure.

Several connections send at once, so a later batch may be acknowledged before an earlier one. A position
moves only over
what is acknowledged without a gap: what lies behind a gap is sent again after a crash, and recognised by
its ids.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from shipping.formats import NO_HEADER, Header
from shipping.framing import LineState
from shipping.identity import Fingerprint


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The part of one file that one batch carries.

    Attributes:
        key: the file's.
        start, end: offsets in bytes.
        state: in which line ``end`` lies.
        tail: fingerprint of the bytes before ``end``.
        header: what the file said of the lines at ``end``.
    """

    key: str
    start: int
    end: int
    state: LineState
    tail: Fingerprint
    header: Header = NO_HEADER


@dataclass(slots=True)
class Positions:
    """The spans under way of every file, in the order of sending."""

    _under_way: dict[str, deque[Span]] = field(default_factory=dict)
    _acknowledged: set[Span] = field(default_factory=set)

    def sending(self, span: Span) -> None:
        """Note a span, in the order of the file, before it is sent."""
        self._under_way.setdefault(span.key, deque()).append(span)

    def acknowledge(self, span: Span) -> Span | None:
        """Note that the engine has a span; returns the last span up to which there is no gap, if it moved."""
        self._acknowledged.add(span)
        queue = self._under_way[span.key]
        reached = None
        while queue and queue[0] in self._acknowledged:
            reached = queue.popleft()
            self._acknowledged.discard(reached)
        if not queue:
            del self._under_way[span.key]
        return reached

    def is_idle(self, key: str) -> bool:
        """Whether nothing of this file is under way."""
        return key not in self._under_way
