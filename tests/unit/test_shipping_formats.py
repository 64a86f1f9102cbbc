"""Guards: each line is sent with the header that was in force where it stands, wherever reading began."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from engine.errors import ShippingError
from shipping.formats import (
    NO_HEADER,
    FormatOptions,
    Header,
    format_options,
    header_after,
    header_before,
    runs_by_header,
)
from shipping.framing import Block, LineFramer

W3C = b"""\
#Software: Microsoft Internet Information Services 10.0\r
#Date: 2015-05-17 10:05:03\r
#Fields: time c-ip cs-method\r
10:05:03 192.0.2.1 GET\r
10:05:04 192.0.2.1 GET\r
#Date: 2015-05-18 00:00:00\r
00:00:01 192.0.2.1 GET\r
#Fields: time cs-method c-ip\r
00:00:02 GET 192.0.2.1\r
# a remark
#fields:time sc-status
00:00:03 200
"""
FIRST = Header("time c-ip cs-method", "2015-05-17")
EXPECTED = {
    b"10:05:03 192.0.2.1 GET\r\n": FIRST,
    b"10:05:04 192.0.2.1 GET\r\n": FIRST,
    b"00:00:01 192.0.2.1 GET\r\n": Header("time c-ip cs-method", "2015-05-18"),
    b"00:00:02 GET 192.0.2.1\r\n": Header("time cs-method c-ip", "2015-05-18"),
    b"00:00:03 200\n": Header("time sc-status", "2015-05-18"),
}


def read_from(content: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: content[offset : offset + length]


def headers_of(blocks: list[Block], header: Header) -> dict[bytes, Header]:
    found: dict[bytes, Header] = {}
    for block in blocks:
        runs, header = runs_by_header(block, header)
        assert b"".join(part.content for part, _ in runs) == block.content
        assert [part.offset for part, _ in runs[1:]] == [part.end for part, _ in runs[:-1]]
        for part, in_force in runs:
            for line in part.content.splitlines(keepends=True):
                if not line.startswith(b"#"):
                    found[line] = in_force
    return found


@pytest.mark.parametrize("portion", [1, 7, 40, 4096])
def test_lines_have_the_header_above_them_however_the_bytes_arrive(portion: int) -> None:
    framer = LineFramer()
    blocks = [block for at in range(0, len(W3C), portion) for block in framer.feed(W3C[at : at + portion])]
    assert headers_of(blocks, NO_HEADER) == EXPECTED


def test_reading_may_begin_at_any_line() -> None:
    at = 0
    for line in W3C.splitlines(keepends=True):
        before = header_before(read_from(W3C), at)
        rest = Block(at, W3C[at:], len(W3C))
        found = headers_of([rest], before)
        assert found == {line: EXPECTED[line] for line in found}
        at += len(line)


@pytest.mark.parametrize(
    ("directive", "date"),
    [
        (b"#Date: 2015-05-17 10:05:03", "2015-05-17"),
        (b"#Date: 12-Jan-1996 00:00:00", "1996-01-12"),
        (b"#date: 1-FEB-1996", "1996-02-01"),
        (b"#Date: 12-Foo-1996", "2000-01-01"),
        (b"#Date: today", "2000-01-01"),
    ],
)
def test_dates_are_written_as_by_servers_and_by_the_formats_draft(directive: bytes, date: str) -> None:
    assert header_after(directive, Header("time", "2000-01-01"), first=False) == Header("time", date)


@pytest.mark.parametrize("order", ["le", "be"])
def test_columns_are_named_in_utf_16_too(order: str) -> None:
    """As PowerShell writes what it is given."""
    content = b"\xff\xfe"[:: 1 if order == "le" else -1] + W3C.decode().encode(f"utf-16-{order}")
    assert header_before(read_from(content), len(content)) == header_before(read_from(W3C), len(W3C))


def test_long_files_are_searched_whole() -> None:
    chance = random.Random(7)
    lines = [b"#Fields: time %d\n" % n if chance.random() < 0.01 else b"x" * 900 + b"\n" for n in range(4000)]
    lines.insert(0, b"#Version: 1.0\n")
    content = b"".join(lines)
    last = max(n for n, line in enumerate(lines) if line.startswith(b"#Fields"))
    assert header_before(read_from(content), len(content)).fields == lines[last][9:].decode().strip()


def test_a_header_may_stand_below_other_lines() -> None:
    """What a server said while it started, as where its output goes into the log."""
    content = b"\nstarting up\n" + W3C
    assert header_before(read_from(content), len(content)) == header_before(read_from(W3C), len(W3C))


def test_a_csv_names_its_columns_in_the_first_line_only() -> None:
    content = b'"remotehost","rfc931","date","request","status"\n"a","-",1,"GET / HTTP/1.0",200\n'
    runs, header = runs_by_header(Block(0, content, len(content)), NO_HEADER)
    assert [part.content.count(b"\n") for part, _ in runs] == [1, 1]
    assert header.fields == '"remotehost","rfc931","date","request","status"'
    later, unchanged = runs_by_header(Block(500, content, 500 + len(content)), NO_HEADER)
    assert len(later) == 1
    assert unchanged == NO_HEADER
    assert header_before(read_from(content), len(content)) == header


@pytest.mark.parametrize(
    "content",
    [
        b'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /#Fields: HTTP/1.1" 200 5\n#no header\n',
        b'"192.0.2.1","-",1549573860,"GET /status HTTP/1.0",200\n',
        b"status, code, response\n",
        b'{"status": 200, "a": 1, "b": 2, "code": 3}\n',
    ],
)
def test_other_lines_are_no_headers(content: bytes) -> None:
    runs, header = runs_by_header(Block(0, content, len(content)), NO_HEADER)
    assert [part for part, _ in runs] == [Block(0, content, len(content))]
    assert header == NO_HEADER
    assert header_before(read_from(content), len(content)) == NO_HEADER


def test_a_format_names_its_pipeline() -> None:
    def chosen(name: str) -> FormatOptions:
        return format_options(name, "+02:00", ["mine"], lambda stem: f"httpmon-{stem}")

    assert chosen("iis") == FormatOptions("httpmon-access_w3c", None, "+02:00")
    assert chosen("mine") == FormatOptions(None, "mine", "+02:00")
    assert chosen("auto") == FormatOptions(None, None, "+02:00")
    with pytest.raises(ShippingError, match="did you mean iis"):
        chosen("iiss")
