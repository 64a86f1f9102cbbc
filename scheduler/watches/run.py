"""One run of a watch: what it has loaded and found so far, and its ``ctx``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from scheduler.watches.definition import Watch
from scheduler.watches.instants import document_text
from scheduler.watches.status import Status

# As in Watcher's execute API.
ActionMode = Literal["simulate", "force_simulate", "execute", "force_execute", "skip"]


def new_run_id(watch_id: str, now: datetime) -> str:
    """The id of a run, ``ctx.id``: unique, and of the form of Watcher's."""
    return f"{watch_id}_{uuid.uuid4()}-{document_text(now)}"


@dataclass(frozen=True, slots=True)
class Alternatives:
    """What Watcher's execute API lets one change in a run.

    Attributes:
        input: a payload in place of the input.
        ignore_condition: take the condition as met.
        action_modes: by action id; ``_all`` for those not named. ``skip`` looks at no throttling and does
            nothing (for a backtest).
    """

    input: dict[str, Any] | None = None
    ignore_condition: bool = False
    action_modes: dict[str, ActionMode] = field(default_factory=dict)

    def mode(self, action_id: str) -> ActionMode:
        """How an action runs."""
        return self.action_modes.get(action_id, self.action_modes.get("_all", "execute"))


@dataclass(slots=True)
class Write:
    """A document that an index action wants to create; sent together with the run's record."""

    action_id: str
    index: str
    id: str
    source: dict[str, Any]
    refresh: str | None


@dataclass(slots=True)
class Run:
    """One run under way.

    Attributes:
        watch: the watch.
        id: of the run, unique.
        status: the watch's status before the run.
        scheduled_time: when it should have run; what date math in the watch starts from.
        triggered_time: when it was taken up.
        execution_time: when it began.
        manual: it was asked for, not scheduled.
        variables: ``ctx.vars``.
        payload: what the input loaded, what the transform made of it.
        writes: what index actions have put off to the end of the run.
    """

    watch: Watch
    id: str
    status: Status
    scheduled_time: datetime
    triggered_time: datetime
    execution_time: datetime
    manual: bool = False
    alternatives: Alternatives = field(default_factory=Alternatives)
    variables: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)

    def context(self, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """What stands below ``ctx`` in scripts, templates and paths."""
        return {
            "id": self.id,
            "watch_id": self.watch.id,
            "execution_time": self.execution_time,
            "trigger": {"triggered_time": self.triggered_time, "scheduled_time": self.scheduled_time},
            "metadata": self.watch.body.get("metadata"),
            "vars": self.variables,
            "payload": self.payload if payload is None else payload,
        }
