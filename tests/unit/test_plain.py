"""Guards the plain screen of `httpmon tail`, character by character."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reading.plain import bytes_text, duration_text, freshness_lines, render_tick, share_text, window_text
from reading.rule import TrafficRule
from reading.tick import Question
from tests.unit.ticks import END, NOW, busy_tick, empty_tick

BUSY = r"""
== 2026-03-01 14:00:00 to 14:00:10 +02:00 ==
traffic   12.80 hits/s now, 10.00 over 2m, threshold 10; 20,500 hits overall
status    2xx 110, 3xx 5, 4xx 12, 5xx 1; 1.2 MB; 23 clients
ALERT     High traffic OPEN since 2026-03-01 13:58:00 +02:00 (2 min 10 s)

section                hits    share    avg 2m    4xx    5xx    bytes    overall
-------------------  ------  -------  --------  -----  -----  -------  ---------
/pages                  120    93.8%    9.17/s      7      1   1.2 MB     20,000
/\x1b[31mevil\u202e       5     3.9%    0.04/s      5      0    900 B          5
(others: 2)               3     2.3%    0.79/s      0      0     33 B        495
total                   128   100.0%   10.00/s     12      1   1.2 MB     20,500

top client      hits    share
------------  ------  -------
192.0.2.7        100    78.1%
198.51.100.9      28    21.9%

alerts, newest last
2026-03-01 13:50:10 +02:00  recovered   recovered \x07
2026-03-01 13:58:00 +02:00  triggered   High traffic generated an alert - hits = 1,266

newest summary 14:00:00, 8 s old; newest hit 14:00:15; unparsed lines 3 (+1)
""".strip("\n")

QUIET = """
== 2026-03-01 12:00:00 to 12:00:10 UTC ==
traffic   0.00 hits/s now, 0.00 over 2m, threshold 10; 0 hits overall
status    2xx 0, 3xx 0, 4xx 0, 5xx 0; 0 B

section      hits    share    avg 2m    4xx    5xx    bytes    overall
---------  ------  -------  --------  -----  -----  -------  ---------
total           0        -    0.00/s      0      0      0 B          0

no alerts so far

no summary yet; unparsed lines 0 (+0)
no line has arrived yet: send some with httpmon ship FILE
""".strip("\n")

EAST = timezone(timedelta(hours=2))


def test_a_busy_interval_with_an_open_alert() -> None:
    assert render_tick(busy_tick(), TrafficRule(), now=NOW, zone=EAST) == BUSY


def test_no_traffic_at_all_is_zeros() -> None:
    assert render_tick(empty_tick(), TrafficRule(), now=NOW, zone=UTC) == QUIET


def test_an_interval_over_midnight_names_both_days() -> None:
    tick = empty_tick(Question(end=datetime(2026, 3, 2, tzinfo=UTC)))
    head = render_tick(tick, TrafficRule(), now=NOW, zone=UTC).splitlines()[0]
    assert head == "== 2026-03-01 23:59:50 to 2026-03-02 00:00:00 UTC =="


def test_no_character_of_a_screen_is_one_a_terminal_acts_upon() -> None:
    screen = render_tick(busy_tick(), TrafficRule(), now=NOW, zone=UTC)
    assert all(line.isprintable() for line in screen.splitlines())


def test_an_old_log_says_so_and_how_to_look_at_it() -> None:
    old = datetime(2015, 5, 20, 21, 5, 10, tzinfo=UTC)
    tick = replace(empty_tick(), newest_summary=old, newest_hit=old + timedelta(seconds=5))
    assert freshness_lines(tick, now=NOW, zone=UTC) == [
        "newest summary 2015-05-20 21:05:10 UTC, 3937 d 14 h old; newest hit 2015-05-20 21:05:15 UTC; "
        "unparsed lines 0 (+0)",
        "the newest summary is old; to look at it: httpmon tail --at 2015-05-20T21:05:20+00:00",
    ]


def test_hits_without_their_summary_are_told() -> None:
    tick = replace(empty_tick(), newest_hit=END - timedelta(seconds=40))
    assert freshness_lines(tick, now=NOW, zone=UTC)[1:] == [
        "hits have arrived but are not summarised: see httpmon status"
    ]
    behind = replace(tick, newest_summary=END - timedelta(seconds=60))
    assert freshness_lines(behind, now=NOW, zone=UTC)[1:] == [
        "hits up to 11:59:30 are not summarised yet; if that stays, see httpmon status"
    ]


def test_a_summary_of_the_future_is_a_difference_of_clocks() -> None:
    tick = replace(empty_tick(), newest_summary=NOW + timedelta(seconds=20))
    assert "20 s ahead of this clock" in freshness_lines(tick, now=NOW, zone=UTC)[0]


def test_a_bucket_that_goes_on_is_current() -> None:
    tick = replace(empty_tick(), newest_summary=NOW - timedelta(seconds=5))
    assert "12:00:13, current" in freshness_lines(tick, now=NOW, zone=UTC)[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (125, "2 min 5 s"), (7200, "2 h"), (97_200, "1 d 3 h")],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_747_282_505, "2.7 GB"),
        (5 * 10**18, "5,000.0 PB"),
    ],
)
def test_bytes_are_in_decimal_units(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_small_texts() -> None:
    assert [window_text(seconds) for seconds in (120, 90, 3600)] == ["2m", "90s", "1h"]
    assert share_text(1, 3) == "33.3%"
    assert share_text(0, 0) == "-"


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        (("a",), "1 watch fails: a; see httpmon status"),
        (("a", "b"), "2 watches fail: a, b; see httpmon status"),
        (("a", "b", "c", "d", "e"), "5 watches fail: a, b, c and 2 more; see httpmon status"),
    ],
)
def test_failing_watches_are_counted_and_named(failing: tuple[str, ...], told: str) -> None:
    lines = freshness_lines(replace(busy_tick(), failing=failing), now=NOW, zone=UTC)
    assert lines[1:] == [told]


def test_header_lines_are_counted_where_there_are_any() -> None:
    lines = freshness_lines(replace(busy_tick(), headers=1234), now=NOW, zone=UTC)
    assert lines[1:] == ["header lines 1,234"]
    assert "header" not in "".join(freshness_lines(busy_tick(), now=NOW, zone=UTC))
