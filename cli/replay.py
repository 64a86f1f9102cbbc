"""``httpmon replay``: an old log once more, as if it happened now."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.shipping_run import LogFormat, Timezone


def command(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Old logs, one after the other; - reads standard input."),
    ],
    speed: Annotated[float, typer.Option(min=0.001, help="How many times faster than it was written.")] = 1.0,
    log_format: LogFormat = None,
    timezone: Timezone = None,
) -> None:
    """Send an old log as if it happened now: order and gaps are kept, times are new."""
    from cli.context import loaded_settings
    from cli.shipping_run import (
        chosen_format,
        delivery_options,
        describe,
        notify,
        shipping_engine,
        signals_stop,
        zone_of,
    )
    from shipping.replay import replay
    from shipping.shipper import Progress, wait_for_target

    settings = loaded_settings(context, ship__log_format=log_format, ship__timezone=timezone).settings
    formats = chosen_format(settings)
    with signals_stop() as stop, shipping_engine(settings) as engine:
        if wait_for_target(engine, settings.names.raw, stop=stop, notify=notify) is None:
            return
        counts = replay(
            engine,
            files,
            delivery_options(settings),
            formats,
            speed=speed,
            zone=zone_of(settings),
            max_line_bytes=settings.ship.max_line_bytes,
            stop=stop,
            notify=notify,
        )
        typer.echo(describe(Progress(counts, 0, 0.0, 0)))
