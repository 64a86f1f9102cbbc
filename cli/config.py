"""``httpmon config``: the settings in force."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Show the settings in force.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `show` a subcommand while it is the only one."""


@app.command()
def show(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
) -> None:
    """Print each setting, its value and where it came from; secrets are not shown."""
    import json

    from cli.context import loaded_settings
    from cli.terminal import output_width, require_format
    from provisioning.shown_settings import shown_settings
    from reading.tables import table_text

    require_format(format)
    rows = shown_settings(loaded_settings(context))
    if format == "json":
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2, default=str))
    else:
        headers = ("setting", "value", "from")
        typer.echo(table_text(rows, headers, width=output_width(), flexible=(1, 2)))
