"""Runs every enabled transform when it is due, a page at a time, and keeps one's trouble from the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from engine.client import Engine
from engine.errors import Conflict, EngineError, HttpmonError, NotFound, RequestRefused, SchedulerError
from provisioning.names import Names
from scheduler.transforms.body import UnsupportedTransform
from scheduler.transforms.checkpoint import failed
from scheduler.transforms.destination import DestinationRefused
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.runner import TransformRunner
from scheduler.transforms.store import Definition, Stored, TransformStore

_log = logging.getLogger("httpmon.scheduler")

Outcome = Literal["checkpoint", "unchanged", "progress", "retrying", "failed"]

# Two search ahead, two write.
THREADS = 4
# How long one tick works before it lets its caller do something else; a checkpoint goes on in the next tick.
TICK_SECONDS = 2.0
# How soon a change of the definitions is seen; also how long an alias is taken to stay what it is.
_LOOK_SECONDS = 1.0
# After the engine's clock has reached the time of a look; covers what is not known of that clock.
_AFTER_SECONDS = 0.02
_FIRST_BACK_OFF_SECONDS = 1.0
_LONGEST_BACK_OFF_SECONDS = 60.0
# A refusal may pass (a mapping that is being put, a queue that is full); Elasticsearch too tries 10 times.
_REFUSALS_BEFORE_FAILED = 10


@dataclass(frozen=True, slots=True)
class TransformResult:
    """What one transform did in a tick.

    Attributes:
        identifier: the transform.
        outcome: ``checkpoint``: one is complete; ``unchanged``: nothing new; ``progress``: more to do in the
            next tick; ``retrying``: it will be tried again; ``failed``: it will not.
        upper: the instant of ``event.ingested`` up to which its destination is complete.
        documents: summaries written in this tick.
        reason: why it is retrying or failed.
    """

    identifier: str
    outcome: Outcome
    upper: datetime | None = None
    documents: int = 0
    reason: str = ""


@dataclass(slots=True)
class _Entry:
    definition: Definition
    runner: TransformRunner | None = None
    given_up: bool = False
    due_at: float = 0.0
    told: str = field(default="")


class TransformService:
    """The transforms of one installation, executed by calls of ``tick``. Not for several threads at once."""

    def __init__(
        self, engine: Engine, names: Names, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._store = TransformStore(engine, names)
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="transform")
        self._entries: dict[str, _Entry] = {}
        self._looked_at = float("-inf")
        self._aliases: dict[str, tuple[float, frozenset[str]]] = {}
        # The engine's clock, epoch milliseconds, and the moment it was read.
        self._clock = (0, 0.0)

    def close(self) -> None:
        """End the threads that search ahead."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def tick(self, seconds: float = TICK_SECONDS) -> list[TransformResult]:
        """Run what is due, for about ``seconds`` at most, and tell what each transform did.

        An error of one transform is its result; only an error that concerns all of them is raised: the store
        or the engine's clock cannot be read.

        Raises:
            EngineError: nothing can run now; call again later.
        """
        started = self._monotonic()
        if started - self._looked_at >= _LOOK_SECONDS:
            self._look()
            self._looked_at = started
        due = [one for one in self._entries.values() if not one.given_up and one.due_at <= started]
        if not due:
            return []
        now = int(self._engine.now().timestamp() * 1000)
        self._clock = (now, self._monotonic())
        results: dict[str, TransformResult] = {}
        while due and (not results or self._monotonic() - started < seconds):
            due = [entry for entry in due if self._step(entry, now, results)]
        return list(results.values())

    def rest(self) -> float:
        """For how many seconds nothing is due; never longer than until it must look for new definitions."""
        due = [entry.due_at for entry in self._entries.values() if not entry.given_up]
        return max(0.0, min([self._looked_at + _LOOK_SECONDS, *due]) - self._monotonic())

    def passed(self, destination: str) -> datetime | None:
        """Up to which instant of ``event.ingested`` an index, or what an alias stands for, is summarised.

        None while that is unknown: a transform that writes there has not completed a checkpoint, or there is
        none. May be asked by one other thread than that of ``tick``.
        """
        indices = self._behind(destination)
        uppers = [
            entry.runner.state.upper
            for entry in list(self._entries.values())  # a copy: another thread may be in `tick`
            if entry.runner is not None and entry.runner.body.destination in indices
        ]
        known = [upper for upper in uppers if upper is not None]
        return _instant(min(known)) if known and len(known) == len(uppers) else None

    def uppers(self) -> dict[str, datetime | None]:
        """Up to which instant each enabled transform has come, by id; None before its first checkpoint."""
        states = {
            identifier: entry.runner.state.upper if entry.runner is not None else None
            for identifier, entry in self._entries.items()
        }
        return {
            identifier: None if upper is None else _instant(upper) for identifier, upper in states.items()
        }

    # -- definitions -------------------------------------------------------------------------------------

    def _look(self) -> None:
        found = {one.identifier: one for one in self._store.definitions() if one.enabled}
        for identifier in self._entries.keys() - found.keys():
            del self._entries[identifier]
        for identifier, definition in found.items():
            entry = self._entries.get(identifier)
            if entry is None or entry.definition.revision != definition.revision:
                self._entries[identifier] = _Entry(definition)

    def _prepare(self, entry: _Entry) -> TransformRunner:
        if entry.runner is None:
            elasticsearch = self._engine.capabilities().flavour == "elasticsearch"
            definition = entry.definition
            body = parse_body(definition.identifier, definition.body, elasticsearch=elasticsearch)
            entry.runner = TransformRunner(self._engine, self._store, body, self._threads)
        return entry.runner

    def _behind(self, name: str) -> frozenset[str]:
        known = self._aliases.get(name)
        if known is not None and self._monotonic() - known[0] < _LOOK_SECONDS:
            return known[1]
        try:
            indices = frozenset(self._engine.request("GET", f"/_alias/{name}"))
        except NotFound:
            indices = frozenset()
        self._aliases[name] = (self._monotonic(), indices | {name})
        return indices | {name}

    # -- running -----------------------------------------------------------------------------------------

    def _step(self, entry: _Entry, now: int, results: dict[str, TransformResult]) -> bool:
        """Do one page of a transform, note the result, and tell whether it has more to do."""
        identifier = entry.definition.identifier
        before = results.get(identifier)
        written = before.documents if before is not None else 0
        try:
            runner = self._prepare(entry)
            if runner.state.status == "finished":
                entry.given_up = True
                return False
            earlier = runner.state
            more = runner.step(now)
        except HttpmonError as error:
            results[identifier] = self._trouble(entry, error)
            return False
        except Exception as error:
            # A fault of this executor, or an answer that nobody foresaw: the other transforms go on.
            _log.exception("transform %s: trying again", identifier)
            fault = SchedulerError(f"transform {identifier}: {type(error).__name__}: {error}")
            results[identifier] = self._trouble(entry, fault)
            return False
        state = runner.state
        written += state.statistics.documents_indexed - earlier.statistics.documents_indexed
        entry.told = ""
        outcome: Outcome = (
            "progress" if more else "checkpoint" if state.checkpoint > earlier.checkpoint else "unchanged"
        )
        upper = None if state.upper is None else _instant(state.upper)
        results[identifier] = TransformResult(identifier, outcome, upper, written)
        if not more:
            entry.due_at = self._next_check(runner.body.frequency_seconds)
            entry.given_up = state.status == "finished"
            return False
        read = state.statistics.documents_processed - earlier.statistics.documents_processed
        pause = runner.pause_seconds(read)
        entry.due_at = self._monotonic() + pause
        return pause == 0

    def _next_check(self, frequency: float) -> float:
        """When one that is up to date looks again: just after a multiple of that by the engine's clock.

        So all look at once, and together they read that clock once. And watches run on whole seconds: one
        that waits for summaries finds what was looked for a second before its time, instead of having to wait
        for a look that begins at any moment.
        """
        read, at = self._clock
        passed = read / 1000 + self._monotonic() - at
        return self._monotonic() + frequency - passed % frequency + _AFTER_SECONDS

    def _trouble(self, entry: _Entry, error: HttpmonError) -> TransformResult:
        """Decide whether to try again; note the reason in the state, as far as possible, and tell it."""
        identifier = entry.definition.identifier
        if isinstance(error, Conflict) and entry.runner is not None:
            # Another process has the newer state; what we wrote besides it, the engine has kept out.
            return self._again(entry, "another process runs this transform", reload=True)
        failures = entry.runner.state.failures + 1 if entry.runner is not None else 1
        for_good = isinstance(error, UnsupportedTransform | DestinationRefused) or (
            isinstance(error, RequestRefused) and failures >= _REFUSALS_BEFORE_FAILED
        )
        if for_good and not (entry.runner is not None and entry.runner.body.settings.unattended):
            entry.given_up = True
        self._note(entry, str(error), for_good=entry.given_up)
        if entry.given_up:
            return TransformResult(identifier, "failed", reason=str(error))
        return self._again(entry, str(error), failures=failures)

    def _again(
        self, entry: _Entry, reason: str, *, failures: int = 1, reload: bool = False
    ) -> TransformResult:
        wait = min(_FIRST_BACK_OFF_SECONDS * 2 ** min(failures - 1, 10), _LONGEST_BACK_OFF_SECONDS)
        entry.due_at = self._monotonic() + wait
        if reload:
            entry.runner = None
        return TransformResult(entry.definition.identifier, "retrying", reason=reason)

    def _note(self, entry: _Entry, reason: str, *, for_good: bool) -> None:
        try:
            if entry.runner is not None:
                entry.runner.fail(reason, for_good=for_good, store=reason != entry.told)
            elif reason != entry.told:
                stored: Stored = self._store.load(entry.definition.identifier)
                self._store.save(
                    entry.definition.identifier, failed(stored.state, reason, for_good=for_good), stored
                )
            entry.told = reason
        except EngineError:
            return  # the engine is what failed, or another process writes; the result tells it


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
