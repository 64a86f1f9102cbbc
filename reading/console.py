"""Asks the engine and tells it: the edge between the pure questions and documents and the cluster."""

from __future__ import annotations

import getpass
import os
import urllib.parse
from datetime import UTC, datetime

from engine.client import Engine, raise_for_error
from engine.errors import Conflict, NotFound, NotProvisioned
from provisioning.names import Names
from reading.alerts import Alert
from reading.operations import acknowledgement_document, alert_key
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


def acknowledge(engine: Engine, names: Names, alert: Alert, *, reason: str = "") -> bool:
    """Say that this user has seen the alert; False if somebody had said so before.

    Raises NotProvisioned when there is no place to say it, else as ``Engine.request`` does.
    """
    document = acknowledgement_document(alert, user=user_name(), reason=reason, now=datetime.now(UTC))
    # One acknowledgement an alert: who was first stays.
    identity = urllib.parse.quote(f"acknowledged-{alert_key(alert)}", safe="")
    try:
        engine.request(
            "PUT",
            f"/{names.operations}/_create/{identity}",
            body=document,
            params={"refresh": "true", "require_alias": "true"},
        )
    except Conflict:
        return False
    except NotFound:
        raise NotProvisioned(
            f"{engine.url} has no {names.operations}: run httpmon provision to make it"
        ) from None
    return True


def acknowledge_open(engine: Engine, names: Names, tick: Tick) -> None:
    """Acknowledge each open alert of a tick; raises as ``acknowledge`` does."""
    for alert in tick.open_alerts:
        acknowledge(engine, names, alert)


def user_name() -> str:
    """Who sits at the keyboard, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return f"uid {os.getuid()}"
