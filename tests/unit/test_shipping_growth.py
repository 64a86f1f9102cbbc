"""Guards when a growing log is looked at: early at the end of a page, and not without a pause for ever."""

from __future__ import annotations

import math
import mmap

from shipping.growth import Growth

LINE = 80
SECONDS = 0.0002  # from line to line


def grown(lines: int) -> tuple[Growth, float]:
    """The growth of a log that got so many lines at a steady rate, and the time of the last."""
    growth = Growth(0.0)
    for number in range(1, lines + 1):
        growth.grew(LINE, number * SECONDS)
    return growth, lines * SECONDS


def test_half_of_what_is_left_of_a_page_is_waited_for() -> None:
    growth, now = grown(5000)
    left = 50 * LINE
    assert math.isclose(growth.next_page_seconds(mmap.PAGESIZE - left, now), 25 * SECONDS, rel_tol=0.05)
    assert growth.next_page_seconds(10 * mmap.PAGESIZE - LINE // 2, now) == 0.0


def test_a_file_that_does_not_grow_is_not_waited_for() -> None:
    assert Growth(0.0).next_page_seconds(100, 5.0) == math.inf


def test_the_longer_nothing_comes_the_longer_is_waited() -> None:
    growth, now = grown(5000)
    position = mmap.PAGESIZE - 1
    waits = [growth.next_page_seconds(position, now + silence) for silence in (0.0, 0.2, 0.4, 0.8)]
    assert waits[0] == 0.0
    assert 0.0 < waits[1] < waits[2] < waits[3]


def test_the_rest_of_a_torn_line_is_awaited_but_whole_pages_are_no_torn_lines() -> None:
    growth, now = grown(5000)
    assert growth.next_page_seconds(3 * mmap.PAGESIZE, now) == 0.0
    assert growth.next_page_seconds(3 * mmap.PAGESIZE, now + 0.001) > 10 * SECONDS


def test_a_burst_is_forgotten() -> None:
    growth = Growth(0.0)
    growth.grew(1 << 20, 0.001)
    at_first = growth.next_page_seconds(100, 0.001)
    for number in range(1, 20):
        growth.grew(LINE, 0.001 + number)
    assert at_first == 0.0
    assert growth.next_page_seconds(100, 19.001) > 0.5
