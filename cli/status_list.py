"""A list of statuses as a table or as JSON, the same for transforms and watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from _typeshed import DataclassInstance

Status = TypeVar("Status", bound="DataclassInstance")


def print_statuses(
    statuses: Iterable[Status],
    format: str,  # noqa: A002
    *,
    row: Callable[[Status], Sequence[Any]],
    headers: Sequence[str],
    align: Sequence[str] | None = None,
) -> None:
    """Print one row a status, or with the format ``json`` all that each holds."""
    import json
    from dataclasses import asdict

    from tabulate import tabulate

    if format == "json":
        typer.echo(json.dumps([asdict(status) for status in statuses], indent=2))
        return
    rows = [row(status) for status in statuses]
    typer.echo(tabulate(rows, headers=headers, colalign=align if rows else None, disable_numparse=True))
