"""What the local node tells its caller while something takes longer than a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One report: what is being done, and how far it is where that is known."""

    step: str
    """What is being done, the same text from the first report of a step to its last."""
    done_bytes: int = 0
    total_bytes: int = 0
    """0 where there is no measure of how far it is."""


# Called from the thread that called the local node, several times a second during a step.
Report = Callable[[Progress], None]


def no_report(_progress: Progress) -> None:
    """Tell nobody."""
