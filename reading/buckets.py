"""The arithmetic of aligned buckets and of the moments at which they are read."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo

from engine.errors import UsageError
from provisioning.settings import duration_seconds

BUCKET_SECONDS = 10
"""Length of one summary bucket, in seconds; buckets are aligned to the epoch."""


def floor_time(moment: datetime, seconds: int) -> datetime:
    """The last moment not after ``moment`` that is a multiple of ``seconds`` since the epoch, in UTC."""
    return datetime.fromtimestamp(math.floor(moment.timestamp() / seconds) * seconds, UTC)


def last_complete_end(now: datetime, interval_seconds: int, delay_seconds: float) -> datetime:
    """Where the last interval ends that is complete at ``now``.

    An interval's last hit needs ``delay_seconds`` to be shipped, indexed and summarised, so an interval
    counts as complete only that long after its end.
    """
    return floor_time(now - timedelta(seconds=delay_seconds), interval_seconds)


def seconds_until_next(now: datetime, interval_seconds: int, delay_seconds: float) -> float:
    """How long until the interval after the last complete one is complete too."""
    following = last_complete_end(now, interval_seconds, delay_seconds) + timedelta(seconds=interval_seconds)
    return (following - now).total_seconds() + delay_seconds


def summary_age(bucket: datetime, now: datetime) -> float:
    """Seconds since a bucket ended: 0 while it goes on, negative only where clocks differ."""
    since_end = (now - bucket).total_seconds() - BUCKET_SECONDS
    return 0.0 if -BUCKET_SECONDS <= since_end < 0 else since_end


def interval_seconds(text: str) -> int:
    """The length of an interval given as a duration (``10s``, ``1m``), in seconds.

    Raises UsageError when it is no whole number of buckets, or more than a day.
    """
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        raise UsageError(f"interval: {error}") from None
    if seconds < BUCKET_SECONDS or seconds > 86_400 or seconds % BUCKET_SECONDS:
        raise UsageError(f"interval {text}: it is a whole number of {BUCKET_SECONDS} s buckets, at most 1d")
    return int(seconds)


def moment_of(text: str, zone: tzinfo | None) -> datetime:
    """A time given in ISO 8601, in UTC; without an offset it is in ``zone``, None being the machine's.

    Raises UsageError when it is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; write it as 2015-05-20T21:05:20Z") from None
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def past_moment(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    """A time, or how long ago it was (``2h``), in UTC. Raises UsageError when it is neither."""
    try:
        return now - timedelta(seconds=duration_seconds(text))
    except ValueError:
        return moment_of(text, zone)


def silence_end(duration: str, until: str | None, zone: tzinfo | None, now: datetime) -> datetime:
    """When something ends that starts now, by its duration or, if given, its end.

    Raises UsageError when one cannot be used, or the end is past.
    """
    if until is None:
        try:
            ends_at = now + timedelta(seconds=duration_seconds(duration))
        except ValueError as error:
            raise UsageError(f"--for: {error}") from None
    else:
        ends_at = moment_of(until, zone)
    if ends_at <= now:
        raise UsageError("the end is not in the future")
    return ends_at


def span_of_time(
    start: str | None, end: str | None, default: str, zone: tzinfo | None, now: datetime
) -> tuple[datetime, datetime]:
    """Start and end of a span, each a time or how long ago; a start that is a length counts from the end.

    Without ``end`` it ends now, without ``start`` it is ``default`` long. Raises UsageError for what is
    neither, and for a span that ends before it starts.
    """
    ends_at = now if end is None else past_moment(end, zone, now)
    starts_at = past_moment(default if start is None else start, zone, ends_at)
    if starts_at >= ends_at:
        raise UsageError("the span of time ends before it starts")
    return starts_at, ends_at
