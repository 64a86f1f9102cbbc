"""Shows how far something is: a bar on a terminal, one plain line for each step elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from localnode.progress import Progress, Report

_MEGABYTE = 1_000_000


@contextlib.contextmanager
def shown_progress() -> Iterator[Report]:
    """Give a function to report to; standard error shows what it is told."""
    with _bar() if sys.stderr.isatty() else contextlib.nullcontext(_plain_lines()) as report:
        yield report


def _plain_lines() -> Report:
    current = ""

    def report(progress: Progress) -> None:
        nonlocal current
        if progress.step != current:
            current = progress.step
            typer.echo(f"{current} ...", err=True)

    return report


@contextlib.contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[measure]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        # A bar without a total shows that something moves.
        task = bars.add_task("", total=None, measure="")
        current = ""

        def report(progress: Progress) -> None:
            nonlocal current
            if progress.step != current:
                current = progress.step
                bars.reset(task, description=current, total=progress.total_bytes or None)
            bars.update(task, completed=progress.done_bytes, measure=_measure(progress))

        yield report


def _measure(progress: Progress) -> str:
    if not progress.total_bytes:
        return ""
    return f"{progress.done_bytes / _MEGABYTE:.1f} of {progress.total_bytes / _MEGABYTE:.1f} MB"
