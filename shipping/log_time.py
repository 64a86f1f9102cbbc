"""Finds the time in a log line and writes another in its place. Pure.

Three ways of writing it are known: that of the Common Log Format, ISO 8601, and seconds since the epoch in
the fourth column of a CSV file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, start=1)}
# mod_log_config's %t and nginx's $time_local: day/month/year:hour:minute:second zone.
_COMMON = re.compile(
    rb"(?P<day>\d{2})/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<clock>\d{2}:\d{2}:\d{2}) "
    rb"(?P<zone>[+-]\d{4})"
)
_ISO = re.compile(
    rb"(?P<stamp>\d{4}-\d{2}-\d{2}(?P<separator>[T ])\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d{1,9}))?"
    rb"(?P<zone>Z|[+-]\d{2}:?\d{2})"
)
_EPOCH_COLUMN = re.compile(rb'(?:(?:"[^"]*"|[^,"]*),){3}"?(?P<epoch>\d{9,10})"?,')


@dataclass(frozen=True, slots=True)
class LineTime:
    """A time found in a line.

    Attributes:
        epoch: seconds since the epoch.
        start, end: where it stands in the line.
        write: makes the same notation of other seconds since the epoch.
    """

    epoch: float
    start: int
    end: int
    write: Callable[[float], bytes]


def find_time(line: bytes) -> LineTime | None:
    """The first time in a line; None where there is none or it is no real one."""
    for pattern, read in ((_COMMON, _read_common), (_ISO, _read_iso)):
        match = pattern.search(line)
        if match:
            try:
                return read(match)
            except ValueError:
                return None
    match = _EPOCH_COLUMN.match(line)
    if match:
        start, end = match.span("epoch")
        return LineTime(float(match["epoch"]), start, end, lambda epoch: b"%d" % epoch)
    return None


def rewrite_time(line: bytes, found: LineTime, epoch: float) -> bytes:
    """The line with another time in the place and notation of the one found."""
    return line[: found.start] + found.write(epoch) + line[found.end :]


def _read_common(match: re.Match[bytes]) -> LineTime:
    zone = _zone(match["zone"])
    hour, minute, second = map(int, match["clock"].split(b":"))
    if match["month"] not in _MONTH_NUMBER:
        raise ValueError("no month")
    # A leap second is the second after it, as for every clock that does not know them.
    extra, second = (1, 59) if second == 60 else (0, second)
    when = datetime(
        int(match["year"]),
        _MONTH_NUMBER[match["month"]],
        int(match["day"]),
        hour,
        minute,
        second,
        tzinfo=zone,
    )

    def write(epoch: float) -> bytes:
        at = datetime.fromtimestamp(int(epoch), zone)
        return b"%02d/%s/%04d:%02d:%02d:%02d %s" % (
            at.day,
            _MONTHS[at.month - 1],
            at.year,
            at.hour,
            at.minute,
            at.second,
            match["zone"],
        )

    return LineTime(when.timestamp() + extra, *match.span(), write)


def _read_iso(match: re.Match[bytes]) -> LineTime:
    zone = _zone(match["zone"])
    separator = match["separator"].decode()
    digits = len(match["fraction"] or b"")
    when = datetime.strptime(match["stamp"].decode(), f"%Y-%m-%d{separator}%H:%M:%S").replace(tzinfo=zone)
    fraction = int(match["fraction"]) / 10**digits if digits else 0.0

    def write(epoch: float) -> bytes:
        whole = int(epoch)
        text = datetime.fromtimestamp(whole, zone).strftime(f"%Y-%m-%d{separator}%H:%M:%S").encode()
        if digits:
            text += b".%0*d" % (digits, int((epoch - whole) * 10**digits))
        return text + match["zone"]

    return LineTime(when.timestamp() + fraction, *match.span(), write)


def _zone(text: bytes) -> timezone:
    if text == b"Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text.startswith(b"-") else offset)
