"""Writes made-up traffic to a file, in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Event

from shipping.scenario import Tick
from shipping.traffic import TrafficGenerator


def generate(
    schedule: Iterable[Tick],
    traffic: TrafficGenerator,
    write: Callable[[bytes], object],
    *,
    start_epoch: float,
    wait: bool,
    stop: Event,
    max_lines: int | None = None,
) -> int:
    """Write the lines of a schedule; returns how many.

    Args:
        schedule: when to write how many, from ``scenario.ticks``.
        traffic: draws the lines.
        write: takes the lines of one tick.
        start_epoch: the time of the first line, seconds since the epoch.
        wait: write each line when it is due; else all at once. Where writing cannot keep up, nothing is left
            out: it is late.
        stop: ends it.
        max_lines: ends it after so many lines.
    """
    begun, written = time.monotonic(), 0
    for tick in schedule:
        if wait:
            stop.wait(max(0.0, begun + tick.second - time.monotonic()))
        if stop.is_set() or (max_lines is not None and written >= max_lines):
            break
        if max_lines is not None and written + tick.count > max_lines:
            tick = Tick(tick.second, max_lines - written, tick.phase)
        if tick.count:
            write(traffic.lines(tick, start_epoch))
            written += tick.count
    return written
