"""Lists, starts, stops and resets transforms, whoever runs them: the engine itself or the scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from engine.client import Engine
from engine.errors import Conflict, NotFound, NotPermitted, UsageError
from provisioning.names import Names
from provisioning.rendering import Rendered, render_all
from provisioning.settings import Settings
from provisioning.steps import Step
from scheduler.transforms.acceptance import require_accepted, require_native_accepted
from scheduler.transforms.body import time_value_milliseconds
from scheduler.transforms.checkpoint import State
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.preview import preview
from scheduler.transforms.source import SourceMissing
from scheduler.transforms.store import TransformStore

_VERSION = r"(-\d{6})?"
_STOP_TIMEOUT = "30s"
# More transforms than one installation can sensibly have; the API's own default is 100.
_MANY = {"size": 1000}


@dataclass(frozen=True, slots=True)
class TransformStatus:
    """How one transform stands.

    Attributes:
        identifier: its id.
        state: started, stopped, failed, finished, or another state that the engine names.
        checkpoint: how many checkpoints are complete.
        progress: percent of the checkpoint under way; None where that is not known or nothing is.
        lag_seconds: how far its destination is behind the engine's clock, its delay included.
        documents: summaries written so far.
        reason: why the last attempt failed.
        upper: the instant of the sync field up to which its destination is complete, in epoch milliseconds.
    """

    identifier: str
    state: str
    checkpoint: int
    progress: float | None
    lag_seconds: float | None
    documents: int
    reason: str
    upper: int | None


class Control(Protocol):
    """What can be done with transforms, for either executor."""

    def statuses(self) -> list[TransformStatus]:
        """How each transform of this installation stands, by id."""
        ...

    def bodies(self) -> dict[str, Mapping[str, Any]]:
        """The body of each transform of this installation, by id."""
        ...

    def start(self, identifier: str) -> bool:
        """Let it run; whether it did not before. Raises what says that it cannot run."""
        ...

    def stop(self, identifier: str) -> bool:
        """Let it rest where it is; whether it ran before."""
        ...

    def reset(self, identifier: str) -> None:
        """Let it begin anew; its documents stay until they are written again."""
        ...


def control_of(engine: Engine, settings: Settings, *, native: bool) -> Control:
    """The control of the executor in charge."""
    if native:
        names = {one.name for one in _transforms(engine, settings)}
        return _NativeControl(engine, settings.names, names)
    return _SchedulerControl(engine, settings.names)


def identifiers_of(name: str, control: Control, names: Names) -> list[str]:
    """The ids that ``name`` means: an id, the name of an object, or a template's stem, in any version.

    Raises:
        UsageError: there is none.
    """
    known = [status.identifier for status in control.statuses()]
    for meant in (re.escape(name), re.escape(name) + _VERSION, re.escape(names.of(name)) + _VERSION):
        found = [identifier for identifier in known if re.fullmatch(meant, identifier)]
        if found:
            return found
    raise UsageError(f"transform {name}: there is none; installed are {', '.join(known) or 'none at all'}")


def previewed(engine: Engine, settings: Settings, name: str, *, native: bool) -> list[dict[str, Any]]:
    """The first documents that the template's transform would write now.

    Raises:
        UsageError: no template makes such a transform.
    """
    rendered = _transforms(engine, settings)
    meant = (name, settings.names.of(name))
    found = [
        one
        for one in rendered
        if name == one.stem or any(re.fullmatch(re.escape(one.name) + _VERSION, each) for each in meant)
    ]
    if not found:
        stems = ", ".join(sorted(one.stem for one in rendered))
        raise UsageError(f"transform {name}: no template makes it; there are {stems}")
    if native:
        require_native_accepted(engine, name, found[0].body)
        answer = engine.request("POST", "/_transform/_preview", body=found[0].body)
        return list(answer["preview"])
    elasticsearch = engine.capabilities().flavour == "elasticsearch"
    return preview(engine, parse_body(name, found[0].body, elasticsearch=elasticsearch)).documents


def check_definitions(engine: Engine, settings: Settings, step: Step, *, ask: bool = False) -> None:
    """Raise if a step of a plan installs a transform that the executor cannot run.

    Args:
        engine: whose flavour decides what can be run.
        settings: those of the installation.
        step: any step; only definitions of transforms are looked at.
        ask: whether to ask the engine, too, if the source is there.

    Raises:
        UnsupportedTransform: with the place in the body and the reason.
        RequestRefused: as ``require_accepted`` does.
    """
    store, native = f"/{settings.names.transform_store}/_doc/", "/_transform/"
    for request in step.requests:
        if request.method != "PUT" or not isinstance(request.body, Mapping):
            continue
        if request.path.startswith(store):
            _check(engine, request.path.removeprefix(store), request.body["body"], ask=ask)
        elif request.path.startswith(native) and ask:
            require_native_accepted(engine, request.path.removeprefix(native), request.body)


def _check(engine: Engine, identifier: str, content: Mapping[str, Any], *, ask: bool) -> None:
    elasticsearch = engine.capabilities().flavour == "elasticsearch"
    body = parse_body(identifier, content, elasticsearch=elasticsearch)
    if ask:
        # It waits for its source; and who installs need not be allowed to read.
        with suppress(SourceMissing, NotPermitted):
            require_accepted(engine, body)


def _transforms(engine: Engine, settings: Settings) -> list[Rendered]:
    return [one for one in render_all(settings, engine.capabilities()) if one.kind == "transform"]


class _SchedulerControl:
    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._store = TransformStore(engine, names)

    def statuses(self) -> list[TransformStatus]:
        definitions = self._store.definitions()
        now = int(self._engine.now().timestamp() * 1000) if definitions else 0
        return [
            _scheduler_status(one.identifier, one.enabled, self._store.load(one.identifier).state, now)
            for one in definitions
        ]

    def bodies(self) -> dict[str, Mapping[str, Any]]:
        return {one.identifier: one.body for one in self._store.definitions()}

    def start(self, identifier: str) -> bool:
        definition = self._store.definition(identifier)
        _check(self._engine, identifier, definition.body, ask=True)
        rested = not definition.enabled
        status = self._store.load(identifier).state.status
        if status == "finished":
            self._store.forget(identifier)
        self._store.set_enabled(identifier, True)
        return rested or status != "started"

    def stop(self, identifier: str) -> bool:
        ran = self._store.definition(identifier).enabled
        self._store.set_enabled(identifier, False)
        return ran

    def reset(self, identifier: str) -> None:
        enabled = self._store.definition(identifier).enabled
        self._store.forget(identifier)
        self._store.set_enabled(identifier, enabled)


def _scheduler_status(identifier: str, enabled: bool, state: State, now: int) -> TransformStatus:
    return TransformStatus(
        identifier,
        state.status if enabled else "stopped",
        state.checkpoint,
        state.running.progress if state.running is not None else None,
        None if state.upper is None else (now - state.upper) / 1000,
        state.statistics.documents_indexed,
        state.reason,
        state.upper,
    )


class _NativeControl:
    def __init__(self, engine: Engine, names: Names, known: Iterable[str]) -> None:
        self._engine = engine
        self._ours = re.compile("|".join(re.escape(name) + _VERSION for name in known))
        self._pattern = f"{names.prefix}-*"

    def bodies(self) -> dict[str, Mapping[str, Any]]:
        answer = self._engine.request("GET", f"/_transform/{self._pattern}", params=_MANY)
        return {
            # With whose privileges it runs, where security is on, is no part of what was given.
            one["id"]: {key: value for key, value in one.items() if key != "authorization"}
            for one in answer["transforms"]
            if self._ours.fullmatch(one["id"])
        }

    def statuses(self) -> list[TransformStatus]:
        answer = self._engine.request("GET", f"/_transform/{self._pattern}/_stats", params=_MANY)
        delays = {identifier: _delay(body) for identifier, body in self.bodies().items()}
        now = int(self._engine.now().timestamp() * 1000)
        return [
            _native_status(one, delays.get(one["id"], 0), now)
            for one in answer["transforms"]
            if self._ours.fullmatch(one["id"])
        ]

    def start(self, identifier: str) -> bool:
        require_native_accepted(self._engine, identifier, self.bodies().get(identifier, {}))
        self._failed_needs_force(identifier)
        try:
            self._engine.request("POST", f"/_transform/{identifier}/_start")
        except Conflict:
            return False  # it is started already
        return True

    def stop(self, identifier: str) -> bool:
        ran = self._state(identifier) != "stopped"
        params: dict[str, str | bool] = {"wait_for_completion": True, "timeout": _STOP_TIMEOUT, "force": True}
        self._engine.request("POST", f"/_transform/{identifier}/_stop", params=params, timeout_seconds=60)
        return ran

    def reset(self, identifier: str) -> None:
        ran = self.stop(identifier)
        self._engine.request("POST", f"/_transform/{identifier}/_reset")
        if ran:
            self._engine.request("POST", f"/_transform/{identifier}/_start")

    def _failed_needs_force(self, identifier: str) -> None:
        # A failed one cannot be started; the engine wants it stopped by force first.
        if self._state(identifier) == "failed":
            self.stop(identifier)

    def _state(self, identifier: str) -> str:
        transforms = self._engine.request("GET", f"/_transform/{identifier}/_stats")["transforms"]
        if not transforms:
            raise NotFound(f"transform {identifier}: there is none", status=404)
        return str(transforms[0]["state"])


def _delay(body: Mapping[str, Any]) -> int:
    return int(time_value_milliseconds(body.get("sync", {}).get("time", {}).get("delay", "60s")) or 0)


def _native_status(answer: Mapping[str, Any], delay: int, now: int) -> TransformStatus:
    checkpointing = answer["checkpointing"]
    last = checkpointing["last"]
    # An idle transform makes no checkpoints: it has seen all there was when it last searched.
    seen = [last.get("time_upper_bound_millis"), checkpointing.get("last_search_time")]
    uppers = [bound for bound in (seen[0], seen[1] - delay if seen[1] else None) if bound]
    progress = checkpointing.get("next", {}).get("checkpoint_progress", {}).get("percent_complete")
    return TransformStatus(
        answer["id"],
        "started" if answer["state"] == "indexing" else answer["state"],
        last["checkpoint"],
        progress,
        (now - max(uppers)) / 1000 if uppers else None,
        answer["stats"]["documents_indexed"],
        answer.get("reason", ""),
        max(uppers, default=None),
    )
