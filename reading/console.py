"""Reads one tick from the engine: the edge between the pure questions and the cluster."""

from __future__ import annotations

from engine.client import Engine, raise_for_error
from engine.errors import NotFound, NotProvisioned
from provisioning.names import Names
from reading.tick import Question, Tick, shape_tick, tick_searches

# A tick that takes longer than an interval is late for the next one.
_TIMEOUT_SECONDS = 10.0


def read_tick(engine: Engine, names: Names, question: Question) -> Tick:
    """Ask for one tick in one round trip.

    Raises:
        NotProvisioned: the summaries or the alerts have no index.
        EngineUnreachable, NotPermitted, RequestRefused: as ``Engine.request`` does.
    """
    searches = tick_searches(names, question)
    answers = engine.msearch(searches, timeout_seconds=_TIMEOUT_SECONDS)
    for (header, _), answer in zip(searches, answers, strict=True):
        try:
            raise_for_error(f"search {header['index']}", answer, where=engine.url)
        except NotFound:
            raise NotProvisioned(
                f"{engine.url} has no {header['index']}: run httpmon provision to make it"
            ) from None
    return shape_tick(question, answers)
