"""Writes made-up traffic to a file, in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event

from shipping.scenario import Tick
from shipping.traffic import TrafficGenerator

_WRITTEN_AT_ONCE = 1 << 18


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
    ready: list[bytes] = []
    size = 0
    for tick in schedule if wait else _by_second(schedule, start_epoch):
        if wait:
            stop.wait(max(0.0, begun + tick.second - time.monotonic()))
        if stop.is_set() or (max_lines is not None and written >= max_lines):
            break
        if max_lines is not None and written + tick.count > max_lines:
            tick = Tick(tick.second, max_lines - written, tick.phase)
        if tick.count:
            ready.append(traffic.lines(tick, start_epoch))
            written += tick.count
            size += len(ready[-1])
        if wait or size >= _WRITTEN_AT_ONCE:
            _write_out(ready, write)
            size = 0
    _write_out(ready, write)
    return written


def _write_out(ready: list[bytes], write: Callable[[bytes], object]) -> None:
    if ready:
        write(b"".join(ready))
        ready.clear()


def _by_second(schedule: Iterable[Tick], start_epoch: float) -> Iterator[Tick]:
    """Together what has the same time in the log; at a low rate it takes longer to begin than to draw a line.

    The lines are the same as one by one. Of a phase with shares they would not be, so these stay as they are.
    """
    first: Tick | None = None
    count, second = 0, 0
    for tick in schedule:
        now = int(start_epoch + tick.second)
        if first is not None and tick.phase is first.phase and now == second and tick.phase.is_plain:
            count += tick.count
            continue
        if first is not None:
            yield Tick(first.second, count, first.phase)
        first, count, second = tick, tick.count, now
    if first is not None:
        yield Tick(first.second, count, first.phase)
