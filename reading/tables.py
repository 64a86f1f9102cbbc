"""Tables for people, in no more columns than the terminal has. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from reading.printable import cells

# A column that gives way keeps so many columns of the terminal: a word of usual length.
_LEAST = 14
_GAP = 2
# tabulate makes a column so much wider than its header.
_HEAD_PADDING = 2

Row = Sequence[object]


def table_text(
    rows: Sequence[Row],
    headers: Sequence[str],
    *,
    width: int | None = None,
    flexible: Sequence[int] = (),
    optional: Sequence[int] = (),
    align: Sequence[str] | None = None,
) -> str:
    """A table; where it would be wider than ``width``, some columns' texts go on in a further line.

    Args:
        rows: the cells; numbers are shown as they are.
        headers: one for each column.
        width: columns of the terminal; None where nobody counts them (a pipe, a file).
        flexible: columns that give way, the first of them first. Where they cannot give enough, each row
            is shown as lines of a header and its cell.
        optional: columns that are left out where they have nothing to say: every cell is empty or ``-``.
        align: ``left`` or ``right`` for each column.
    """
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    shown = [
        column
        for column in range(len(headers))
        if column not in optional or any(row[column] not in ("", "-") for row in texts)
    ]
    heads = [headers[column] for column in shown]
    cut = [[row[column] for column in shown] for row in texts]
    sides = None if align is None or not rows else [align[column] for column in shown]
    if width is not None:
        widths = [
            max(_widest([row[at] for row in cut]), cells(head) + _HEAD_PADDING)
            for at, head in enumerate(heads)
        ]
        givers = [shown.index(column) for column in flexible if column in shown]
        fitting = _given_way(widths, heads, givers, width)
        if fitting is None:
            return _records(cut, heads, width)
        cut = [
            [
                _wrapped(cell, most) if cells(cell) > most else cell
                for cell, most in zip(row, fitting, strict=True)
            ]
            for row in cut
        ]
    return tabulate(cut, headers=heads, colalign=sides, disable_numparse=True)


def wrapped_lines(text: str, width: int | None, indent: str = "    ") -> str:
    """The text with each line that is longer than ``width`` going on, indented, in further ones."""
    if width is None:
        return text
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(
        line if cells(line) <= width else "\n".join(wrapper.wrap(line)) for line in text.split("\n")
    )


def _given_way(
    widths: Sequence[int], heads: Sequence[str], givers: Sequence[int], width: int
) -> list[int] | None:
    """The columns' widths that fit; None if there are none."""
    fitting = [*widths]
    for at in givers:
        excess = sum(fitting) + _GAP * (len(fitting) - 1) - width
        if excess <= 0:
            break
        fitting[at] = max(
            min(fitting[at], max(_LEAST, cells(heads[at]) + _HEAD_PADDING)), fitting[at] - excess
        )
    return fitting if sum(fitting) + _GAP * (len(fitting) - 1) <= width else None


def _records(rows: Sequence[Sequence[str]], heads: Sequence[str], width: int) -> str:
    label = _widest(heads)
    room = max(_LEAST, width - label - _GAP)
    indent = " " * (label + _GAP)
    shown = []
    for row in rows:
        lines = []
        for head, cell in zip(heads, row, strict=True):
            first, *more = textwrap.wrap(cell, room) or [""]
            lines += [f"{head:<{label}}  {first}".rstrip(), *(indent + line for line in more)]
        shown.append("\n".join(lines))
    return "\n\n".join(shown)


def _widest(texts: Sequence[str]) -> int:
    return max((cells(line) for text in texts for line in text.split("\n")), default=0)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
