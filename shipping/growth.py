"""How fast a log grows, and so when it is to be looked at before its next page is begun. Pure."""

from __future__ import annotations

import math
import mmap

# Growth is averaged over so long.
_AVERAGED_SECONDS = 0.05
# Less than a line, or a file that grows no more would be looked at without a pause.
_FEWEST_BYTES = 32
# The second part of a line that was written at once comes sooner.
_TORN_SECONDS = 0.0005
# The system wakes who waits about so much late; for less, waiting is too long.
_SHORTEST_SECONDS = 0.0001


class Growth:
    """The average growth of one file, of which that long ago counts less.

    Attributes:
        grew_at: when it last grew, in seconds; at first when it was begun.
    """

    def __init__(self, now: float) -> None:
        """Begin at a time in seconds, on any clock."""
        self._bytes_per_second = 0.0
        self.grew_at = now

    def grew(self, length: int, now: float) -> None:
        """Take what came since it last grew, in bytes."""
        seconds = now - self.grew_at + _AVERAGED_SECONDS
        self._bytes_per_second = (self._bytes_per_second * _AVERAGED_SECONDS + length) / seconds
        self.grew_at = now

    def next_page_seconds(self, position: int, now: float) -> float:
        """How long to wait, so that half of what is left of the page may have been written by then.

        A page that is begun can be held as soon as anything of it is read; what is written to it before, and
        taken away by whoever empties the log, is lost. Waiting for halves, the look after the last line of a
        page comes early, at a dozen looks a page.
        """
        silence = now - self.grew_at
        rate = self._bytes_per_second * _AVERAGED_SECONDS / (silence + _AVERAGED_SECONDS)
        if not rate:
            return math.inf
        left = -position % mmap.PAGESIZE
        if not left:
            # A line that goes beyond a page is seen in two parts. But some writers write whole pages only.
            if silence < _TORN_SECONDS:
                return 0.0
            left = mmap.PAGESIZE
        seconds = max(left, _FEWEST_BYTES) / rate / 2
        return seconds if seconds > _SHORTEST_SECONDS else 0.0
