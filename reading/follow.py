"""Reads one interval after the other, at the right moments, through outages of the engine.

The clock, the waiting, the reading and the showing are given, so nothing in here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, TypeVar

from engine.errors import EngineUnreachable, NotProvisioned
from reading.buckets import last_complete_end, seconds_until_next

Reading = TypeVar("Reading")

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When intervals are read: each ``delay_seconds`` after its end, every ``interval_seconds``."""

    interval_seconds: int
    delay_seconds: float


def follow(
    pace: Pace,
    *,
    read: Callable[[datetime], Reading],
    show: Callable[[Reading], None],
    complain: Callable[[str], None],
    now: Callable[[], datetime],
    wait: Callable[[float], object],
) -> NoReturn:
    """Read and show the last complete interval now and each later one when it is complete; never returns.

    While ``read`` raises EngineUnreachable or NotProvisioned it is tried again with a growing pause; each
    kind of trouble is told once, and so is its end. Intervals missed meanwhile are not made up for: the
    next reading shows the last complete one. Whatever else ``read`` raises ends the loop.
    """
    shown: datetime | None = None
    trouble: type[Exception] | None = None
    trouble_since = now()
    pause = FIRST_RETRY_SECONDS
    while True:
        end = last_complete_end(now(), pace.interval_seconds, pace.delay_seconds)
        # A clock set back must neither repeat an interval nor silence the loop for as long as it was ahead.
        if end == shown:
            wait(seconds_until_next(now(), pace.interval_seconds, pace.delay_seconds))
            continue
        try:
            reading = read(end)
        except (EngineUnreachable, NotProvisioned) as error:
            if trouble is not type(error):
                trouble_since = now() if trouble is None else trouble_since
                trouble, pause = type(error), FIRST_RETRY_SECONDS
                complain(f"{error}; trying again")
            wait(pause)
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)
            continue
        if trouble is not None:
            seconds = (now() - trouble_since).total_seconds()
            complain(f"reading again after {seconds:.0f} s")
            trouble, pause = None, FIRST_RETRY_SECONDS
        show(reading)
        shown = end
