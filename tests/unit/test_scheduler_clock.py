"""Guards that schedules go by the engine's clock, whatever happens to the host's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.clock import EngineClock, Reading, better

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Engine:
    """A clock that takes a while to answer, and the stopwatch by which it does."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.offset = NOON - timedelta(seconds=100)
        self.answer_seconds = 0.0

    def now(self) -> datetime:
        self.seconds += self.answer_seconds / 2
        shown = self.offset + timedelta(seconds=self.seconds)
        self.seconds += self.answer_seconds / 2
        return shown

    def stopwatch(self) -> float:
        return self.seconds


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock(engine: Engine) -> EngineClock:
    return EngineClock(engine.now, stopwatch=engine.stopwatch)


def test_it_goes_on_between_two_questions(engine: Engine, clock: EngineClock) -> None:
    engine.answer_seconds = 0.2
    assert clock() == NOON + timedelta(seconds=0.2)
    engine.seconds += 30
    assert clock() == NOON + timedelta(seconds=30.2)


def test_it_follows_the_engine_when_that_is_set(engine: Engine, clock: EngineClock) -> None:
    clock.sync()
    engine.offset -= timedelta(hours=2)
    clock.sync()
    assert clock() == NOON - timedelta(hours=2)


def test_a_slow_answer_that_agrees_does_not_blur_it(engine: Engine, clock: EngineClock) -> None:
    clock.sync()
    known, slow = Reading(NOON, 100.0, 0.001), Reading(NOON + timedelta(seconds=10.3), 110.0, 0.5)
    assert better(known, slow) is known
    # An exact one, or one that cannot be true together with what is known, counts.
    exact = Reading(NOON + timedelta(seconds=10.0005), 110.0, 0.0005)
    assert better(known, exact) is exact
    set_ahead = Reading(NOON + timedelta(seconds=12), 110.0, 0.5)
    assert better(known, set_ahead) is set_ahead


def test_what_is_known_gets_less_exact(engine: Engine) -> None:
    known, later = Reading(NOON, 0.0, 0.001), Reading(NOON + timedelta(seconds=600.05), 600.0, 0.1)
    assert better(known, later) is later
