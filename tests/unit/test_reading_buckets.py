"""Guards when an interval is read: aligned to the epoch, and only when it is complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from reading.buckets import floor_time, interval_seconds, last_complete_end, moment_of, seconds_until_next


def at(second: float) -> datetime:
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC) + timedelta(seconds=second)


@pytest.mark.parametrize(("now", "end"), [(0, -10), (7.999, -10), (8, 0), (17.999, 0), (18, 10), (19.5, 10)])
def test_a_bucket_is_complete_once_the_delay_after_its_end_is_over(now: float, end: float) -> None:
    assert last_complete_end(at(now), 10, 8.0) == at(end)


@given(st.floats(0, 4e9), st.sampled_from([10, 20, 60, 3600]), st.floats(0, 100))
def test_the_next_interval_is_complete_when_the_wait_is_over(now: float, interval: int, delay: float) -> None:
    moment = datetime.fromtimestamp(now, UTC)
    wait = seconds_until_next(moment, interval, delay)
    assert 0 < wait <= interval + 1e-3
    # A hundredth of a second covers the microsecond rounding of the clock.
    later = moment + timedelta(seconds=wait + 0.01)
    before = last_complete_end(moment, interval, delay)
    assert last_complete_end(later, interval, delay) >= before + timedelta(seconds=interval)


def test_buckets_before_the_epoch_are_aligned_too() -> None:
    assert floor_time(datetime(1969, 12, 31, 23, 59, 55, tzinfo=UTC), 10) == datetime(
        1969, 12, 31, 23, 59, 50, tzinfo=UTC
    )


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("1m", 60), ("1h", 3600)])
def test_intervals_are_whole_buckets(text: str, seconds: int) -> None:
    assert interval_seconds(text) == seconds


@pytest.mark.parametrize("text", ["15s", "500ms", "0s", "10", "2d", "soon"])
def test_other_intervals_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="interval"):
        interval_seconds(text)


@pytest.mark.parametrize(
    "text", ["2015-05-20T21:05:20Z", "2015-05-20T23:05:20+02:00", "2015-05-20 21:05:20", "20150520T210520"]
)
def test_a_time_has_its_offset_or_the_zone_shown(text: str) -> None:
    assert moment_of(text, UTC) == datetime(2015, 5, 20, 21, 5, 20, tzinfo=UTC)


def test_a_time_without_offset_is_in_the_zone_given() -> None:
    zone = timezone(timedelta(hours=5))
    assert moment_of("2015-05-20T21:05:20", zone) == datetime(2015, 5, 20, 16, 5, 20, tzinfo=UTC)


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'yesterday' is no time"):
        moment_of("yesterday", None)
