"""``httpmon status``: how the installation stands."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    context: typer.Context,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",  # noqa: A002
    all_: Annotated[
        bool, typer.Option("--all", help="Show the tables even where they do not fit on the screen.")
    ] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")] = False,
) -> None:
    """Show how the installation stands; exits with 0 if all is well, 6 if degraded, 7 if broken."""
    import json
    from datetime import UTC

    from cli.context import loaded_settings, open_engine, open_kibana
    from cli.terminal import output_height, output_width, require_format
    from reading.gather import read_installation
    from reading.installation import exit_code, findings, verdict
    from reading.status_output import status_object, status_text

    require_format(format)
    loaded = loaded_settings(context)
    with open_engine(loaded) as engine, open_kibana(loaded) as kibana:
        installation = read_installation(engine, loaded.settings, kibana)
    found = findings(installation)
    if format == "json":
        typer.echo(json.dumps(status_object(installation, found), indent=2))
    else:
        height = None if all_ else output_height()
        zone = UTC if utc else None
        typer.echo(status_text(installation, found, zone, width=output_width(), height=height))
    raise typer.Exit(exit_code(verdict(found)))
