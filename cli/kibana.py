"""``httpmon kibana``: what Kibana shows, as a file to import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Data views, Discover sessions and dashboards for Kibana.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `export` a subcommand while it is the only one."""


@app.command()
def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")
    ] = Path("httpmon.ndjson"),
) -> None:
    """Write the saved objects for Kibana 8.3 or newer; no cluster is needed."""
    from cli.context import loaded_settings
    from engine.errors import HttpmonError
    from provisioning.kibana import installation_objects, ndjson

    objects = installation_objects(loaded_settings(context).settings)
    text = ndjson(objects)
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HttpmonError(f"kibana export: cannot write {output}: {error.strerror}") from None
    typer.echo(f"{output}: {len(objects)} saved objects")
