"""``httpmon alerts``: what the alert documents say, and what is done about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import tzinfo

    from reading.alerts import AlertFilter
    from reading.console import AlertLog

app = typer.Typer(help="Look at alerts, acknowledge and silence them.", invoke_without_command=True)

Format = Annotated[str, typer.Option(help="table or json (one object a line).")]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")]
ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 6 if an alert is open that no silence covers.")
]


@app.callback()
def _group(context: typer.Context, exit_code: ExitCode = False) -> None:
    if context.invoked_subcommand is None:
        open_(context, format="table", utc=False, exit_code=exit_code)


@app.command("list")
def list_(
    context: typer.Context,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.", show_default=False)] = None,
    action: Annotated[
        str | None,
        typer.Option(help="Only triggered, renotified, recovered or no_data.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only from then on: a time, or how long ago (2h).", show_default=False),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only up to then: a time, or how long ago.", show_default=False)
    ] = None,
    size: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, and show each new one as it comes.")
    ] = False,
    format: Format = "table",  # noqa: A002
    utc: Utc = False,
    exit_code: ExitCode = False,
) -> None:
    """Show the alert documents, newest last: triggered, renotified, recovered, no_data."""
    import json
    import time
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from cli.logs import tell
    from cli.terminal import output_width
    from reading.alert_list import alert_line, alert_status_object
    from reading.alerts import AlertFilter
    from reading.buckets import BUCKET_SECONDS, past_moment
    from reading.console import read_alerts
    from reading.follow import Pace
    from reading.follow import follow as follow_intervals
    from reading.tables import wrapped_lines

    zone = _zone_and_format(format, utc)
    now = datetime.now(UTC)
    wanted = AlertFilter(
        rule_id=rule,
        action=action,
        since=None if since is None else past_moment(since, zone, now),
        until=None if until is None else past_moment(until, zone, now),
    )
    loaded = loaded_settings(context)
    shown: set[tuple[str, int, str]] = set()

    def show(log: AlertLog) -> None:
        for alert in log.alerts:
            key = (alert.rule_id, alert.sequence, alert.time.isoformat())
            if key in shown:
                continue
            shown.add(key)
            if format == "json":
                typer.echo(json.dumps(alert_status_object(alert, log.operations, log.read_at)))
            else:
                typer.echo(wrapped_lines(alert_line(alert, zone), output_width()))

    with open_engine(loaded) as engine:
        if follow:
            # Half an interval: the watch's documents come at any moment of it.
            follow_intervals(
                Pace(BUCKET_SECONDS // 2, 0.0),
                read=lambda _: read_alerts(engine, loaded.settings.names, wanted, size),
                show=show,
                complain=tell,
                now=lambda: datetime.now(UTC),
                wait=time.sleep,
            )
        log = read_alerts(engine, loaded.settings.names, wanted, size)
    show(log)
    if not log.alerts and format == "table":
        typer.echo("no alert")
    _leave(log, exit_code)


@app.command("open")
def open_(
    context: typer.Context,
    format: Format = "table",  # noqa: A002
    utc: Utc = False,
    exit_code: ExitCode = False,
) -> None:
    """Show the alerts that are open now, and what was done about each."""
    import json

    from cli.terminal import output_width
    from reading.alert_list import alert_status_object, open_table
    from reading.alerts import AlertFilter

    zone = _zone_and_format(format, utc)
    log = _read(context, AlertFilter(), 1)
    if format == "json":
        for alert in log.open_alerts:
            typer.echo(json.dumps(alert_status_object(alert, log.operations, log.read_at)))
    else:
        typer.echo(
            open_table(log.open_alerts, log.operations, now=log.read_at, zone=zone, width=output_width())
        )
    _leave(log, exit_code)


@app.command()
def show(
    context: typer.Context,
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="The alert, as `alerts open` names it.")],
    format: Format = "table",  # noqa: A002
    utc: Utc = False,
) -> None:
    """Show every document of one alert, from its triggering to its recovery."""
    import json

    from cli.terminal import output_width
    from engine.errors import UsageError
    from reading.alert_list import alert_details, alert_status_object
    from reading.alerts import AlertFilter
    from reading.tables import wrapped_lines

    zone = _zone_and_format(format, utc)
    log = _read(context, AlertFilter(alert_id=alert_id), 1000)
    if not log.alerts:
        raise UsageError(f"alerts show {alert_id}: there is no such alert; see httpmon alerts list")
    if format == "json":
        for alert in log.alerts:
            typer.echo(json.dumps(alert_status_object(alert, log.operations, log.read_at)))
    else:
        typer.echo(wrapped_lines(alert_details(log.alerts, log.operations, zone), output_width()))


@app.command()
def ack(
    context: typer.Context,
    alert_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="The open alert; every open one if not given.", show_default=False
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="What to say about it.")] = "",
) -> None:
    """Say that you have seen an open alert; who was first stays."""
    from cli.context import loaded_settings, open_engine
    from engine.errors import UsageError
    from reading.alerts import AlertFilter
    from reading.console import acknowledge, read_alerts
    from reading.operations import alert_key
    from reading.printable import printable

    loaded = loaded_settings(context)
    names = loaded.settings.names
    with open_engine(loaded) as engine:
        log = read_alerts(engine, names, AlertFilter(), 1)
        chosen = [alert for alert in log.open_alerts if alert_id in (None, alert_key(alert))]
        if not chosen:
            which = "no alert is open" if alert_id is None else f"{alert_id} is not open"
            raise UsageError(f"alerts ack: {which}; see httpmon alerts open")
        for alert in chosen:
            done = acknowledge(engine, names, alert, reason=reason)
            state = "acknowledged" if done else "was acknowledged before"
            typer.echo(f"{printable(alert_key(alert))}: {state}")


@app.command()
def silence(
    context: typer.Context,
    rule: Annotated[
        str | None,
        typer.Argument(metavar="[RULE]", help="The rule's id, or '*'; shows the silences if not given."),
    ] = None,
    duration: Annotated[str, typer.Option("--for", help="How long.")] = "1h",
    until: Annotated[
        str | None, typer.Option(help="Until when, instead of --for.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; needed.")] = "",
    end: Annotated[
        str | None, typer.Option(metavar="ID", help="End this silence now.", show_default=False)
    ] = None,
    format: Format = "table",  # noqa: A002
    utc: Utc = False,
) -> None:
    """Silence a rule for a while: it still writes its documents, but nothing calls for attention."""
    import json
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from cli.terminal import output_width
    from engine.errors import UsageError
    from reading import console
    from reading.alert_list import silence_object, silences_table
    from reading.alerts import AlertFilter
    from reading.buckets import silence_end
    from reading.plain import local_time

    zone = _zone_and_format(format, utc)
    loaded = loaded_settings(context)
    names = loaded.settings.names
    now = datetime.now(UTC)
    with open_engine(loaded) as engine:
        if end is not None:
            if not console.end_silence(engine, names, end, at=now):
                raise UsageError(f"alerts silence --end {end}: there is no such silence")
            typer.echo(f"{end}: ended")
        elif rule is not None:
            if not reason.strip():
                raise UsageError("alerts silence: say why with --reason")
            ends_at = silence_end(duration, until, zone, now)
            made = console.silence(engine, names, rule, starts_at=now, ends_at=ends_at, reason=reason)
            typer.echo(f"{made}: {rule} is silent until {local_time(ends_at, zone)}")
        else:
            silences = console.read_alerts(engine, names, AlertFilter(), 1).operations.silences
            if format == "json":
                for one in silences:
                    typer.echo(json.dumps(silence_object(one)))
            else:
                typer.echo(silences_table(silences, zone, width=output_width()))


def _zone_and_format(format: str, utc: bool) -> tzinfo | None:  # noqa: A002
    from datetime import UTC

    from engine.errors import UsageError

    if format not in ("table", "json"):
        raise UsageError(f"--format {format}: it is table or json")
    return UTC if utc else None


def _read(context: typer.Context, wanted: AlertFilter, size: int) -> AlertLog:
    from cli.context import loaded_settings, open_engine
    from reading.console import read_alerts

    loaded = loaded_settings(context)
    with open_engine(loaded) as engine:
        return read_alerts(engine, loaded.settings.names, wanted, size)


def _leave(log: AlertLog, exit_code: bool) -> None:
    from engine.errors import EXIT_DEGRADED

    if exit_code and log.loud:
        raise typer.Exit(EXIT_DEGRADED)
