"""``httpmon query``: the saved queries at the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioning.queries import SavedQuery
    from provisioning.settings import LoadedSettings

app = typer.Typer(help="Ask the saved queries.", no_args_is_help=True)


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show what can be asked."""
    from cli.context import loaded_settings
    from cli.terminal import output_width
    from reading.tables import table_text

    rows = [(query.name, query.title, query.reads) for query in _queries(loaded_settings(context))]
    typer.echo(table_text(rows, ("name", "title", "reads"), width=output_width(), flexible=(1, 0)))


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The query's name.")],
    stored: Annotated[
        bool, typer.Option("--stored", help="Print the stored search template (PUT _scripts) instead.")
    ] = False,
) -> None:
    """Show what a query asks, what it can be given and what it is in the engine's language."""
    import json

    from cli.context import loaded_settings
    from provisioning.queries import stored_script
    from reading.queries import find_query

    query = find_query(_queries(loaded_settings(context)), name)
    if stored:
        typer.echo(json.dumps(stored_script(query), indent=2))
        return
    typer.echo(f"{query.name}: {query.title}\n{query.description}")
    typer.echo(f"searches {query.index}; the last {query.span} unless --from is given")
    for argument in query.arguments:
        default = "needed" if argument.default is None else f"default {argument.default}"
        typer.echo(f"  --param {argument.name}=...  {argument.help} ({default})")
    typer.echo(json.dumps(query.search, indent=2))


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The query's name; see `httpmon query list`.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="An argument of the query; repeatable."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Start: a time, or how long before the end (24h).", show_default=False),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="End: a time, or how long ago; now if not given.")
    ] = None,
    format: Annotated[str, typer.Option(help="table, json (an object a line) or csv.")] = "table",  # noqa: A002
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")] = False,
) -> None:
    """Ask a query."""
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from cli.terminal import output_width
    from engine.errors import UsageError
    from reading.buckets import span_of_time
    from reading.console import search_rows
    from reading.queries import bound_search, find_query, given_arguments
    from reading.query_output import query_csv, query_json, query_table

    if format not in ("table", "json", "csv"):
        raise UsageError(f"--format {format}: it is table, json or csv")
    zone = UTC if utc else None
    loaded = loaded_settings(context)
    query = find_query(_queries(loaded), name)
    start, end = span_of_time(from_, to, query.span, zone, datetime.now(UTC))
    body = bound_search(query, given_arguments(query, param or ()), start, end)
    with open_engine(loaded) as engine:
        rows = search_rows(engine, query, body)
    if format == "table":
        typer.echo(query_table(query, rows, zone, width=output_width()))
    elif format == "csv":
        typer.echo(query_csv(query, rows))
    elif rows:
        typer.echo(query_json(query, rows))


def _queries(loaded: LoadedSettings) -> Sequence[SavedQuery]:
    from provisioning.queries import parse_query
    from provisioning.rendering import render_queries

    return [
        parse_query(rendered.stem, rendered.body, str(rendered.source))
        for rendered in render_queries(loaded.settings)
    ]
