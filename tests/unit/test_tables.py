"""Guards that no table is wider than the terminal, that nothing is lost, and that a pipe gets it whole."""

from __future__ import annotations

from collections import Counter

import pytest

from reading.printable import cells
from reading.tables import table_text, wrapped_lines

HEADERS = ("kind", "name", "why")
ROWS = [
    ("index", "httpmon-sections-000001", "was changed in the cluster: settings.index.refresh_interval"),
    ("watch", "httpmon-high-traffic", "is as rendered"),
]


def test_a_pipe_gets_one_line_a_row() -> None:
    lines = table_text(ROWS, HEADERS, flexible=(2, 1)).splitlines()
    assert len(lines) == 4
    assert lines[2].endswith("settings.index.refresh_interval")


@pytest.mark.parametrize("width", [200, 80, 60, 40, 30])
def test_it_fits_and_nothing_is_lost(width: int) -> None:
    text = table_text(ROWS, HEADERS, width=width, flexible=(2, 1))
    assert max(map(cells, text.splitlines())) <= width
    letters = Counter("".join(text.split()))
    assert not Counter("".join("".join(cell.split()) for row in ROWS for cell in row)) - letters


def test_where_no_column_can_give_way_each_row_is_a_record() -> None:
    text = table_text([("a" * 30, "b" * 30)], ("first", "second"), width=40)
    assert text == f"first   {'a' * 30}\nsecond  {'b' * 30}"


def test_a_column_that_has_nothing_to_say_is_left_out() -> None:
    shown = table_text([("a", "-", 1), ("b", "", 2)], ("x", "y", "z"), optional=(1,), align=("left",) * 3)
    assert shown.splitlines()[0].split() == ["x", "z"]
    assert table_text([("a", "!")], ("x", "y"), optional=(1,)).splitlines()[0].split() == ["x", "y"]
    assert table_text([], ("x", "y"), optional=(1,)).splitlines()[0].split() == ["x"]


def test_long_lines_go_on_indented_and_words_stay_whole() -> None:
    text = wrapped_lines("a line that is too long for it\nhttp://a-very-long-address/which-stays", 20)
    assert text == "a line that is too\n    long for it\nhttp://a-very-long-address/which-stays"
    assert wrapped_lines("x " * 99, None) == "x " * 99


def test_nothing_is_shown_as_nothing() -> None:
    assert "None" not in table_text([("kibana.url", None)], ("setting", "value"))
