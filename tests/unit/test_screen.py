"""Guards the layout of the live screen: any size is filled exactly, numbers add up, ASCII means ASCII."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reading.operations import Acknowledgement, Operations, Silence, alert_key
from reading.printable import cells
from reading.rule import TrafficRule
from reading.screen import View, compose_screen, count_text, line_text
from reading.sparkline import curve
from reading.tick import SectionCounts, Tick
from tests.unit.ticks import END, NOW, busy_tick, empty_tick


def many_sections() -> Tick:
    sections = tuple(
        (
            f"/section{index}" if index else "/日本" * 20,
            SectionCounts(60 - index, 1000 * index, 1, 0, 90, 1000),
        )
        for index in range(40)
    )
    total = SectionCounts(3000, 10**9, 99, 9, 9000, 123_456_789)
    return replace(
        busy_tick(), sections=sections, others=total.without(c for _, c in sections), total=total,
        history=tuple(range(60)), top={
            "clients": (("192.0.2.7", 100),), "paths": (("/pages/\x1b]0;x", 9),), "agents": (("Mozilla", 9),)
        },
    )  # fmt: skip


def drawn(tick: Tick | None, width: int, height: int, view: View | None = None) -> list[str]:
    lines = compose_screen(tick, TrafficRule(), view or View(), width=width, height=height, now=NOW, zone=UTC)
    return [line_text(line) for line in lines]


EXACT = r"""
httpmon  2026-03-01 12:00:00 to 12:00:10 UTC                           following
12.80 hits/s now, 10.00 over 2m, threshold 10; 20,500 overall
╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▅▅▅▅▅▅▅▅▅▅▅▅- 10 threshold
                                                    ████████████  last 10 min
2xx 110  3xx 5  4xx 12  5xx 1  1.2 MB  23 clients

section                   *hits  share   avg 2m    4xx    5xx    bytes   overall
/pages          ███████     120  93.8%     9.17      7      1   1.2 MB    20,000
/\x1b[31mevil\~ █             5   3.9%     0.04      5      0    900 B         5
(others: 2)                   3   2.3%     0.79      0      0     33 B       495
total                       128 100.0%    10.00     12      1   1.2 MB    20,500

top clients
192.0.2.7                                                                    100
198.51.100.9                                                                  28

alerts, newest last
11:50:10 recovered  10 min 8 s ago, lasted 1 min 30 s; recovered \x07
11:58:00 triggered  OPEN for 2 min 18 s; High traffic generated an alert - hits~

newest summary 12:00:00, 8 s old; newest hit 12:00:15; unparsed lines 3 (+1)


q quit  p pause  s sort  left/right time  f follow  / filter  a ack  ? help
""".strip("\n")


def test_a_screen_of_eighty_columns() -> None:
    assert "\n".join(line.rstrip() for line in drawn(busy_tick(), 80, 24)) == EXACT


@given(
    st.integers(1, 220), st.integers(1, 70), st.booleans(), st.sampled_from(["tick", "none", "help", "empty"])
)
def test_any_size_is_filled_exactly(width: int, height: int, ascii_only: bool, what: str) -> None:
    tick = {"tick": many_sections(), "none": None, "help": None, "empty": empty_tick()}[what]
    view = View(ascii_only=ascii_only, help=what == "help", trouble="cannot reach the engine " * 5)
    lines = drawn(tick, width, height, view)
    assert len(lines) == height
    assert max(cells(line) for line in lines) <= width
    assert all(line.isprintable() for line in lines)


def test_ascii_means_ascii() -> None:
    tick = replace(many_sections(), sections=many_sections().sections[1:])
    assert all(line.isascii() for line in drawn(tick, 200, 50, View(ascii_only=True)))
    assert any("#" in line for line in drawn(tick, 200, 50, View(ascii_only=True)))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_named_sections_and_the_others_add_up(size: tuple[int, int]) -> None:
    lines = drawn(many_sections(), *size)
    head = next(number for number, line in enumerate(lines) if line.startswith("section"))
    column = slice(lines[head].index("*hits") - 2, lines[head].index("*hits") + 5)
    total = next(number for number, line in enumerate(lines) if line.startswith("total"))
    # The first row's name is wide: its numbers stand further left in characters, not in columns.
    first = int(lines[head + 1].split("%")[0].split()[-2].replace(",", ""))
    rows = [int(line[column].replace(",", "")) for line in lines[head + 2 : total]]
    assert first + sum(rows) == int(lines[total][column].replace(",", "")) == 3000


def test_what_somebody_did_about_an_alert_is_told() -> None:
    tick = busy_tick()
    alert = tick.open_alerts[0]
    acknowledged = Operations((Acknowledgement(alert_key(alert), NOW, "ada", ""),))
    assert any("open, acknowledged by ada for" in line for line in drawn(
        replace(tick, operations=acknowledged), 120, 30))  # fmt: skip
    silence = Silence("s1", "*", END, NOW.replace(hour=23), "ada", "tests")
    silenced = Operations((), (silence,))
    assert any("open, silenced for" in line for line in drawn(
        replace(tick, operations=silenced), 120, 30))  # fmt: skip


def test_nothing_read_yet() -> None:
    assert drawn(None, 40, 5)[1] == "reading ..."
    assert drawn(None, 40, 5, View(trouble="away"))[1] == "away"


@pytest.mark.parametrize(
    ("count", "width", "text"),
    [
        (0, 7, "0"),
        (999_999, 7, "999,999"),
        (1_000_000, 7, "1.0M"),
        (97_900_000, 9, "97.9M"),
        (999_999_999, 7, "1.0G"),
        (123_456_789, 9, "123M"),
    ],
)
def test_counts_that_are_too_wide_are_shortened(count: int, width: int, text: str) -> None:
    assert count_text(count, width) == text


def test_a_curve_keeps_the_threshold_in_the_picture() -> None:
    low = curve([0, 1, 2], width=3, height=4, threshold=10)
    assert low.threshold_row == 0
    assert low.rows == ("╌╌╌", "   ", "   ", " ▃▅")
    high = curve([40, 5], width=2, height=4, threshold=10)
    assert high.threshold_row == 2
    assert high.over == (True, False)
    assert high.rows == ("█ ", "█ ", "█╌", "█▄")


def test_a_curve_shows_the_newest_values_at_the_right_edge() -> None:
    assert curve([8, 0, 8], width=2, height=1, threshold=0).rows == (" █",)
    assert curve([8], width=5, height=1, threshold=0).rows == ("█████",)
    assert curve([], width=5, height=2, threshold=0).rows == ("     ", "     ")
    assert curve([8, 4], width=5, height=1, threshold=0).rows == (" ██▄▄",)
