"""The time of day of the engine, and a stopwatch: the two clocks that a scheduler goes by.

The clock of the scheduler's own host is not one of them. It may jump, and two hosts never agree; the engine's
stamps the documents that watches look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Oscillators drift by up to 100 parts in a million; twice that is taken.
_DRIFT = 2e-4


def elapsed_seconds() -> float:
    """A stopwatch that nobody can set, and that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a clock.

    Attributes:
        time: what it showed.
        at: when, by the stopwatch.
        error: by how much ``at`` may be wrong, in seconds: half the time that the answer took.
    """

    time: datetime
    at: float
    error: float

    def now(self, at: float) -> datetime:
        """What the clock shows at another moment."""
        return self.time + timedelta(seconds=at - self.at)

    def error_at(self, at: float) -> float:
        """By how much ``now`` may be wrong."""
        return self.error + _DRIFT * (at - self.at)


def better(known: Reading, new: Reading) -> Reading:
    """The reading to go by from now on: the new one, unless it only says the same less exactly."""
    error = known.error_at(new.at)
    agrees = abs((new.time - known.now(new.at)).total_seconds()) <= error + new.error
    return known if agrees and new.error > error else new


class EngineClock:
    """Tells the engine's time of day without asking each time.

    Args:
        ask: the engine's clock (``Engine.now``).
        stopwatch: counts seconds.
    """

    def __init__(
        self, ask: Callable[[], datetime], *, stopwatch: Callable[[], float] = elapsed_seconds
    ) -> None:
        self._ask = ask
        self._stopwatch = stopwatch
        self._reading: Reading | None = None

    def sync(self) -> None:
        """Ask the engine. Raises EngineError."""
        begun = self._stopwatch()
        shown = self._ask()
        ended = self._stopwatch()
        new = Reading(shown.astimezone(UTC), (begun + ended) / 2, (ended - begun) / 2)
        self._reading = new if self._reading is None else better(self._reading, new)

    def __call__(self) -> datetime:
        """The time by the engine's clock, UTC. Asks the first time, and then raises EngineError."""
        if self._reading is None:
            self.sync()
        assert self._reading is not None  # noqa: S101 - that is what sync is for
        return self._reading.now(self._stopwatch())
