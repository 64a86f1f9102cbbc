"""The rows of a saved query as a table, as JSON and as CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import tzinfo

from provisioning.queries import Column, SavedQuery, Value
from reading.alerts import parse_time
from reading.plain import bytes_text, duration_text, local_time
from reading.printable import printable
from reading.tables import table_text
from reading.tick_json import utc_text

# Wide enough for a path, narrow enough for a table.
_TEXT_WIDTH = 80


def query_table(
    query: SavedQuery, rows: Sequence[Sequence[Value]], zone: tzinfo | None, *, width: int | None = None
) -> str:
    """A table for people; text of the log is made safe and cut. ``width`` is the terminal's, if it is one."""
    if not rows:
        return "nothing found"
    alignment = ["left" if column.kind in ("text", "time") else "right" for column in query.columns]
    cells = [[_shown(value, column, zone) for value, column in _paired(row, query)] for row in rows]
    texts = [number for number, column in enumerate(query.columns) if column.kind == "text"]
    return table_text(
        cells,
        [column.name for column in query.columns],
        width=width,
        flexible=sorted(texts, key=lambda number: -max(len(row[number]) for row in cells)),
        align=alignment,
    )


def query_json(query: SavedQuery, rows: Sequence[Sequence[Value]]) -> str:
    """One object a line, with the columns' names; times in UTC, durations and sizes as logged."""
    return "\n".join(
        json.dumps({column.name: _plain(value, column) for value, column in _paired(row, query)})
        for row in rows
    )


def query_csv(query: SavedQuery, rows: Sequence[Sequence[Value]]) -> str:
    """Comma-separated values with a head (RFC 4180, lines ended by newlines); text of the log made safe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in query.columns])
    for row in rows:
        values = [_plain(value, column) for value, column in _paired(row, query)]
        writer.writerow([printable(value) if isinstance(value, str) else value for value in values])
    return text.getvalue().rstrip("\n")


def _paired(row: Sequence[Value], query: SavedQuery) -> list[tuple[Value, Column]]:
    return list(zip(row, query.columns, strict=True))


def _plain(value: Value, column: Column) -> Value:
    if value is None or column.kind != "time":
        return value
    return utc_text(parse_time(value))


def _shown(value: Value, column: Column, zone: tzinfo | None) -> str:
    if value is None:
        return "-"
    if column.kind == "time":
        return local_time(parse_time(value), zone)
    if isinstance(value, str):
        return printable(value, _TEXT_WIDTH)
    match column.kind:
        case "count":
            return f"{value:,.0f}"
        case "bytes":
            return bytes_text(round(value))
        case "share":
            return f"{value:.1%}"
        case "seconds":
            return duration_text(value)
        case "nanoseconds":
            return f"{value / 1e6:,.1f} ms"
        case _:
            return f"{value:.6g}" if isinstance(value, float) else str(value)
