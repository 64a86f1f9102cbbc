"""Guards which runs are made up for after an outage, which are left out, and that none of it is silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.watches.definition import Watch, parse_watch
from scheduler.watches.timetable import Due, Wait, due, wait_of

START = datetime(2025, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def watch(**own: Any) -> Watch:
    body = {"trigger": {"schedule": {"interval": "10s"}}, "metadata": {"httpmon": own}}
    return parse_watch("rule", body)


def test_nothing_is_due_before_the_next_time() -> None:
    assert due(watch(), at(10), at(19.9), START) == Due(None, at(10))


def test_the_next_time_is_run_for_when_it_has_come() -> None:
    assert due(watch(), at(10), at(20), START) == Due(at(20), at(10))


def test_without_catching_up_only_the_newest_of_several_is_run_and_the_others_are_counted() -> None:
    assert due(watch(), at(10), at(55), START) == Due(at(50), at(40), skipped=3)


def test_without_catching_up_nothing_is_run_that_was_due_before_the_scheduler_began() -> None:
    assert due(watch(), at(10), at(55), at(54)) == Due(None, at(50), skipped=4)


def test_catching_up_goes_through_every_time_in_order() -> None:
    rule, last, now = watch(catch_up="1h"), at(0), at(45)
    ran = []
    while (coming := due(rule, last, now, at(44))).run is not None:
        assert coming.skipped == 0
        ran.append(coming.run)
        last = coming.run
    assert ran == [at(10), at(20), at(30), at(40)]


def test_catching_up_goes_no_further_back_than_it_says() -> None:
    coming = due(watch(catch_up="30s"), at(0), at(100), at(99))
    assert coming == Due(at(80), at(70), skipped=7)


@pytest.mark.parametrize("own", [{}, {"catch_up": "soon"}, {"catch_up": 5}])
def test_what_is_no_duration_catches_nothing_up(own: dict[str, Any]) -> None:
    assert due(watch(**own), at(0), at(25), START).run == at(20)


def test_what_a_run_waits_for() -> None:
    waits = {"index": "httpmon-traffic", "until": "-4s"}
    assert wait_of(watch(waits_for=waits)) == Wait("httpmon-traffic", timedelta(seconds=-4))
    assert wait_of(watch()) is None
    assert wait_of(watch(waits_for={"until": "-4s"})) is None
