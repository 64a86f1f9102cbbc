"""Which scheduled times of a watch are due, which are made up for, and which are left out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scheduler.watches.definition import Watch

# Not more scheduled times than this are gone through at once, so that a watch that runs each second and was
# not run for a year does not stop all others while they are counted.
_MOST_AT_ONCE = 10_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for: that an index is summarised up to the scheduled time plus ``offset``."""

    index: str
    offset: timedelta


@dataclass(frozen=True, slots=True)
class Due:
    """What to do about the scheduled times that have passed.

    Attributes:
        run: the time to run for now; None if there is none.
        done: the last time that is done with before it; what is between the last one and this was left out.
        skipped: how many were left out.
    """

    run: datetime | None
    done: datetime
    skipped: int = 0


def catch_up_of(watch: Watch) -> timedelta:
    """How far back missed runs are made up for: ``metadata.httpmon.catch_up``; not at all without it."""
    return timedelta(seconds=_seconds(_own(watch).get("catch_up")))


def wait_of(watch: Watch) -> Wait | None:
    """What the watch's runs wait for: ``metadata.httpmon.waits_for``; nothing without it."""
    waits = _own(watch).get("waits_for")
    if not isinstance(waits, dict) or not isinstance(waits.get("index"), str):
        return None
    return Wait(waits["index"], timedelta(seconds=_seconds(waits.get("until"))))


def due(watch: Watch, last: datetime, now: datetime, running_since: datetime) -> Due:
    """What is due of a watch whose scheduled time ``last`` was the last that is done with.

    A watch that catches up runs for each time that it missed, one after the other, no further back than it
    says. Any other runs for the newest time alone, and never for one before ``running_since``: missed runs of
    Watcher are not made up for either (seen on 8.10.4).
    """
    back = catch_up_of(watch)
    earliest = max(last, now - back) if back else last
    times: list[datetime] = []
    skipped, done = 0, last
    for time in watch.schedule.between(last, now):
        if time <= earliest and back:
            skipped, done = skipped + 1, time
            continue
        times.append(time)
        if back or len(times) + skipped >= _MOST_AT_ONCE:
            break
    if not times:
        return Due(None, done, skipped)
    if back:
        return Due(times[0], done, skipped)
    newest = times[-1]
    if newest < running_since:
        return Due(None, newest, len(times))
    return Due(newest, times[-2] if len(times) > 1 else done, skipped + len(times) - 1)


def _own(watch: Watch) -> dict[str, Any]:
    own = watch.metadata.get("httpmon")
    return own if isinstance(own, dict) else {}


def _seconds(text: Any) -> float:
    """``1h``, ``-4s``; 0 for anything else, as for any other metadata that httpmon does not know."""
    if not isinstance(text, str) or text[-1:] not in _UNITS:
        return 0.0
    try:
        return float(text[:-1]) * _UNITS[text[-1]]
    except ValueError:
        return 0.0
