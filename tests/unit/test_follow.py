"""Guards the pace of the reader: each interval once and in time, and outages survived with one line each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import EngineUnreachable, NotPermitted, NotProvisioned
from reading.follow import Pace, follow

START = datetime(2026, 3, 1, 12, 0, 3, tzinfo=UTC)


class Stopped(Exception):
    pass


class World:
    """A clock that only waiting moves, and an engine whose state is a function of the time."""

    def __init__(self, seconds: float, faults: dict[range, Exception] | None = None) -> None:
        self.time = START
        self.seconds = seconds
        self.faults = faults or {}
        self.shown: list[tuple[float, str]] = []
        self.said: list[str] = []
        self.waits: list[float] = []

    @property
    def elapsed(self) -> float:
        return (self.time - START).total_seconds()

    def now(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += timedelta(seconds=seconds)
        if self.elapsed > self.seconds:
            raise Stopped

    def read(self, end: datetime) -> str:
        for span, error in self.faults.items():
            if span.start <= self.elapsed < span.stop:
                raise error
        return f"{end:%M:%S}"

    def show(self, reading: str) -> None:
        self.shown.append((self.elapsed, reading))

    def run(self) -> None:
        follow(
            Pace(10, 8.0),
            read=self.read,
            show=self.show,
            complain=self.said.append,
            now=self.now,
            wait=self.wait,
        )


def test_each_interval_is_shown_once_the_delay_after_its_end() -> None:
    world = World(30)
    with pytest.raises(Stopped):
        world.run()
    # Started at 12:00:03: at once the interval that ended 11:59:50, then one every 10 s from 12:00:08 on.
    assert world.shown == [(0.0, "59:50"), (5.0, "00:00"), (15.0, "00:10"), (25.0, "00:20")]


def test_an_outage_is_one_line_with_growing_pauses_and_an_end() -> None:
    world = World(200, {range(4, 100): EngineUnreachable("cannot reach the engine at X: refused")})
    with pytest.raises(Stopped):
        world.run()
    assert world.said == [
        "cannot reach the engine at X: refused; trying again",
        "reading again after 121 s",
    ]
    assert world.waits[1:8] == [1, 2, 4, 8, 16, 30, 30]
    assert [reading for _, reading in world.shown[:3]] == ["59:50", "02:00", "02:10"]


def test_another_trouble_gets_a_line_of_its_own() -> None:
    world = World(
        60, {range(5): EngineUnreachable("away"), range(5, 20): NotProvisioned("run httpmon provision")}
    )
    with pytest.raises(Stopped):
        world.run()
    assert world.said == [
        "away; trying again",
        "run httpmon provision; trying again",
        "reading again after 22 s",
    ]


def test_any_other_error_ends_it() -> None:
    world = World(60, {range(5): NotPermitted("no", status=403)})
    with pytest.raises(NotPermitted):
        world.run()
