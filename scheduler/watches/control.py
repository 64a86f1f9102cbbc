"""Lists, switches, acknowledges and executes watches, whoever runs them: the engine or the scheduler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from engine.client import Engine
from engine.errors import NotFound, UsageError
from provisioning.names import Names
from scheduler.watches.definition import parse_watch
from scheduler.watches.fields import WatchInvalid
from scheduler.watches.instants import millisecond_text
from scheduler.watches.kinds import Outside, new_executor
from scheduler.watches.run import ActionMode, Alternatives, Run, new_run_id
from scheduler.watches.status import acknowledged, fitted, new_status
from scheduler.watches.store import Definition, Superseded, WatchStore

# More watches than one installation can sensibly have.
_MANY = 1000


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How one watch stands.

    Attributes:
        identifier: its id.
        active: whether it runs at its times.
        last: when it ran last, ISO 8601; None if it never did.
        state: what the last run came to: ``executed``, ``execution_not_needed``, ``failed``, ...
        acknowledged: the actions that are acknowledged.
        skipped: scheduled runs that were left out, ever; None where the engine runs it and does not count.
    """

    identifier: str
    active: bool
    last: str | None
    state: str | None
    acknowledged: tuple[str, ...]
    skipped: int | None


@dataclass(frozen=True, slots=True)
class Trial:
    """How to execute a watch once.

    Attributes:
        simulate: do nothing; show what the actions would have done.
        payload: in place of the input's.
        at: the scheduled time to run for; now if None. The engine's own executor knows only now.
        ignore_condition: take the condition as met.
    """

    simulate: bool = False
    payload: dict[str, Any] | None = None
    at: datetime | None = None
    ignore_condition: bool = False

    @property
    def mode(self) -> ActionMode:
        """The mode of every action."""
        return "force_simulate" if self.simulate else "execute"


class Control(Protocol):
    """What can be done with watches, for either executor."""

    def statuses(self) -> list[WatchStatus]:
        """How each watch of this installation stands, by id."""
        ...

    def body(self, identifier: str) -> Mapping[str, Any]:
        """The JSON of a watch. Raises NotFound."""
        ...

    def activate(self, identifier: str, active: bool) -> None:
        """Let a watch run at its times, or not."""
        ...

    def acknowledge(self, identifier: str, action_ids: Sequence[str]) -> None:
        """Quiet actions, all if none is named, until the watch's condition has been false."""
        ...

    def execute(self, identifier: str, trial: Trial) -> dict[str, Any]:
        """Run a watch once and return the record of it."""
        ...


def control_of(engine: Engine, names: Names, outside: Outside, *, native: bool) -> Control:
    """The control of the executor in charge."""
    return NativeControl(engine, names) if native else SchedulerControl(engine, names, outside)


def identifier_of(name: str, control: Control, names: Names) -> str:
    """The id of a watch by its template's name or its id. Raises UsageError that names those there are."""
    known = [status.identifier for status in control.statuses()]
    for candidate in (name, names.of(name)):
        if candidate in known:
            return candidate
    there = f"there are {', '.join(known)}" if known else "none is installed; run httpmon provision"
    raise UsageError(f"watch {name}: there is no such watch; {there}")


class SchedulerControl:
    """Watches that the scheduler runs."""

    def __init__(self, engine: Engine, names: Names, outside: Outside | None = None) -> None:
        self._engine = engine
        self._outside = outside or Outside()
        self._store = WatchStore(engine, names)

    def statuses(self) -> list[WatchStatus]:
        """How each watch of this installation stands, by id."""
        return [self._status(definition) for definition in self._store.definitions()]

    def _status(self, definition: Definition) -> WatchStatus:
        progress = self._store.progress(definition.identifier)
        status = progress.status or {}
        return WatchStatus(
            identifier=definition.identifier,
            active=definition.active,
            last=None if progress.last is None else millisecond_text(progress.last),
            state=status.get("execution_state"),
            acknowledged=_acknowledged(status),
            skipped=progress.skipped,
        )

    def body(self, identifier: str) -> Mapping[str, Any]:
        """The JSON of a watch. Raises NotFound."""
        return self._definition(identifier).body

    def activate(self, identifier: str, active: bool) -> None:
        """Let a watch run at its times, or not; the scheduler sees it within seconds."""
        self._store.set_active(identifier, active)

    def acknowledge(self, identifier: str, action_ids: Sequence[str]) -> None:
        """Quiet actions; only one that has run since its condition was last false can be."""
        for attempts_left in (2, 1, 0):
            try:
                self._acknowledge(identifier, action_ids)
                return
            except Superseded:  # a run has just ended
                if not attempts_left:
                    raise UsageError(f"watch {identifier}: it runs just now; try again") from None

    def _acknowledge(self, identifier: str, action_ids: Sequence[str]) -> None:
        watch = parse_watch(identifier, dict(self.body(identifier)))
        progress, now = self._store.progress(identifier), datetime.now(UTC)
        status = new_status(watch, now) if progress.status is None else fitted(progress.status, watch, now)
        try:
            following = acknowledged(status, action_ids, now)
        except KeyError as error:
            raise UsageError(f"watch {identifier}: has no action {error.args[0]}") from None
        self._store.save(identifier, replace(progress, status=following), progress)

    def execute(self, identifier: str, trial: Trial) -> dict[str, Any]:
        """Run a watch once, beside its schedule: what it remembers stays as it is."""
        watch = parse_watch(identifier, dict(self.body(identifier)))
        now = datetime.now(UTC)
        progress = self._store.progress(identifier)
        executor = new_executor(self._engine, self._outside, instance="httpmon watch execute")
        outcome = executor.execute(
            Run(
                watch=watch,
                id=new_run_id(identifier, now),
                status=new_status(watch, now)
                if progress.status is None
                else fitted(progress.status, watch, now),
                scheduled_time=trial.at or now,
                triggered_time=now,
                execution_time=now,
                manual=True,
                alternatives=Alternatives(trial.payload, trial.ignore_condition, {"_all": trial.mode}),
            )
        )
        return self._store.save_trial(outcome)

    def _definition(self, identifier: str) -> Definition:
        for definition in self._store.definitions():
            if definition.identifier == identifier:
                return definition
        raise NotFound(f"watch {identifier}: is not there", status=404)


class NativeControl:
    """Watches that the engine runs itself."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._prefix = f"{names.prefix}-"

    def statuses(self) -> list[WatchStatus]:
        """How each watch of this installation stands, by id."""
        answer = self._engine.request("POST", "/_watcher/_query/watches", body={"size": _MANY})
        found = [one for one in answer["watches"] if one["_id"].startswith(self._prefix)]
        return sorted((self._status(one) for one in found), key=lambda status: status.identifier)

    def _status(self, one: Mapping[str, Any]) -> WatchStatus:
        status = one.get("status") or {}
        return WatchStatus(
            identifier=one["_id"],
            active=bool((status.get("state") or {}).get("active", True)),
            last=status.get("last_checked"),
            state=status.get("execution_state"),
            acknowledged=_acknowledged(status),
            skipped=None,
        )

    def body(self, identifier: str) -> Mapping[str, Any]:
        """The JSON of a watch. Raises NotFound."""
        answer: Mapping[str, Any] = self._engine.request("GET", f"/_watcher/watch/{identifier}")
        body: Mapping[str, Any] = answer["watch"]
        return body

    def activate(self, identifier: str, active: bool) -> None:
        """Let a watch run at its times, or not."""
        verb = "_activate" if active else "_deactivate"
        self._engine.request("PUT", f"/_watcher/watch/{identifier}/{verb}")

    def acknowledge(self, identifier: str, action_ids: Sequence[str]) -> None:
        """Quiet actions until the watch's condition has been false."""
        actions = f"/{','.join(action_ids)}" if action_ids else ""
        self._engine.request("PUT", f"/_watcher/watch/{identifier}/_ack{actions}")

    def execute(self, identifier: str, trial: Trial) -> dict[str, Any]:
        """Run a watch once by Watcher's execute API."""
        body: dict[str, Any] = {"action_modes": {"_all": trial.mode}}
        if trial.payload is not None:
            body["alternative_input"] = trial.payload
        if trial.ignore_condition:
            body["ignore_condition"] = True
        if trial.at is not None:
            at = millisecond_text(trial.at)
            body["trigger_data"] = {"triggered_time": at, "scheduled_time": at}
        answer = self._engine.request("POST", f"/_watcher/watch/{identifier}/_execute", body=body)
        return dict(answer["watch_record"])


def _acknowledged(status: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        name
        for name, action in sorted((status.get("actions") or {}).items())
        if (action.get("ack") or {}).get("state") == "acked"
    )


def validated(text: str, source: str) -> None:
    """See that a text is a watch that the scheduler runs. Raises UsageError with the place of a fault."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{source}: is not JSON: {error}") from None
    try:
        parse_watch(source, body)
    except WatchInvalid as error:
        raise UsageError(f"{source}: {error}") from None
