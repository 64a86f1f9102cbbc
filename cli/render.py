"""``httpmon render``: what would be sent to a cluster, without one."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="A template (high_traffic) or object (httpmon-high-traffic); all if left out."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Engine to render for: elasticsearch or opensearch, :VERSION may follow.")
    ] = "elasticsearch",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="TEMPLATE.PARAMETER=VALUE; may be repeated.", show_default=False),
    ] = None,
    parameters: Annotated[bool, typer.Option("--parameters", help="List the parameters instead.")] = False,
) -> None:
    """Print the rendered templates as JSON."""
    import json

    from cli.context import loaded_settings
    from cli.terminal import output_width
    from engine.capabilities import assumed_capabilities
    from engine.errors import UsageError
    from provisioning.rendering import render_all
    from reading.tables import table_text

    settings = loaded_settings(context, assignments=assignments).settings
    rendered = render_all(settings, assumed_capabilities(engine))
    chosen = [one for one in rendered if name in (None, one.stem, one.name)]
    if not chosen:
        raise UsageError(f"render {name}: there is no such template; see httpmon render --parameters")
    if parameters:
        rows = [
            (one.stem, declared.name, declared.value, declared.default, declared.unit, declared.help)
            for one in chosen
            for declared in one.parameters
        ]
        headers = ("template", "parameter", "value", "default", "unit", "meaning")
        typer.echo(table_text(rows, headers, width=output_width(), flexible=(5, 2, 3)))
        return
    for one in chosen:
        typer.echo(f"# {one.kind} {one.name} ({one.source})", err=True)
        typer.echo(json.dumps(one.body, indent=2, ensure_ascii=False))
