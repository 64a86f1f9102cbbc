"""What the commands that ship have in common: settings to options, signals to a stop, progress to a line."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from engine.client import Engine
    from provisioning.settings import LoadedSettings, Settings
    from shipping.delivery import DeliveryOptions
    from shipping.formats import FormatOptions
    from shipping.shipper import Progress


# Options of every command that ships.
LogFormat = Annotated[
    str | None,
    typer.Option(help="Format of the logs, instead of telling it by each line.", show_default=False),
]
Timezone = Annotated[
    str | None,
    typer.Option(help="Of dates that name none, as Europe/Berlin or +02:00.", show_default=False),
]


def run_shipper(
    loaded: LoadedSettings, files: Sequence[str], *, once: bool, from_end: bool, stats: bool
) -> Progress:
    """Ship until the end (``once``), SIGTERM or SIGINT; the last raises KeyboardInterrupt in the end."""
    from provisioning.settings import duration_seconds
    from shipping.delivery import Counts
    from shipping.follow import Follower
    from shipping.limits import open_files_allowed
    from shipping.open_files import FollowOptions
    from shipping.registry import Registry, default_registry_path
    from shipping.reports import Reporter, this_shipper
    from shipping.shipper import BatchOptions, Progress, ship, wait_for_target

    settings = loaded.settings
    names, group = settings.names, settings.ship
    formats = chosen_format(settings)
    with signals_stop() as stop, shipping_engine(settings) as engine:
        cluster = wait_for_target(engine, names.raw, stop=stop, notify=notify)
        if cluster is None:
            return Progress(Counts(), 0, 0.0, 0)
        registry = Registry(group.registry or default_registry_path(settings.namespace, cluster), notify)
        registry.belongs_to(cluster, names.raw, notify=notify)
        registry.forget_vanished()
        follower = Follower(
            list(files),
            registry,
            FollowOptions(
                once=once,
                from_end=from_end,
                read_bytes=group.batch_bytes,
                max_line_bytes=group.max_line_bytes,
                # All that may have been queued or under way, twice over.
                in_doubt_bytes=2 * (group.queue + group.connections + 2) * group.batch_bytes,
                partial_seconds=duration_seconds(group.partial_timeout),
                close_seconds=duration_seconds(group.close_after),
                most_open=open_files_allowed(group.connections),
            ),
            notify,
        )
        reporter = Reporter(engine, names.operations, this_shipper(registry.path, files))

        def report(progress: Progress) -> None:
            reporter.report(progress)
            if stats:
                notify(describe(progress))

        last: Progress | None = None
        try:
            last = ship(
                engine,
                registry,
                follower,
                delivery_options(settings),
                BatchOptions(group.batch_bytes, duration_seconds(group.linger)),
                formats,
                stop=stop,
                notify=notify,
                report=report,
            )
            return last
        finally:
            reporter.close(last)
            follower.close()
            registry.close()


def shipping_engine(settings: Settings) -> Engine:
    """A client with a connection for each sender, which leaves retries to the delivery."""
    from dataclasses import replace

    from engine.client import Engine

    group = settings.ship
    return Engine(
        replace(
            settings.engine.connection(),
            max_retries=0,
            connections=group.connections + 1,
            compress=group.compress,
        )
    )


def chosen_format(settings: Settings) -> FormatOptions:
    """How lines are to be read, from the settings; raises ShippingError for a format that there is not."""
    from shipping.formats import format_options

    group = settings.ship
    return format_options(group.log_format, group.timezone, settings.formats, settings.names.of)


def zone_of(settings: Settings) -> tzinfo:
    """The zone in which dates that name none are read."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    name = settings.ship.timezone or settings.parameters.get("access", {}).get("timezone", "UTC")
    if name[0] in "+-":
        zone = datetime.strptime(name, "%z").tzinfo
        if zone is not None:
            return zone
    return ZoneInfo(name)


def delivery_options(settings: Settings) -> DeliveryOptions:
    """How to send, from the settings."""
    from provisioning.settings import duration_seconds
    from shipping.delivery import DeliveryOptions

    group = settings.ship
    return DeliveryOptions(
        target=settings.names.raw,
        dead_target=settings.names.dead,
        connections=group.connections,
        queue_batches=group.queue,
        longest_pause_seconds=duration_seconds(group.longest_pause),
        timeout_seconds=duration_seconds(settings.engine.request_timeout),
    )


@contextmanager
def signals_stop() -> Iterator[Event]:
    """Give an event that SIGTERM and SIGINT set; a second SIGINT ends at once.

    Raises KeyboardInterrupt at the end of the block when SIGINT had set it.
    """
    stop = Event()
    interrupted = False

    def handle(number: int, _frame: object) -> None:
        nonlocal interrupted
        if number == signal.SIGINT and interrupted:
            raise KeyboardInterrupt
        interrupted = interrupted or number == signal.SIGINT
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt


def notify(line: str) -> None:
    """Say something about the run, beside its output."""
    from cli.logs import tell

    tell(line)


def describe(progress: Progress) -> str:
    """One line about where shipping stands."""
    counts = progress.counts
    parts = [
        f"{counts.read:,} lines read",
        f"{counts.sent:,} sent",
        f"{counts.duplicates:,} already there",
        f"{counts.dead:,} dead",
    ]
    if progress.behind_bytes:
        parts.append(f"{progress.behind_bytes:,} bytes and {progress.behind_seconds:.0f} s behind")
    return ", ".join(parts)
