"""Cron expressions in Watcher's form, which is Quartz': seconds first, a year may come last. Pure.

``0 0/5 9-17 ? * MON-FRI`` has seconds, minutes, hours, day of month, month, day of week. One of the two day
fields is ``?``. Days of the week count from 1, Sunday. ``L`` is the last day, ``L-3`` three days before it,
``15W`` the weekday nearest to the 15th, ``6L`` the last Friday, ``6#3`` the third one.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_WEEKDAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_SATURDAY = 7
# No time zone's offset has changed within a quarter of an hour of local time since 1972 (IANA tz database).
_CHUNK = timedelta(minutes=15)
# An expression whose next time lies further away than this never fires in practice.
_HORIZON = timedelta(days=366 * 9)

DayRule = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression; ``next_after`` is what it is for."""

    expression: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int] | None
    day_rules: tuple[DayRule, ...]

    def next_after(self, instant: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first time strictly after ``instant`` at which it fires, in UTC; None if there is none.

        A local time that does not exist on a day is not made up for; one that exists twice counts twice.
        """
        start = instant.astimezone(UTC)
        chunk = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
        end = start + _HORIZON
        while chunk < end:
            local = chunk.astimezone(zone)
            skipped = self._skippable(local)
            if skipped is not None:
                chunk += skipped
                continue
            if local.hour in self.hours:
                for minute in self.minutes:
                    if not local.minute <= minute < local.minute + 15:
                        continue
                    for second in self.seconds:
                        found = chunk + timedelta(minutes=minute - local.minute, seconds=second)
                        if found > start:
                            return found
            chunk += _CHUNK
        return None

    def _skippable(self, local: datetime) -> timedelta | None:
        """How far to go where this day cannot be meant; stays short of a change of the clocks."""
        if local.month not in self.months or (self.years is not None and local.year not in self.years):
            days_left = calendar.monthrange(local.year, local.month)[1] - local.day
            if days_left > 1:
                return timedelta(days=days_left - 1)
        elif any(rule(local.date()) for rule in self.day_rules):
            return None
        hours_left = 24 - local.hour
        return timedelta(hours=hours_left - 3) if hours_left > 3 else _CHUNK


def parse_cron(expression: str) -> Cron:
    """Parse an expression. Raises ValueError that names the field and what is wrong with it."""
    fields = expression.upper().split()
    if len(fields) not in (6, 7):
        raise ValueError(
            f"cron {expression!r} has {len(fields)} fields; it needs 6 (seconds minutes hours day-of-month "
            "month day-of-week), or 7 with the year"
        )
    seconds, minutes, hours, days, months, weekdays = fields[:6]
    if "?" not in (days, weekdays):
        raise ValueError(f"cron {expression!r}: write ? for the day of the month or the day of the week")
    if days == weekdays:
        raise ValueError(f"cron {expression!r}: only one of day of month and day of week can be ?")
    try:
        return Cron(
            expression=expression,
            seconds=tuple(sorted(_numbers("seconds", seconds, 0, 59))),
            minutes=tuple(sorted(_numbers("minutes", minutes, 0, 59))),
            hours=frozenset(_numbers("hours", hours, 0, 23)),
            months=frozenset(_numbers("month", months, 1, 12, _MONTHS)),
            years=None
            if len(fields) < 7 or fields[6] == "*"
            else frozenset(_numbers("year", fields[6], 1970, 2199)),
            day_rules=_month_day_rules(days) if weekdays == "?" else _weekday_rules(weekdays),
        )
    except ValueError as error:
        raise ValueError(f"cron {expression!r}: {error}") from None


def _numbers(
    field: str, text: str, lowest: int, highest: int, names: dict[str, int] | None = None
) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _part(field, part, lowest, highest, names or {})
    return found


def _part(field: str, part: str, lowest: int, highest: int, names: dict[str, int]) -> set[int]:
    span, slash, step_text = part.partition("/")
    if slash and (not step_text.isdigit() or (int(step_text) == 0 and span in ("*", ""))):
        raise ValueError(f"{field}: {part!r} has no step after the /")
    step = int(step_text) if slash else 1
    first_text, dash, last_text = span.partition("-")
    if span == "*" or (slash and span == ""):
        return set(range(lowest, highest + 1, step))
    first = _number(field, first_text, lowest, highest, names)
    if step == 0:  # as in Quartz: only where it begins
        return {first}
    if not dash:
        return set(range(first, highest + 1, step)) if slash else {first}
    last = _number(field, last_text, lowest, highest, names)
    if first <= last:
        return set(range(first, last + 1, step))
    # FRI-MON, 22-2: around the end.
    size = highest - lowest + 1
    return {lowest + (number - lowest) % size for number in range(first, last + size + 1, step)}


def _number(field: str, text: str, lowest: int, highest: int, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not text.isdigit() or not lowest <= int(text) <= highest:
        raise ValueError(f"{field}: {text!r} is not between {lowest} and {highest}")
    return int(text)


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _weekday_near(day: date, wanted: int) -> int:
    """The day of the month that is the weekday nearest to ``wanted``, within the month."""
    wanted = min(wanted, _last_day(day))
    weekday = day.replace(day=wanted).weekday()
    if weekday == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 6:
        return wanted + 1 if wanted < _last_day(day) else wanted - 2
    return wanted


def _month_day_rules(text: str) -> tuple[DayRule, ...]:
    rules: list[DayRule] = []
    for part in text.split(","):
        if part == "LW":
            rules.append(lambda day: day.day == _weekday_near(day, 31))
        elif match := re.fullmatch(r"L(?:-(\d+))?(W)?", part):
            before, nearest = int(match[1] or 0), bool(match[2])

            def from_the_end(day: date, before: int = before, nearest: bool = nearest) -> bool:
                wanted = _last_day(day) - before
                return wanted >= 1 and day.day == (_weekday_near(day, wanted) if nearest else wanted)

            rules.append(from_the_end)
        elif match := re.fullmatch(r"(\d+)W", part):
            near = _number("day of month", match[1], 1, 31, {})
            rules.append(lambda day, near=near: day.day == _weekday_near(day, near))  # type: ignore[misc]
        else:
            days = _part("day of month", part, 1, 31, {})
            rules.append(lambda day, days=days: day.day in days)  # type: ignore[misc]
    return tuple(rules)


def _weekday_rules(text: str) -> tuple[DayRule, ...]:
    rules: list[DayRule] = []
    for part in text.split(","):
        if part == "L":
            rules.append(lambda day: _quartz_weekday(day) == _SATURDAY)
        elif part.endswith("L"):
            wanted = _number("day of week", part[:-1], 1, 7, _WEEKDAYS)
            rules.append(
                lambda day, wanted=wanted: (  # type: ignore[misc]
                    _quartz_weekday(day) == wanted and day.day + 7 > _last_day(day)
                )
            )
        elif "#" in part:
            name, _, nth_text = part.partition("#")
            wanted = _number("day of week", name, 1, 7, _WEEKDAYS)
            nth = _number("day of week", nth_text, 1, 5, {})
            rules.append(
                lambda day, wanted=wanted, nth=nth: (  # type: ignore[misc]
                    _quartz_weekday(day) == wanted and (day.day - 1) // 7 + 1 == nth
                )
            )
        else:
            days = _part("day of week", part, 1, 7, _WEEKDAYS)
            rules.append(lambda day, days=days: _quartz_weekday(day) in days)  # type: ignore[misc]
    return tuple(rules)


def _quartz_weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1
