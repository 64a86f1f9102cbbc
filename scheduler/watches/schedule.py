"""When a watch runs: the schedules of its trigger. Pure: an instant in, the next one out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scheduler.watches.cron import Cron, parse_cron
from scheduler.watches.fields import WatchInvalid, as_list, at, joined

_INTERVAL = re.compile(r"(\d+)(s|m|h|d|w)?")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_KINDS = ("interval", "cron", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True, slots=True)
class Schedule:
    """All times at which a watch runs: whole multiples of intervals since the epoch, and cron times.

    Intervals do not depend on when a watch was made or a scheduler started, so that every instance means the
    same times.
    """

    intervals: tuple[int, ...] = ()
    crons: tuple[Cron, ...] = ()
    zone: tzinfo = UTC

    def next_after(self, instant: datetime) -> datetime | None:
        """The first time strictly after ``instant``; None if the watch never runs again."""
        times = [_next_multiple(instant, seconds) for seconds in self.intervals]
        times += [found for cron in self.crons if (found := cron.next_after(instant, self.zone)) is not None]
        return min(times, default=None)

    def between(self, after: datetime, until: datetime) -> Iterable[datetime]:
        """The times after ``after`` and not after ``until``, in order."""
        following = self.next_after(after)
        while following is not None and following <= until:
            yield following
            following = self.next_after(following)


def _next_multiple(instant: datetime, seconds: int) -> datetime:
    periods = (instant - _EPOCH) // timedelta(seconds=seconds)
    return _EPOCH + (periods + 1) * timedelta(seconds=seconds)


def parse_trigger(trigger: Any, path: str = "trigger") -> Schedule:
    """Parse a watch's ``trigger``. Raises WatchInvalid."""
    if not isinstance(trigger, dict) or set(trigger) != {"schedule"}:
        raise WatchInvalid(path, 'has one field, "schedule"')
    path = joined(path, "schedule")
    schedule = trigger["schedule"]
    if not isinstance(schedule, dict):
        raise WatchInvalid(path, 'is an object such as {"interval": "10s"}')
    zone = _zone(schedule.get("timezone"), joined(path, "timezone"))
    kinds = [kind for kind in schedule if kind != "timezone"]
    if not kinds:
        raise WatchInvalid(path, f"has none of {', '.join(_KINDS)}")
    intervals: list[int] = []
    crons: list[Cron] = []
    for kind in kinds:
        below = joined(path, kind)
        if kind in ("interval", "cron") and not as_list(schedule[kind]):
            raise WatchInvalid(below, "is empty")
        match kind:
            case "interval":
                intervals += [_interval(one, below) for one in as_list(schedule[kind])]
            case "cron":
                crons += [_cron(one, below) for one in as_list(schedule[kind])]
            case "hourly" | "daily" | "weekly" | "monthly" | "yearly":
                parts = as_list(schedule[kind]) or [{}]
                for index, part in enumerate(parts):
                    crons += _calendar(kind, part, at(below, index) if len(parts) > 1 else below)
            case _:
                raise WatchInvalid(below, f"is no schedule; there are {', '.join(_KINDS)}")
    return Schedule(tuple(intervals), tuple(crons), zone)


def _zone(name: Any, path: str) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError):
        raise WatchInvalid(path, f"{name!r} is no time zone; write it as Europe/Berlin") from None


def _interval(value: Any, path: str) -> int:
    match = _INTERVAL.fullmatch(str(value)) if not isinstance(value, bool) else None
    if match is None or int(match[1]) == 0:
        raise WatchInvalid(path, f"{value!r} is no interval; write it as 10s, 5m, 1h, 1d or 1w")
    return int(match[1]) * _UNIT_SECONDS[match[2] or "s"]


def _cron(expression: Any, path: str) -> Cron:
    try:
        return parse_cron(str(expression))
    except ValueError as error:
        raise WatchInvalid(path, str(error)) from None


def _calendar(kind: str, part: Any, path: str) -> list[Cron]:
    """The cron expressions that mean the same as an hourly, daily, weekly, monthly or yearly schedule."""
    if not isinstance(part, dict):
        raise WatchInvalid(path, 'is an object such as {"at": "noon"}')
    allowed = {
        "hourly": {"minute"},
        "daily": {"at"},
        "weekly": {"on", "day", "dow", "at", "time"},
        "monthly": {"on", "day", "at", "time"},
        "yearly": {"in", "month", "on", "day", "at", "time"},
    }[kind]
    for key in part:
        if key not in allowed:
            raise WatchInvalid(joined(path, key), f"is unknown here; there are {', '.join(sorted(allowed))}")
    if kind == "hourly":
        minutes = ",".join(str(minute) for minute in as_list(part.get("minute")) or [0])
        return [_cron(f"0 {minutes} * * * ?", path)]
    days, months, weekdays = "*", "*", "?"
    chosen = as_list(part.get("on", part.get("day", part.get("dow"))))
    if kind == "weekly":
        days, weekdays = "?", ",".join(_weekday(one, path) for one in chosen) or "MON"
    elif kind in ("monthly", "yearly"):
        days = ",".join(_month_day(one) for one in chosen) or "1"
    if kind == "yearly":
        months = ",".join(_month(one, path) for one in as_list(part.get("in", part.get("month")))) or "JAN"
    times = as_list(part.get("at", part.get("time"))) or ["midnight"]
    return [
        _cron(f"0 {minutes} {hours} {days} {months} {weekdays}", path)
        for minutes, hours in (_time_of_day(one, path) for one in times)
    ]


def _time_of_day(value: Any, path: str) -> tuple[str, str]:
    if isinstance(value, dict):
        hours = ",".join(str(hour) for hour in as_list(value.get("hour")) or [0])
        minutes = ",".join(str(minute) for minute in as_list(value.get("minute")) or [0])
        return minutes, hours
    named = {"midnight": ("0", "0"), "noon": ("0", "12")}
    if value in named:
        return named[value]
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", str(value))
    if match is None:
        raise WatchInvalid(
            joined(path, "at"), f"{value!r} is no time of day; write it as 17:00, noon or midnight"
        )
    return str(int(match[2])), str(int(match[1]))


def _weekday(value: Any, path: str) -> str:
    name = str(value).lower()[:3]
    if name in _WEEKDAYS:
        return name.upper()
    if str(value).isdigit() and 1 <= int(value) <= 7:
        return str(value)
    raise WatchInvalid(joined(path, "on"), f"{value!r} is no day of the week")


def _month_day(value: Any) -> str:
    text = str(value).lower()
    return {"first": "1", "first_day": "1", "last": "L", "last_day": "L"}.get(text, text.upper())


def _month(value: Any, path: str) -> str:
    name = str(value).lower()[:3]
    if name in _MONTHS:
        return name.upper()
    if str(value).isdigit() and 1 <= int(value) <= 12:
        return str(value)
    raise WatchInvalid(joined(path, "in"), f"{value!r} is no month")
