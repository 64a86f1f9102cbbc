"""What a shipper must know of formats: which pipeline reads one, and the headers that name columns. Pure.

The engine's pipelines tell the formats of lines by themselves. Two things they cannot see in a line: a format
that its owner wants to force, and the columns that a header named further up in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from engine.errors import ShippingError
from engine.spelling import closest_hint
from shipping.framing import Block, LineFramer

AUTOMATIC = "auto"

# The names of formats, and the pipeline that reads each: its template's stem.
FORMATS = {
    AUTOMATIC: None,
    "common": "access_common",
    "combined": "access_common",
    "vhost": "access_common",
    "nginx": "access_common",
    "apache": "access_common",
    "ssl_request": "access_common",
    "traefik": "access_common",
    "haproxy": "access_haproxy",
    "alb": "access_aws",
    "elb": "access_aws",
    "w3c": "access_w3c",
    "iis": "access_w3c",
    "cloudfront": "access_w3c",
    "csv": "access_csv",
    "json": "access_json",
    "traefik_json": "access_json",
    "caddy": "access_json",
    "nginx_json": "access_json",
    "apache_json": "access_json",
}

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = b"#fields:"
_DATE = b"#date:"
# As servers write it, and as the draft of the format itself does: 12-Jan-1996.
_DIRECTIVES_DATE = re.compile(
    r"(?P<iso>\d{4}-\d{2}-\d{2})|(?P<day>\d{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{4})"
)
# As logs name the months, whatever the locale.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COLUMN_NAME = re.compile(r'"?[A-Za-z][A-Za-z0-9 _.:()/-]*"?')
_SCAN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What a file said of the lines that follow.

    Attributes:
        fields: the names of the columns, as they stand after ``#Fields:`` or in a CSV's first line; empty
            where none were given.
        date: of a ``#Date:`` directive (W3C Extended Log File Format), for lines with a time of day only.
    """

    fields: str = ""
    date: str = ""


NO_HEADER = Header()


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """How lines are to be read.

    Attributes:
        pipeline: the ingest pipeline by name; None leaves the choice to the data stream.
        own: the name of one of the user's own formats, which the data stream's pipeline is to read lines by.
        timezone: of dates that name none; None leaves it to the pipeline.
    """

    pipeline: str | None = None
    own: str | None = None
    timezone: str | None = None


SEEN_BY_ITSELF = FormatOptions()


def format_options(
    name: str, timezone: str | None, own_formats: Iterable[str], name_of: Callable[[str], str]
) -> FormatOptions:
    """The options for a format by its name.

    Args:
        name: one of FORMATS or of the user's own.
        timezone: of dates that name none.
        own_formats: the names of the user's own.
        name_of: gives the full name of a pipeline by its template's stem.

    Raises ShippingError for an unknown name.
    """
    own = list(own_formats)
    if name in own:
        return FormatOptions(own=name, timezone=timezone)
    if name not in FORMATS:
        known = [*FORMATS, *own]
        hint = closest_hint(name, known, f"; there are {', '.join(known)}")
        raise ShippingError(f"log format {name}: there is no such format{hint}")
    stem = FORMATS[name]
    return FormatOptions(pipeline=name_of(stem) if stem else None, timezone=timezone)


def runs_by_header(block: Block, header: Header) -> tuple[list[tuple[Block, Header]], Header]:
    """Cut a block where the columns of its lines change.

    Returns its parts, each with the header in force, and the header in force after it.
    """
    content = block.content
    may_begin_with_one = block.offset == 0
    # One byte is found ten times as fast as two, and most logs have it nowhere.
    if not block.is_ordinary or not (may_begin_with_one or b"#" in content):
        return [(block, header)], header
    runs: list[tuple[Block, Header]] = []
    start = 0

    def cut(end: int) -> None:
        nonlocal start
        if end > start:
            part = content[start:end]
            runs.append((Block(block.offset + start, part, block.offset + end), header))
            start = end

    at = 0
    while 0 <= at < len(content):
        if (may_begin_with_one and at == 0) or content.startswith(b"#", at):
            newline = content.index(b"\n", at)
            after = header_after(content[at:newline], header, first=block.offset + at == 0)
            if after != header:
                cut(newline + 1)
                header = after
            at = newline
        at = content.find(b"\n#", at) + 1 or len(content)
    cut(len(content))
    return runs, header


def header_after(line: bytes, header: Header, *, first: bool) -> Header:
    """The header in force after a line: that before it, unless the line is a directive or names columns."""
    line = line.removeprefix(_BYTE_ORDER_MARK)
    if len(line) > 1 << 16:
        return header
    if b"\0" in line:  # UTF-16, as PowerShell writes what it is given
        line = line.lstrip(b"\xff\xfe").replace(b"\0", b"")
    start = line[:8].lower()
    if start == _FIELDS:
        return replace(header, fields=_text(line[len(_FIELDS) :]))
    if start.startswith(_DATE):
        return replace(header, date=_date_in(_text(line)) or header.date)
    if first and not line.startswith(b"#") and _names_columns(_text(line)):
        return replace(header, fields=_text(line))
    return header


def is_header_only(beginning: bytes) -> bool:
    """Whether the beginning of a file holds nothing but what all files of its log begin with."""
    return all(
        line.startswith(b"#") or (number == 0 and header_after(line, NO_HEADER, first=True) != NO_HEADER)
        for number, line in enumerate(beginning.removeprefix(_BYTE_ORDER_MARK).splitlines())
    )


def header_before(read_at: Callable[[int, int], bytes], offset: int) -> Header:
    """The header in force at an offset of a file; searched are files that begin with one, or nearly.

    Args:
        read_at: returns up to so many bytes (second) from an offset (first).
        offset: where a line begins.
    """
    head = read_at(0, 1 << 12).removeprefix(_BYTE_ORDER_MARK)
    if b"\0" in head:
        head = head.lstrip(b"\xff\xfe").replace(b"\0", b"")
    first = head.split(b"\n", 1)[0]
    if not first.startswith(b"#") and b"\n#" not in head and not _names_columns(_text(first)):
        return NO_HEADER
    framer = LineFramer()
    header = NO_HEADER
    while framer.position < offset:
        data = read_at(framer.position, min(_SCAN_BYTES, offset - framer.position))
        if not data:
            break
        for block in framer.feed(data):
            _, header = runs_by_header(block, header)
    return header


def _date_in(directive: str) -> str | None:
    """The day that a ``#Date:`` names, as 1996-01-12."""
    found = _DIRECTIVES_DATE.search(directive)
    if not found or found["iso"]:
        return found and found["iso"]
    month = found["month"].title()
    if month not in MONTHS:
        return None
    return f"{found['year']}-{MONTHS.index(month) + 1:02}-{int(found['day']):02}"


def _text(line: bytes) -> str:
    return line.decode(errors="backslashreplace").strip()


def _names_columns(line: str) -> bool:
    """Whether a line of CSV has names only, a status among them."""
    cells = line.replace(";", ",").split(",")
    return (
        len(cells) > 3
        and all(_COLUMN_NAME.fullmatch(cell.strip()) for cell in cells)
        and any(mark in line.lower() for mark in ("status", "code", "response"))
    )
