"""``httpmon reconcile``: do the summaries say what the log said?"""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    context: typer.Context,
    start: Annotated[
        str,
        typer.Option("--from", metavar="TIME", help="Start: a time, or how long before the end (2h)."),
    ],
    end: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="TIME", help="End: a time, or how long ago; now if not given.", show_default=False
        ),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what the source says where a summary differs.")
    ] = False,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
) -> None:
    """Compare the summaries with what they were made of, print every difference, and repair on demand.

    Exit code 6 if there are differences that were not repaired, or a transform that cannot be compared as it
    cannot run.
    """
    import json
    from dataclasses import asdict
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from cli.terminal import output_width, require_format
    from engine.errors import EXIT_DEGRADED
    from provisioning.executors import choose_executors
    from provisioning.retention import retention_for
    from reading.buckets import span_of_time
    from reading.printable import printable
    from reading.tables import table_text
    from scheduler.transforms.audit import notes, record, summary_line
    from scheduler.transforms.control import control_of
    from scheduler.transforms.reconcile import reconcile

    require_format(format)
    first, last = span_of_time(start, end, start, None, datetime.now(UTC))
    loaded = loaded_settings(context)
    settings = loaded.settings
    with open_engine(loaded) as engine:
        executors = choose_executors(settings.executor, engine.capabilities())
        control = control_of(engine, settings, native=executors.transforms == "native")
        retention = retention_for(settings.retention, engine.capabilities())
        audit = reconcile(engine, control, retention, first, last, repair=repair)
        record(engine, settings.names, audit, first, last)
    if format == "json":
        typer.echo(json.dumps(asdict(audit), indent=2))
    else:
        if audit.differences:
            rows = [tuple(asdict(one).values()) for one in audit.differences]
            headers = ("transform", "group", "field", "source", "summary")
            typer.echo(table_text(rows, headers, width=output_width(), flexible=(1, 0)))
        typer.echo("\n".join(map(printable, [*notes(audit), summary_line(audit)])))
    raise typer.Exit(EXIT_DEGRADED if audit.left else 0)
