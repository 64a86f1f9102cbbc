"""``httpmon report``: pictures of the summaries, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable


def command(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")
    ] = Path("httpmon-report.html"),
    from_: Annotated[str, typer.Option("--from", help="Start: a time, or how long before the end.")] = "24h",
    to: Annotated[
        str | None,
        typer.Option("--to", help="End: a time, or how long ago; now if not given.", show_default=False),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, max=50, help="How many sections, clients and paths are named.")
    ] = 10,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it instead, kept up to date every 10 s, until Ctrl-C.")
    ] = False,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where --serve answers.")
    ] = "127.0.0.1:9641",
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")] = False,
) -> None:
    """Write one HTML page with pictures of the traffic; it needs no network and no other file."""
    import webbrowser
    from datetime import UTC, datetime, timedelta

    from cli.context import loaded_settings, open_engine
    from engine.errors import HttpmonError
    from reading.buckets import span_of_time
    from reading.console import read_report, rule_in_force
    from reading.figures import report_object
    from reading.listen import listen_address
    from reading.report import report_question
    from reading.report_page import report_page

    zone = UTC if utc else None
    address = listen_address(listen)
    loaded = loaded_settings(context)
    names = loaded.settings.names
    title = f"HTTP traffic: {names.prefix}"
    span_of_time(from_, to, from_, zone, datetime.now(UTC))
    with open_engine(loaded) as engine:
        rule = rule_in_force(engine, loaded.settings)

        def read() -> dict[str, Any]:
            now = datetime.now(UTC)
            complete = now - timedelta(seconds=rule.reading_delay_seconds) if to is None else now
            start, end = span_of_time(from_, to, from_, zone, complete)
            report = read_report(engine, names, report_question(start, end, top))
            return report_object(report, rule, now=now, zone=zone)

        if serve:
            page = report_page(read(), title=title, live_seconds=10)
            _serve(address, page, read, open_)
            return
        text = report_page(read(), title=title)
    if str(output) == "-":
        typer.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HttpmonError(f"report: cannot write {output}: {error.strerror}") from None
    typer.echo(str(output))
    if open_:
        webbrowser.open(output.resolve().as_uri())


def _serve(address: tuple[str, int], page: str, read: Callable[[], dict[str, Any]], open_: bool) -> None:
    import webbrowser

    from cli.report_server import report_server

    with report_server(address, page, read) as server:
        host, port = server.server_address[:2]
        url = f"http://{host!s}:{port}/"
        typer.echo(f"report at {url}")
        if open_:
            webbrowser.open(url)
        server.serve_forever()
