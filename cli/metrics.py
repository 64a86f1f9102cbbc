"""``httpmon metrics``: numbers for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reading.tick import Tick


def command(
    context: typer.Context,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to answer.")] = "127.0.0.1:9640",
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many sections get metrics.")] = 20,
) -> None:
    """Answer Prometheus at /metrics with traffic, sections, freshness and open alerts."""
    import logging
    import threading
    from datetime import UTC, datetime

    from prometheus_client import CollectorRegistry, start_http_server

    from cli.context import loaded_settings, open_engine
    from cli.logs import tell
    from engine.errors import EngineError, HttpmonError
    from reading.buckets import BUCKET_SECONDS, last_complete_end
    from reading.console import read_tick, rule_in_force
    from reading.listen import listen_address
    from reading.metrics import TickCollector
    from reading.tick import Question

    host, port = listen_address(listen)
    loaded = loaded_settings(context)
    names = loaded.settings.names
    told = ""

    def now() -> datetime:
        return datetime.now(UTC)

    with open_engine(loaded) as engine:
        rule = rule_in_force(engine, loaded.settings)

        def read() -> Tick | None:
            nonlocal told
            question = Question(
                end=last_complete_end(now(), BUCKET_SECONDS, rule.reading_delay_seconds),
                window_seconds=rule.window_seconds,
                top=top,
            )
            try:
                tick = read_tick(engine, names, question)
            except EngineError as error:
                if str(error) != told:
                    told = str(error)
                    tell(str(error), logging.WARNING)
                return None
            told = ""
            return tick

        registry = CollectorRegistry(auto_describe=False)
        registry.register(TickCollector(read, rule, now))
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise HttpmonError(f"metrics: cannot listen on {listen}: {error.strerror}") from None
        typer.echo(f"metrics at http://{host}:{server.server_port}/metrics")
        try:
            threading.Event().wait()
        finally:
            server.shutdown()
            thread.join()
