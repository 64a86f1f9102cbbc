"""A curve in characters: columns of blocks with the threshold as a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The eighths of a block, lower part first (Unicode Block Elements); ASCII has three heights.
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:#"


@dataclass(frozen=True, slots=True)
class Curve:
    """Rows of one column a value, top row first.

    Attributes:
        rows: the characters, all of one length.
        over: for each column whether its value is above the threshold.
        threshold_row: in which row the threshold lies; None when it is out of the picture.
        top: the value at the upper edge.
    """

    rows: tuple[str, ...]
    over: tuple[bool, ...]
    threshold_row: int | None
    top: float


def curve(
    values: Sequence[float], *, width: int, height: int, threshold: float, ascii_only: bool = False
) -> Curve:
    """Draw the last values that fit, the newest at the right edge, each as wide as fits.

    The scale starts at 0 and reaches the greatest value or a little above the threshold, so that the
    threshold is always in the picture.
    """
    marks = _ASCII if ascii_only else _BLOCKS
    steps = len(marks) - 1
    shown = list(values)[-width:] if width > 0 else []
    column = max(1, width // len(shown)) if shown else 1
    top = max([*shown, threshold * 1.25, 1e-9])
    threshold_row = height - 1 - min(height - 1, int(threshold / top * height)) if threshold > 0 else None
    filled = [_filled_steps(value, top, height * steps) for value in shown]
    line = "-" if ascii_only else "╌"
    rows = []
    for row in range(height):
        below = (height - 1 - row) * steps
        characters = (marks[min(steps, max(0, count - below))] for count in filled)
        text = "".join(character * column for character in characters).rjust(width)
        rows.append(text.replace(" ", line) if row == threshold_row else text)
    over = [False] * (width - column * len(shown))
    for value in shown:
        over += [value > threshold] * column
    return Curve(tuple(rows), tuple(over), threshold_row, top)


def _filled_steps(value: float, top: float, steps: int) -> int:
    # A value that is not zero is seen, however small.
    return max(1, round(value / top * steps)) if value > 0 else 0
