"""``httpmon tail``: what happens, every ten seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reading.tick import Tick


def command(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show the last complete interval and end.")] = False,
    interval: Annotated[str, typer.Option(help="Length of an interval, in whole buckets of 10 s.")] = "10s",
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many sections and clients to show.")] = 10,
    sort: Annotated[
        str, typer.Option(help="What sections fall by: hits, average, 4xx, 5xx, bytes or overall.")
    ] = "hits",
    alerts: Annotated[int, typer.Option(min=0, max=1000, help="How many alert documents to show.")] = 5,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Show the last interval complete at this time (2015-05-20T21:05:20Z; local without a zone), "
            "or so long ago (2h).",
            show_default=False,
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="table or json (one object a tick).")] = "table",  # noqa: A002
    plain: Annotated[
        bool, typer.Option("--plain", help="Append tables, as when the output is no terminal.")
    ] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with nothing but ASCII.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")] = False,
) -> None:
    """Show what the last complete interval brought: sections, clients, traffic, alerts; again and again.

    In a terminal it is a live screen (? shows its keys); elsewhere, or with --plain, tables are appended.
    """
    import json
    import time
    from dataclasses import replace
    from datetime import UTC, datetime

    from cli.context import loaded_settings, open_engine
    from cli.logs import tell
    from cli.terminal import draws_blocks, live_terminal, output_width
    from engine.errors import UsageError
    from reading.buckets import floor_time, interval_seconds, last_complete_end, past_moment
    from reading.console import acknowledge_open, read_tick, rule_in_force
    from reading.follow import Pace, follow
    from reading.plain import render_tick
    from reading.tick import Question, sort_key
    from reading.tick_json import tick_object

    if format not in ("table", "json"):
        raise UsageError(f"--format {format}: it is table or json")
    seconds, sorted_by = interval_seconds(interval), sort_key(sort)
    zone = UTC if utc else None

    def now() -> datetime:
        return datetime.now(UTC)

    past = None if at is None else floor_time(past_moment(at, zone, now()), seconds)
    loaded = loaded_settings(context)
    names = loaded.settings.names

    with open_engine(loaded) as engine:
        rule = rule_in_force(engine, loaded.settings)
        pace = Pace(seconds, rule.reading_delay_seconds)
        question = Question(
            end=past or last_complete_end(now(), seconds, pace.delay_seconds),
            seconds=seconds,
            window_seconds=rule.window_seconds,
            top=top,
            alerts=alerts,
            past=past is not None,
            sort=sorted_by,
        )

        def show(tick: Tick) -> None:
            if format == "json":
                typer.echo(json.dumps(tick_object(tick, rule, now=now())))
            else:
                text = render_tick(tick, rule, now=now(), zone=zone, width=output_width())
                typer.echo(text + "\n")

        if once or past is not None:
            show(read_tick(engine, names, question))
        elif format == "table" and not plain and live_terminal():
            from cli.live_view import show_live
            from reading.screen import View

            code = show_live(
                read=lambda asked: read_tick(engine, names, asked),
                acknowledge=lambda tick: acknowledge_open(engine, names, tick),
                question=question,
                pace=pace,
                rule=rule,
                view=View(title=names.prefix, ascii_only=ascii_only or not draws_blocks()),
                zone=zone,
            )
            raise typer.Exit(code)
        else:
            follow(
                pace,
                read=lambda end: read_tick(engine, names, replace(question, end=end)),
                show=show,
                complain=tell,
                now=now,
                wait=time.sleep,
            )
