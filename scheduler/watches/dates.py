"""Date math, ``now-5m/d``, as the engines' query language and ``compare`` have it. Pure."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

from scheduler.watches.instants import parse_instant

_STEP = re.compile(r"(?P<operation>[+-])(?P<count>\d*)(?P<unit>[yMwdhHms])|/(?P<rounding>[yMwdhHms])")
_FIXED = {"w": "weeks", "d": "days", "h": "hours", "H": "hours", "m": "minutes", "s": "seconds"}


def date_math(expression: str, now: datetime) -> datetime:
    """Evaluate ``now-1h/d`` or ``2024-01-01T00:00:00Z||+1M``; rounding goes down. Raises ValueError."""
    if expression.startswith("now"):
        instant, steps = now, expression[3:]
    else:
        anchor, _, steps = expression.partition("||")
        instant = parse_instant(anchor)
    position = 0
    while position < len(steps):
        match = _STEP.match(steps, position)
        if match is None:
            raise ValueError(f"{expression!r} is no date math; write it as now-5m or 2024-01-01||+1M/d")
        if match["rounding"]:
            instant = _floor(instant, match["rounding"])
        else:
            count = int(match["count"] or 1) * (-1 if match["operation"] == "-" else 1)
            instant = _shifted(instant, count, match["unit"])
        position = match.end()
    return instant


def _shifted(instant: datetime, count: int, unit: str) -> datetime:
    if unit in _FIXED:
        return instant + timedelta(**{_FIXED[unit]: count})
    months = instant.year * 12 + instant.month - 1 + (count * 12 if unit == "y" else count)
    year, month = divmod(months, 12)
    day = min(instant.day, calendar.monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day)


def _floor(instant: datetime, unit: str) -> datetime:
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "y":
            return midnight.replace(month=1, day=1)
        case "M":
            return midnight.replace(day=1)
        case "w":
            return midnight - timedelta(days=midnight.weekday())
        case "d":
            return midnight
        case "h" | "H":
            return instant.replace(minute=0, second=0, microsecond=0)
        case "m":
            return instant.replace(second=0, microsecond=0)
        case _:
            return instant.replace(microsecond=0)
