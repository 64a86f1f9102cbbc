"""How tests let watches run: only those that they are about, by a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.client import Engine
from provisioning.settings import Settings
from scheduler.watches.service import WatchService


class Clock:
    """The time of day as the test says it."""

    def __init__(self, epoch: float) -> None:
        self.epoch = epoch

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.epoch, UTC)


def leave_active(engine: Engine, settings: Settings, *stems: str) -> None:
    """Deactivate every watch but those of these templates."""
    kept = [settings.names.of(stem) for stem in stems]
    others = {"bool": {"filter": {"term": {"type": "definition"}}, "must_not": {"terms": {"id": kept}}}}
    engine.request(
        "POST",
        f"/{settings.names.watch_store}/_update_by_query",
        body={"query": others, "script": {"source": "ctx._source.active = false"}},
        params={"refresh": True},
    )


def run_watches(engine: Engine, settings: Settings, clock: Clock, until: float) -> None:
    """A scheduler begins, runs for every scheduled time up to ``until``, and ends."""
    service = WatchService(engine, settings.names, clock=clock)
    try:
        service.tick()
        clock.epoch = until
        service.tick()
        while not service.idle():
            service.wait(5)
            service.tick()
    finally:
        service.close()
