"""Promise: a replayed log keeps its order, its gaps and everything but its times."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipping.formats import Header
from shipping.log_time import find_times, rewrite_times
from shipping.replay import DueLine, schedule

COMMON = b'1.2.3.4 - - [%s] "GET / HTTP/1.1" 200 5'


@pytest.mark.parametrize(
    ("line", "epoch"),
    [
        (COMMON % b"17/May/2015:10:05:03 +0000", 1431857103),
        (COMMON % b"17/May/2015:12:05:03 +0200", 1431857103),
        (COMMON % b"17/May/2015:04:35:03 -0530", 1431857103),
        (COMMON % b"29/Feb/2024:23:59:60 +0000", 1709251200),
        (b'{"time":"2015-05-17T10:05:03.250Z","path":"/"}', 1431857103.25),
        (b'{"time":"2015-05-17T12:05:03+02:00"}', 1431857103),
        (b'"10.0.0.2","-","apache",1549573860,"GET /api/user HTTP/1.0",200,1234', 1549573860),
    ],
)
def test_the_time_of_each_notation_is_read(line: bytes, epoch: float) -> None:
    found = find_times(line)
    assert found[0].epoch == epoch


@pytest.mark.parametrize(
    "line",
    [b"", b"segfault at 0", COMMON % b"31/Feb/2015:10:05:03 +0000", COMMON % b"17/Foo/2015:10:05:03 +0000"],
)
def test_what_is_no_time_is_not_taken_for_one(line: bytes) -> None:
    assert find_times(line) == []


@given(epoch=st.integers(0, 4_000_000_000), zone=st.sampled_from([b"+0000", b"-0800", b"+0545"]))
def test_a_time_written_is_the_time_read(epoch: int, zone: bytes) -> None:
    line = COMMON % (b"17/May/2015:10:05:03 " + zone)
    written = rewrite_times(line, find_times(line), epoch)
    assert find_times(written)[0].epoch == epoch
    assert written.endswith(zone + b'] "GET / HTTP/1.1" 200 5')


def at(second: int) -> bytes:
    return COMMON % (b"17/May/2015:10:05:%02d +0000" % second)


def seconds_of(lines: list[DueLine]) -> list[float]:
    return [find_times(line.content)[0].epoch for line in lines]


def test_order_and_gaps_are_kept() -> None:
    # The third line is older than the second, as logs are written at the end of a request.
    lines = [(0, at(10)), (90, at(30)), (180, at(20)), (270, at(40))]
    replayed = list(schedule(lines, start_epoch=1_700_000_000, speed=2))
    assert [line.due for line in replayed] == [0, 10, 10, 15]
    assert [second - 1_700_000_000 for second in seconds_of(replayed)] == [0, 10, 5, 15]
    assert [line.offset for line in replayed] == [0, 90, 180, 270]


def test_lines_without_a_time_go_with_their_neighbours() -> None:
    lines = [(0, b"garbage"), (8, at(10)), (98, at(20)), (188, b"more"), (193, at(30))]
    replayed = list(schedule(lines, start_epoch=0, speed=1))
    assert [line.due for line in replayed] == [0, 0, 10, 10, 20]
    assert [replayed[0].content, replayed[3].content] == [b"garbage", b"more"]


@given(st.lists(st.integers(0, 59), max_size=20), st.sampled_from([0.5, 1, 100]))
def test_no_line_is_sent_before_its_new_time(seconds: list[int], speed: float) -> None:
    lines = [(number, at(second)) for number, second in enumerate(seconds)]
    replayed = list(schedule(lines, start_epoch=1000, speed=speed))
    assert all(second <= 1000 + line.due for second, line in zip(seconds_of(replayed), replayed, strict=True))
    assert [line.due for line in replayed] == sorted(line.due for line in replayed)


@pytest.mark.parametrize(
    ("line", "times", "replayed"),
    [
        (b"%s\tLHR\t5", [b"2015-05-17\t10:05:03"], [b"2023-11-14\t22:13:20"]),
        (b"#Date: %s", [b"2015-05-17 10:05:03"], [b"2023-11-14 22:13:20"]),
        (b"x[1]: 1.2.3.4:5 [%s] in", [b"17/May/2015:10:05:03.250"], [b"14/Nov/2023:22:13:20.250"]),
        (
            b'{"StartLocal":"%s","StartUTC":"%s","time":"%s"}',
            [b"2015-05-17T12:05:03.5+02:00", b"2015-05-17T10:05:03.5Z", b"2015-05-17T10:05:04Z"],
            [b"2023-11-15T00:13:20.5+02:00", b"2023-11-14T22:13:20.5Z", b"2023-11-14T22:13:21Z"],
        ),
        (b'{"ts":%s,"uri":"/?a=1431857103"}', [b"1431857103.25"], [b"1700000000.25"]),
        (b'{"msec": "%s", "n": 5}', [b"1431857103250"], [b"1700000000250"]),
        (b'{"time":"[%s]"}', [b"17/May/2015:10:05:03 +0000"], [b"14/Nov/2023:22:13:20 +0000"]),
        (b'{"m":"/?d=2015-05-17T10:05:03Z","t":"%s"}', [b"2015-05-17T10:05:03"], [b"2023-11-14T22:13:20"]),
    ],
)
def test_each_notation_is_written_anew(line: bytes, times: list[bytes], replayed: list[bytes]) -> None:
    before = line % tuple(times)
    found = find_times(before)
    assert rewrite_times(before, found, 1_700_000_000 + found[0].epoch % 1) == line % tuple(replayed)


def test_times_without_a_zone_are_of_the_one_that_is_given() -> None:
    berlin = timezone(timedelta(hours=2))
    line = b"2015-05-17 10:05:03 GET /"
    (found,) = find_times(line, berlin)
    assert found.epoch == 1431857103 - 7200
    assert rewrite_times(line, [found], 1_700_000_000) == b"2023-11-15 00:13:20 GET /"


APART = "date cs-method c-ip time cs-uri"
CSV = '"remotehost","date","request","status"'


@pytest.mark.parametrize(
    ("header", "before", "after"),
    [
        (Header(APART), b"2015-05-17 GET 1.2.3.4 10:05:03 /a", b"2023-11-14 GET 1.2.3.4 22:13:20 /a"),
        (Header(APART), b"2015-05-17\tGET\t-\t10:05:03.25\t/a", b"2023-11-14\tGET\t-\t22:13:20.25\t/a"),
        (Header("time cs(User-Agent) date"), b'10:05:03 "a b" 2015-05-17\r', b'22:13:20 "a b" 2023-11-14\r'),
        (Header("date time cs-uri"), b"2015-05-17  10:05:03  /a", b"2023-11-14  22:13:20  /a"),
        (Header(CSV), b'"a",1431857103,"GET / HTTP/1.0",200', b'"a",1700000000,"GET / HTTP/1.0",200'),
        (Header(CSV), b'"a","1431857103.25","GET /",200', b'"a","1700000000.25","GET /",200'),
        (Header(CSV), b'"a, ""b""",1431857103250,"x",200', b'"a, ""b""",1700000000250,"x",200'),
        (
            Header("time;status;request"),
            b'"17/May/2015:10:05:03 +0000";200;"GET /;x"',
            b'"14/Nov/2023:22:13:20 +0000";200;"GET /;x"',
        ),
        # Other columns than the header names: whatever is a time by its looks.
        (Header(APART), b"2015-05-17 10:05:03 GET", b"2023-11-14 22:13:20 GET"),
    ],
)
def test_the_time_stands_in_the_columns_that_a_header_names(
    header: Header, before: bytes, after: bytes
) -> None:
    (found,) = find_times(before, header=header)
    assert found.epoch // 1 == 1431857103
    assert rewrite_times(before, [found], 1_700_000_000 + found.epoch % 1) == after


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (Header(APART), b"2015-02-31 GET 1.2.3.4 10:05:03 /a"),
        (Header(APART), b"yesterday GET 1.2.3.4 10:05:03 /a"),
        (Header("time cs-uri"), b"10:05:03 /a"),
        (Header(CSV), b'"a",-,"GET / HTTP/1.0",200'),
    ],
)
def test_columns_may_hold_no_time(header: Header, line: bytes) -> None:
    assert find_times(line, header=header) == []


def test_a_time_of_day_is_of_the_day_that_a_directive_names() -> None:
    log = [
        b"#Date: 2015-05-17 23:00:00",
        b"#Fields: time cs-uri",
        b"23:59:50 /a",
        b"#Date: 18-May-2015",
        b"00:00:10 /b",
    ]
    replayed = list(schedule(enumerate(log), start_epoch=1_700_006_390, speed=1))
    assert [line.content for line in replayed] == [*log[:2], b"23:59:50 /a", log[3], b"00:00:10 /b"]
    assert [line.due for line in replayed] == [0, 0, 0, 0, 20]
    assert [line.header.date for line in replayed if b"/" in line.content] == ["2023-11-14", "2023-11-15"]
    assert replayed[-1].header.fields == "time cs-uri"
