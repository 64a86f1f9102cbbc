"""A list of statuses as a table or as JSON, the same for transforms and watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import DataclassInstance

Status = TypeVar("Status", bound="DataclassInstance")


def print_statuses(
    statuses: Sequence[Status],
    format: str,  # noqa: A002
    *,
    none: str,
    row: Callable[[Status], Sequence[Any]],
    headers: Sequence[str],
    align: Sequence[str] | None = None,
    optional: Sequence[int] = (),
) -> None:
    """Print one row a status, or with the format ``json`` all that each holds.

    ``optional`` are columns that are left out where they have nothing to say.

    Raises NotProvisioned where there is nothing, of which ``none`` says what it would be.
    """
    import json
    from dataclasses import asdict

    from cli.terminal import output_width
    from engine.errors import NotProvisioned
    from reading.tables import table_text

    if not statuses:
        raise NotProvisioned(f"{none} is installed: run httpmon provision")
    if format == "json":
        typer.echo(json.dumps([asdict(status) for status in statuses], indent=2))
        return
    rows = [row(status) for status in statuses]
    last = len(headers) - 1
    flexible = (last, 0)
    typer.echo(
        table_text(rows, headers, width=output_width(), flexible=flexible, optional=optional, align=align)
    )
