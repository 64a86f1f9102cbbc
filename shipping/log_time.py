"""Finds the times in a log line and writes others in their places. Pure.

Known are the ways of the Common Log Format and of HAProxy, ISO 8601 (also as a date and a time of day in two
columns), and seconds or milliseconds since the epoch in a field of JSON or in the fourth column of CSV. Where
a header named the columns, the time stands in those that it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from shipping.formats import MONTHS, NO_HEADER, Header

_MONTHS = tuple(month.encode() for month in MONTHS)
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, start=1)}
# mod_log_config's %t and nginx's $time_local: day/month/year:hour:minute:second zone; HAProxy has
# milliseconds and no zone.
_COMMON = re.compile(
    rb"(?P<day>\d{2})/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<clock>\d{2}:\d{2}:\d{2})"
    rb"(?:\.(?P<fraction>\d{1,9}))?(?P<zone> [+-]\d{4})?"
)
_ISO = re.compile(
    rb"(?P<stamp>\d{4}-\d{2}-\d{2}(?P<separator>[T \t])\d{2}:\d{2}:\d{2})(?:[.,](?P<fraction>\d{1,9}))?"
    rb"(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)
_EPOCH_COLUMN = re.compile(rb'(?:(?:"[^"]*"|[^,"]*),){3}"?(?P<epoch>\d{10})"?,')
_EPOCH_FIELD = re.compile(rb':\s*"?(?P<epoch>1\d{9}(?:\.\d{1,9}|\d{3})?)"?\s*[,}]')
_QUOTED = rb'"(?:[^"\\]|\\.|"")*"'
_COLUMNS = {
    separator: re.compile(
        rb"%b|[^%b]+" % (_QUOTED, separator)
        if separator == b" "
        else rb"[ ]*(?:%b|[^%b]*)" % (_QUOTED, separator)
    )
    for separator in (b" ", b"\t", b",", b";")
}
_CLOCK = re.compile(rb"(?P<clock>\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d{1,9}))?")
_DAY = re.compile(rb"\d{4}-\d{2}-\d{2}")
_EPOCH = re.compile(rb"(?P<epoch>\d{10}(?:\.\d{1,9}|\d{3})?)")
# How CSV's columns with the time of a request are called, in small letters.
_TIME_COLUMNS = ("date", "time", "timestamp", "datetime", "ts")
# Times of one line that are further apart do not all tell when the request was.
_ONE_REQUEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class LineTime:
    """A time found in a line.

    Attributes:
        epoch: seconds since the epoch.
        start, end: where it stands in the line.
        write: makes the same notation of other seconds since the epoch.
        day: makes the day, as 2015-05-17, of other seconds since the epoch, where a directive names it for
            the line; None where the line does.
    """

    epoch: float
    start: int
    end: int
    write: Callable[[float], bytes]
    day: Callable[[float], str] | None = None


def find_times(line: bytes, zone: tzinfo = UTC, header: Header = NO_HEADER) -> list[LineTime]:
    """The times of a line, the first of them that which counts: one, or all that an object of JSON has.

    Args:
        line: the line.
        zone: of times that name none.
        header: in force for the line.
    """
    if line.lstrip()[:1] == b"{":
        return list(_times_of_json(line, zone))
    if header.fields and not line.startswith(b"#"):
        found = _time_in_columns(line, zone, header)
        if found:
            return [found]
    for pattern, read in ((_COMMON, _read_common), (_ISO, _read_iso)):
        match = pattern.search(line)
        if match:
            try:
                return [read(match, zone)]
            except ValueError:
                return []
    match = _EPOCH_COLUMN.match(line)
    if match:
        start, end = match.span("epoch")
        return [LineTime(float(match["epoch"]), start, end, lambda epoch: b"%d" % epoch)]
    return []


def rewrite_times(line: bytes, found: list[LineTime], epoch: float) -> bytes:
    """The line with other times in the places and notations of those found, the first of them ``epoch``."""
    shift = epoch - found[0].epoch
    for one in sorted(found, key=lambda one: one.start, reverse=True):
        line = line[: one.start] + one.write(one.epoch + shift) + line[one.end :]
    return line


def _time_in_columns(line: bytes, zone: tzinfo, header: Header) -> LineTime | None:
    """The time in the columns that a header names for it; None where they are others than it names."""
    names = header.fields.encode()
    commas = b"," in names or b";" in names
    if commas:
        mark = b"," if b"," in names else b";"
        named, spans = _spans(names, mark), _spans(line, mark)
    else:
        named, spans = (
            _spans(names, b"\t" if b"\t" in names else b" "),
            _spans(line, b"\t" if b"\t" in line else b" "),
        )
    if len(named) != len(spans):
        return None
    places = {
        names[start:end].decode().lower(): span for (start, end), span in zip(named, spans, strict=True)
    }
    try:
        return _read_csv(line, places, zone) if commas else _read_w3c(line, places, zone, header.date)
    except ValueError:
        return None


def _spans(line: bytes, separator: bytes) -> list[tuple[int, int]]:
    """Where the columns of a line stand, without the quotes around them."""
    spans: list[tuple[int, int]] = []
    at, end = 0, len(line.rstrip(b"\r\n"))
    while at <= end:
        match = _COLUMNS[separator].match(line, at, end)
        start, stop = match.span() if match else (at, at)
        text = line[start:stop]
        left = len(text) - len(text.lstrip(b' "'))
        right = len(text) - len(text.rstrip(b' "'))
        spans.append((start + left, max(start + left, stop - right)))
        at = stop + 1
        while separator == b" " and line[at : at + 1] == b" ":
            at += 1
        if separator == b" " and at >= end:
            break
    return spans


def _read_csv(line: bytes, places: dict[str, tuple[int, int]], zone: tzinfo) -> LineTime | None:
    for name in _TIME_COLUMNS:
        if name not in places:
            continue
        start, end = places[name]
        text = line[start:end]
        for pattern, read in ((_COMMON, _read_common), (_ISO, _read_iso), (_EPOCH, _read_epoch)):
            match = pattern.search(text)
            if match:
                found = read(match, zone)
                return replace(found, start=found.start + start, end=found.end + start)
    return None


def _read_w3c(
    line: bytes, places: dict[str, tuple[int, int]], zone: tzinfo, date_of_directive: str
) -> LineTime | None:
    """A date and a time of day, wherever they stand; or a time of day of the day that a directive names."""
    if "time" not in places:
        return None
    start, end = places["time"]
    clock = _CLOCK.fullmatch(line, start, end)
    if not clock:
        return None
    if "date" not in places:
        if not date_of_directive:
            return None
        found = _read_iso_text(date_of_directive.encode(), clock, zone)
        return LineTime(
            found, start, end, lambda epoch: _clock_of(epoch, clock, zone), lambda epoch: _day_of(epoch, zone)
        )
    day_start, day_end = places["date"]
    if not _DAY.fullmatch(line, day_start, day_end):
        return None
    found = _read_iso_text(line[day_start:day_end], clock, zone)
    if day_start < start:
        between = line[day_end:start]
        return LineTime(
            found,
            day_start,
            end,
            lambda epoch: _day_of(epoch, zone).encode() + between + _clock_of(epoch, clock, zone),
        )
    between = line[end:day_start]
    return LineTime(
        found,
        start,
        day_end,
        lambda epoch: _clock_of(epoch, clock, zone) + between + _day_of(epoch, zone).encode(),
    )


def _read_iso_text(day: bytes, clock: re.Match[bytes], zone: tzinfo) -> float:
    text = f"{day.decode()} {clock['clock'].decode()}"
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone).timestamp() + _fraction(clock)


def _day_of(epoch: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(int(epoch), zone).strftime("%Y-%m-%d")


def _clock_of(epoch: float, clock: re.Match[bytes], zone: tzinfo) -> bytes:
    return datetime.fromtimestamp(int(epoch), zone).strftime("%H:%M:%S").encode() + _written_fraction(
        epoch, clock
    )


def _times_of_json(line: bytes, zone: tzinfo) -> Iterator[LineTime]:
    """All times that belong to one request: which of several keys is read depends on the server."""
    found: list[LineTime] = []
    for pattern, read in ((_COMMON, _read_common), (_ISO, _read_iso), (_EPOCH_FIELD, _read_epoch)):
        for match in pattern.finditer(line):
            before, after = line[: match.start()].rstrip(b"["), line[match.end() :].lstrip(b"]")
            # Whole values only: a date within a path or a text is none of the log's.
            if read is not _read_epoch and not (before.endswith(b'"') and after.startswith(b'"')):
                continue
            try:
                found.append(read(match, zone))
            except ValueError:
                continue
    found.sort(key=lambda one: one.start)
    return (one for one in found if abs(one.epoch - found[0].epoch) < _ONE_REQUEST_SECONDS)


def _read_epoch(match: re.Match[bytes], _zone: tzinfo) -> LineTime:
    text = match["epoch"]
    milliseconds = b"." not in text and len(text) == 13
    digits = len(text.partition(b".")[2])

    def write(epoch: float) -> bytes:
        return b"%d" % (epoch * 1000) if milliseconds else b"%.*f" % (digits, epoch)

    return LineTime(float(text) / (1000 if milliseconds else 1), *match.span("epoch"), write)


def _read_common(match: re.Match[bytes], default: tzinfo) -> LineTime:
    zone = _zone(match["zone"], default)
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
        return b"%02d/%s/%04d:%02d:%02d:%02d%s%s" % (
            at.day,
            _MONTHS[at.month - 1],
            at.year,
            at.hour,
            at.minute,
            at.second,
            _written_fraction(epoch, match),
            match["zone"] or b"",
        )

    return LineTime(when.timestamp() + extra + _fraction(match), *match.span(), write)


def _read_iso(match: re.Match[bytes], default: tzinfo) -> LineTime:
    zone = _zone(match["zone"], default)
    separator = match["separator"].decode()
    when = datetime.strptime(match["stamp"].decode(), f"%Y-%m-%d{separator}%H:%M:%S").replace(tzinfo=zone)

    def write(epoch: float) -> bytes:
        text = datetime.fromtimestamp(int(epoch), zone).strftime(f"%Y-%m-%d{separator}%H:%M:%S").encode()
        return text + _written_fraction(epoch, match) + (match["zone"] or b"")

    return LineTime(when.timestamp() + _fraction(match), *match.span(), write)


def _fraction(match: re.Match[bytes]) -> float:
    digits = match["fraction"]
    return int(digits) / 10 ** len(digits) if digits else 0.0


def _written_fraction(epoch: float, match: re.Match[bytes]) -> bytes:
    digits = len(match["fraction"] or b"")
    return b".%0*d" % (digits, int((epoch - int(epoch)) * 10**digits)) if digits else b""


def _zone(text: bytes | None, default: tzinfo) -> tzinfo:
    if text is None:
        return default
    text = text.strip()
    if text == b"Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text.startswith(b"-") else offset)
