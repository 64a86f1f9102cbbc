"""Which watch a backtest tries, and what it prints."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from engine.client import Engine
from engine.errors import UsageError
from provisioning.executors import choose_executors
from provisioning.rendering import render_one
from provisioning.settings import Settings
from scheduler.watches.backtest import Backtest, open_for
from scheduler.watches.control import control_of, identifier_of
from scheduler.watches.definition import Watch, parse_watch
from scheduler.watches.instants import millisecond_text
from scheduler.watches.kinds import Outside

_ACTIONS = ("triggered", "renotified", "recovered", "no_data")
# More times than this of a watch that writes no alert documents say nothing to a reader.
_MOST_TIMES = 20


def watch_to_try(engine: Engine, settings: Settings, stem: str, name: str) -> Watch:
    """A template's watch with the parameters in force; else the installed one. Raises UsageError."""
    rendered = render_one(settings, engine.capabilities(), "watch", stem)
    if rendered is not None:
        unknown = set(settings.parameters.get(stem, {})) - {one.name for one in rendered.parameters}
        if unknown:
            there = ", ".join(one.name for one in rendered.parameters)
            raise UsageError(f"{stem}: has no parameter {sorted(unknown)[0]}; there are {there}")
        return parse_watch(rendered.name, rendered.body)
    native = choose_executors(settings.executor, engine.capabilities()).watches == "native"
    control = control_of(engine, settings.names, Outside(), native=native)
    identifier = identifier_of(name, control, settings.names)
    return parse_watch(identifier, dict(control.body(identifier)))


def as_json(done: Backtest, since: datetime, until: datetime) -> str:
    """One object: runs, counts, and each event with its document's fields."""
    return json.dumps(
        {
            "from": millisecond_text(since),
            "to": millisecond_text(until),
            "runs": done.runs,
            "met": len(done.met),
            "failed": len(done.failed),
            **{action: done.count(action) for action in _ACTIONS},
            "open_seconds": open_for(done, until).total_seconds(),
            "events": done.documents,
        },
        indent=2,
    )


def as_table(done: Backtest, since: datetime, until: datetime) -> str:
    """Each event in a line, and what they come to."""
    if done.all_failed:
        at = f"{done.failed[0]:%Y-%m-%dT%H:%M:%S}"
        return (
            f"{done.runs} runs, and the condition failed in each: is there data of that time? "
            f"httpmon watch execute NAME --simulate --at {at} shows why it fails"
        )
    lines = [_line(one) for one in done.documents]
    if not done.documents:
        lines += [f"{time:%Y-%m-%d %H:%M:%S}Z  met" for time in done.met[:_MOST_TIMES]]
        if len(done.met) > _MOST_TIMES:
            lines.append(f"... and {len(done.met) - _MOST_TIMES} times more")
    counts = ", ".join(f"{done.count(action)} {action}" for action in _ACTIONS if done.count(action))
    share = open_for(done, until) / (until - since) if until > since else 0.0
    told = f"{done.runs} runs: condition met {len(done.met)} times"
    if counts:
        told += f"; {counts}; open {share:.1%} of the time"
    if done.failed:
        first = f"{done.failed[0]:%Y-%m-%d %H:%M:%S}Z"
        told += f"; the condition failed {len(done.failed)} times, first for {first}"
    return "\n".join([*lines, told])


def _line(document: dict[str, Any]) -> str:
    at = datetime.fromisoformat(document["@timestamp"])
    return f"{at:%Y-%m-%d %H:%M:%S}Z  {document['event']['action']:<10}  {document['message']}"
