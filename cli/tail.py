"""``httpmon tail``: what happens, every ten seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from reading.tick import Tick


def command(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show the last complete interval and end.")] = False,
    interval: Annotated[str, typer.Option(help="Length of an interval, in whole buckets of 10 s.")] = "10s",
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many sections and clients to show.")] = 10,
    alerts: Annotated[int, typer.Option(min=0, max=1000, help="How many alert documents to show.")] = 5,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Show the last interval complete at this time (2015-05-20T21:05:20Z; local without a zone).",
            show_default=False,
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="table or json (one object a tick).")] = "table",  # noqa: A002
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")] = False,
) -> None:
    """Show what the last complete interval brought: sections, clients, traffic, alerts; again and again."""
    import json
    import time
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from engine.errors import UsageError
    from reading.buckets import floor_time, interval_seconds, last_complete_end, moment_of
    from reading.console import read_tick
    from reading.follow import Pace, follow
    from reading.plain import render_tick
    from reading.rule import HIGH_TRAFFIC, traffic_rule
    from reading.tick import Question
    from reading.tick_json import tick_object

    if format not in ("table", "json"):
        raise UsageError(f"--format {format}: it is table or json")
    seconds = interval_seconds(interval)
    zone = UTC if utc else None
    loaded = loaded_settings(context)
    names = loaded.settings.names
    rule = traffic_rule(loaded.settings.parameters.get(HIGH_TRAFFIC, {}))
    pace = Pace(seconds, rule.reading_delay_seconds)

    def now() -> datetime:
        return datetime.now(UTC)

    def show(tick: Tick) -> None:
        if format == "json":
            typer.echo(json.dumps(tick_object(tick, rule, now=now())))
        else:
            typer.echo(render_tick(tick, rule, now=now(), zone=zone) + "\n")

    with open_engine(loaded) as engine:

        def read(end: datetime) -> Tick:
            question = Question(
                end=end,
                seconds=seconds,
                window_seconds=rule.window_seconds,
                top=top,
                alerts=alerts,
                past=at is not None,
            )
            return read_tick(engine, names, question)

        if at is not None:
            show(read(floor_time(moment_of(at, zone), seconds)))
        elif once:
            show(read(last_complete_end(now(), pace.interval_seconds, pace.delay_seconds)))
        else:
            follow(
                pace,
                read=read,
                show=show,
                complain=lambda text: typer.echo(f"httpmon: {text}", err=True),
                now=now,
                wait=time.sleep,
            )
