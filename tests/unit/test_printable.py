"""Guards the terminal: text from a log never reaches it with a character that the terminal acts upon."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reading.printable import printable


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("/pages", "/pages"),
        ("/größe/日本", "/größe/日本"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\r\nb\tc\x00\x7f", r"a\x0d\x0ab\x09c\x00\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\u2028c", r"a\u200bb\u2028c"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_unsafe_characters_are_written_out(raw: str, safe: str) -> None:
    assert printable(raw) == safe


@given(st.text())
def test_nothing_a_terminal_acts_upon_is_left(text: str) -> None:
    assert all(unicodedata.category(character)[0] != "C" for character in printable(text))


@given(st.text(), st.integers(4, 50))
def test_a_width_is_kept(text: str, width: int) -> None:
    assert len(printable(text, width)) <= width


def test_the_cut_is_shown() -> None:
    assert printable("/abcdefghij", 8) == "/abcd..."
    assert printable("/abcdefg", 8) == "/abcdefg"
