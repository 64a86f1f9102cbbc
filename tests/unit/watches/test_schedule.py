"""Guards when watches run: every form of Watcher's schedules, the same times on every instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.watches.fields import WatchInvalid
from scheduler.watches.schedule import parse_trigger


def times(schedule: dict[str, Any], after: str, count: int = 3) -> list[str]:
    parsed = parse_trigger({"schedule": schedule})
    instant: datetime | None = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        assert instant is not None
        instant = parsed.next_after(instant)
        if instant is None:
            break
        found.append(f"{instant:%Y-%m-%dT%H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # Intervals are multiples since the epoch, and never the instant itself.
        ({"interval": "10s"}, "2025-01-01T00:00:03", ["2025-01-01T00:00:10", "2025-01-01T00:00:20"]),
        ({"interval": "10s"}, "2025-01-01T00:00:10", ["2025-01-01T00:00:20", "2025-01-01T00:00:30"]),
        ({"interval": "5m"}, "2025-01-01T00:01:00", ["2025-01-01T00:05:00", "2025-01-01T00:10:00"]),
        ({"interval": 30}, "2025-01-01T00:00:00", ["2025-01-01T00:00:30"]),
        ({"interval": "1d"}, "2025-01-01T12:00:00", ["2025-01-02T00:00:00"]),
        # A step of 0 is none, no minutes are minute 0 (as on 8.10.4).
        ({"cron": "0 30/0 * * * ?"}, "2025-01-01T00:00:00", ["2025-01-01T00:30:00", "2025-01-01T01:30:00"]),
        ({"hourly": {"minute": []}}, "2025-01-01T00:00:00", ["2025-01-01T01:00:00", "2025-01-01T02:00:00"]),
        ({"weekly": {"dow": "mon"}}, "2025-01-01T00:00:00", ["2025-01-06T00:00:00"]),
        ({"cron": "7/10 * * * * ?"}, "2025-01-01T00:00:00", ["2025-01-01T00:00:07", "2025-01-01T00:00:17"]),
        ({"cron": "7/10 * * * * ?"}, "2025-01-01T00:00:57", ["2025-01-01T00:01:07"]),
        ({"cron": "0 0 12 * * ?"}, "2025-01-01T12:00:00", ["2025-01-02T12:00:00", "2025-01-03T12:00:00"]),
        (
            {"cron": "0 0/30 8-9 ? * MON-FRI"},
            "2025-01-03T09:00:00",
            ["2025-01-03T09:30:00", "2025-01-06T08:00:00"],
        ),
        ({"cron": "0 0 0 L * ?"}, "2024-02-01T00:00:00", ["2024-02-29T00:00:00", "2024-03-31T00:00:00"]),
        ({"cron": "0 0 0 L-3 * ?"}, "2025-01-01T00:00:00", ["2025-01-28T00:00:00", "2025-02-25T00:00:00"]),
        ({"cron": "0 0 0 15W * ?"}, "2025-06-01T00:00:00", ["2025-06-16T00:00:00", "2025-07-15T00:00:00"]),
        ({"cron": "0 0 0 1W * ?"}, "2025-02-01T00:00:00", ["2025-02-03T00:00:00", "2025-03-03T00:00:00"]),
        ({"cron": "0 0 0 LW * ?"}, "2025-05-01T00:00:00", ["2025-05-30T00:00:00"]),
        ({"cron": "0 0 0 ? * 6L"}, "2025-01-01T00:00:00", ["2025-01-31T00:00:00", "2025-02-28T00:00:00"]),
        ({"cron": "0 0 0 ? * FRI#3"}, "2025-01-01T00:00:00", ["2025-01-17T00:00:00", "2025-02-21T00:00:00"]),
        ({"cron": "0 0 0 ? * 2#1"}, "2025-01-01T00:00:00", ["2025-01-06T00:00:00"]),
        ({"cron": "0 0 22-2 * * ?"}, "2025-01-01T22:30:00", ["2025-01-01T23:00:00", "2025-01-02T00:00:00"]),
        ({"cron": "0 0 0 29 2 ?"}, "2025-01-01T00:00:00", ["2028-02-29T00:00:00"]),
        ({"cron": "0 0 0 1 1 ? 2030"}, "2025-01-01T00:00:00", ["2030-01-01T00:00:00"]),
        (
            {"cron": ["0 0 6 * * ?", "0 0 18 * * ?"]},
            "2025-01-01T00:00:00",
            ["2025-01-01T06:00:00", "2025-01-01T18:00:00"],
        ),
        (
            {"hourly": {"minute": [0, 30]}},
            "2025-01-01T00:10:00",
            ["2025-01-01T00:30:00", "2025-01-01T01:00:00"],
        ),
        ({"daily": {"at": "17:00"}}, "2025-01-01T00:00:00", ["2025-01-01T17:00:00"]),
        (
            {"daily": {"at": ["midnight", "noon"]}},
            "2025-01-01T00:00:00",
            ["2025-01-01T12:00:00", "2025-01-02T00:00:00"],
        ),
        (
            {"daily": {"at": {"hour": [0, 12], "minute": [0, 30]}}},
            "2025-01-01T00:00:00",
            ["2025-01-01T00:30:00"],
        ),
        ({"weekly": {"on": "friday", "at": "17:00"}}, "2025-01-01T00:00:00", ["2025-01-03T17:00:00"]),
        (
            {"weekly": [{"on": "monday", "at": "noon"}, {"on": "friday", "at": "17:00"}]},
            "2025-01-01T00:00:00",
            ["2025-01-03T17:00:00", "2025-01-06T12:00:00"],
        ),
        ({"monthly": {"on": 10, "at": "noon"}}, "2025-01-11T00:00:00", ["2025-02-10T12:00:00"]),
        ({"monthly": {"on": "last", "at": "noon"}}, "2025-02-01T00:00:00", ["2025-02-28T12:00:00"]),
        (
            {"yearly": {"in": "january", "on": 10, "at": "noon"}},
            "2025-02-01T00:00:00",
            ["2026-01-10T12:00:00"],
        ),
        # The day on which Berlin's clocks go forward has no 02:30, and the one on which they go back has two.
        (
            {"cron": "0 30 2 * * ?", "timezone": "Europe/Berlin"},
            "2025-03-29T00:00:00",
            ["2025-03-29T01:30:00", "2025-03-31T00:30:00"],
        ),
        (
            {"cron": "0 30 2 26 10 ? 2025", "timezone": "Europe/Berlin"},
            "2025-10-01T00:00:00",
            ["2025-10-26T00:30:00", "2025-10-26T01:30:00"],
        ),
    ],
)
def test_the_times_of_each_form(schedule: dict[str, Any], after: str, expected: list[str]) -> None:
    assert times(schedule, after, len(expected)) == expected


def test_a_schedule_that_is_over_has_no_next_time() -> None:
    assert times({"cron": "0 0 0 1 1 ? 2020"}, "2025-01-01T00:00:00") == []


def test_times_between_two_instants() -> None:
    schedule = parse_trigger({"schedule": {"interval": "10s"}})
    start = datetime(2025, 1, 1, tzinfo=UTC)
    found = list(schedule.between(start, start + timedelta(seconds=30)))
    assert [(time - start).seconds for time in found] == [10, 20, 30]


@pytest.mark.parametrize(
    ("trigger", "path", "problem"),
    [
        ({}, "trigger", 'has one field, "schedule"'),
        ({"schedule": {}}, "trigger.schedule", "has none of interval, cron"),
        ({"schedule": {"intervall": "1s"}}, "trigger.schedule.intervall", "is no schedule"),
        ({"schedule": {"interval": "500ms"}}, "trigger.schedule.interval", "'500ms' is no interval"),
        ({"schedule": {"interval": []}}, "trigger.schedule.interval", "is empty"),
        ({"schedule": {"cron": None}}, "trigger.schedule.cron", "is empty"),
        ({"schedule": {"cron": "0 */0 * * * ?"}}, "trigger.schedule.cron", "has no step"),
        ({"schedule": {"interval": 0}}, "trigger.schedule.interval", "'0'"),
        ({"schedule": {"cron": "* * * *"}}, "trigger.schedule.cron", "has 4 fields; it needs 6"),
        ({"schedule": {"cron": "0 0 25 * * ?"}}, "trigger.schedule.cron", "'25' is not between 0 and 23"),
        ({"schedule": {"cron": "0 0 0 1 * 2"}}, "trigger.schedule.cron", "write ? for the day"),
        ({"schedule": {"daily": {"at": "25"}}}, "trigger.schedule.daily.at", "'25' is no time of day"),
        ({"schedule": {"weekly": {"on": "freitag"}}}, "trigger.schedule.weekly.on", "'freitag' is no day"),
        ({"schedule": {"interval": "1s", "timezone": "Mars"}}, "trigger.schedule.timezone", "'Mars' is no"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_place(trigger: Any, path: str, problem: str) -> None:
    with pytest.raises(WatchInvalid) as caught:
        parse_trigger(trigger)
    assert caught.value.path == path
    assert problem.strip("'") in caught.value.problem
