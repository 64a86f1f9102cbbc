"""``httpmon ship``: brings the lines of log files to the cluster, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.shipping_run import LogFormat, Timezone


def command(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Log files, globs in quotes, FIFOs, or - for standard input."),
    ],
    once: Annotated[bool, typer.Option("--once", help="End at the end of the files.")] = False,
    registry: Annotated[
        Path | None, typer.Option(help="File that remembers what was sent.", show_default=False)
    ] = None,
    from_end: Annotated[
        bool, typer.Option("--from-end", help="Leave out what the files hold at the first start.")
    ] = False,
    log_format: LogFormat = None,
    timezone: Timezone = None,
    stats: Annotated[bool, typer.Option("--stats", help="Say every 10 seconds where it stands.")] = False,
) -> None:
    """Follow log files, through rotation and restarts, and send every line exactly once."""
    from cli.context import loaded_settings
    from cli.shipping_run import describe, run_shipper

    loaded = loaded_settings(
        context, ship__registry=registry, ship__log_format=log_format, ship__timezone=timezone
    )
    progress = run_shipper(loaded, files, once=once, from_end=from_end, stats=stats)
    typer.echo(describe(progress))
