"""Runs every active watch at its scheduled times and keeps one's trouble from the others."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.client import Engine
from engine.errors import EngineError, EngineUnreachable, HttpmonError
from provisioning.names import Names
from scheduler.watches.claims import Claims
from scheduler.watches.definition import Watch, parse_watch
from scheduler.watches.fields import WatchInvalid
from scheduler.watches.kinds import Outside, new_executor
from scheduler.watches.run import Run, new_run_id
from scheduler.watches.status import fitted, new_status
from scheduler.watches.store import Definition, Progress, Superseded, WatchStore
from scheduler.watches.timetable import Wait, catch_up_of, due, wait_of

_log = logging.getLogger("httpmon.scheduler")

# How soon a change of the definitions is seen.
_LOOK_SECONDS = 1.0
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 10.0
# How long the records of runs are kept, as Watcher keeps its own, and how often old ones are removed.
_HISTORY_KEPT = "7d"
_EXPIRE_SECONDS = 3600.0
# How often it looks whether summaries have reached what a run waits for.
_WAIT_SECONDS = 0.1
# After this long a run that waits for summaries is told of.
_PATIENCE = timedelta(seconds=30)
# Runs are mostly waiting for the engine. Watches are often due at the same instant, and each should start at
# its time; and some that hang must not keep the others from starting.
_THREADS = 32

# Up to which instant an index is summarised; None while that is unknown.
Passed = Callable[[str], datetime | None]


@dataclass(slots=True)
class _Entry:
    definition: Definition
    watch: Watch | None
    progress: Progress | None = None
    running: Future[None] | None = None
    not_before: float = 0.0
    failures: int = 0
    told: str = ""
    # Its next scheduled time, while nothing of it is due.
    rests_until: datetime | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class WatchService:
    """The watches of one installation.

    Args:
        engine: where they are kept and run.
        names: which installation.
        passed: how far summaries are, for watches that wait for them; None where the engine runs its
            transforms itself, and nobody waits.
        clock: the time by which schedules go: UTC.
        since: from when on scheduled times are this scheduler's, for watches that do not catch up; now if
            None.
        instance: the name of this scheduler, in the records of runs.
        claims: of this process; they must outlive this object where another one follows it.
        outside: what of the world outside the cluster watches may use.
    """

    def __init__(
        self,
        engine: Engine,
        names: Names,
        *,
        passed: Passed | None = None,
        clock: Callable[[], datetime] = _now,
        since: datetime | None = None,
        instance: str = "scheduler",
        claims: Claims | None = None,
        outside: Outside | None = None,
    ) -> None:
        self._store = WatchStore(engine, names)
        self._passed = passed
        self._clock = clock
        self._since = clock() if since is None else since
        holder = f"{instance}-{uuid.uuid4().hex}"
        self._claims = claims or Claims(engine, names, holder=holder, clock=clock)
        self._executor = new_executor(
            engine, outside or Outside(), clock=clock, instance=instance, claims=self._claims
        )
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="watch")
        self._entries: dict[str, _Entry] = {}
        self._looked_at = float("-inf")
        self._expired_at = float("-inf")
        self._changed = threading.Event()

    def close(self) -> None:
        """Wait for the runs under way and end their threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def tick(self) -> float:
        """Start what is due, each watch in a thread of its own, and return in how many seconds to come again.

        Raises EngineError when the definitions cannot be read.
        """
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._look()
            self._looked_at = time.monotonic()
        if time.monotonic() - self._expired_at >= _EXPIRE_SECONDS:
            self._store.expire_history(_HISTORY_KEPT)
            self._claims.expire()
            self._expired_at = time.monotonic()
        now = self._clock()
        waits = [self._start_due(entry, now) for entry in self._entries.values()]
        return min([_LOOK_SECONDS, *waits])

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a run that was under way has ended."""
        self._changed.wait(seconds)
        self._changed.clear()

    def wake(self) -> None:
        """End a ``wait`` at once."""
        self._changed.set()

    def idle(self) -> bool:
        """Whether nothing runs and nothing that could run is due."""
        return all(
            entry.running is None and (entry.watch is None or self._next(entry, entry.watch)[0] is None)
            for entry in self._entries.values()
        )

    # -- definitions -------------------------------------------------------------------------------------

    def _look(self) -> None:
        found = {one.identifier: one for one in self._store.definitions() if one.active}
        for identifier in self._entries.keys() - found.keys():
            if self._entries[identifier].running is None:
                del self._entries[identifier]
        for identifier, definition in found.items():
            entry = self._entries.get(identifier)
            if entry is None:
                self._entries[identifier] = _Entry(definition, self._parsed(definition))
            elif entry.definition.revision != definition.revision and entry.running is None:
                entry.definition, entry.watch = definition, self._parsed(definition)
                entry.rests_until = None

    def _parsed(self, definition: Definition) -> Watch | None:
        """The watch; None, and told, where it is none that can be run."""
        try:
            return parse_watch(definition.identifier, dict(definition.body))
        except WatchInvalid as error:
            trouble = f"it does not run: {error}"
        _log.error("watch %s: %s", definition.identifier, trouble)
        try:
            known = self._store.progress(definition.identifier)
            if known.trouble != trouble:
                self._store.save(definition.identifier, replace(known, trouble=trouble), known)
        except (EngineError, Superseded):
            pass  # it stands in the log
        return None

    # -- running -----------------------------------------------------------------------------------------

    def _start_due(self, entry: _Entry, now: datetime) -> float:
        """Start a run of one watch if it is due; else, in how many seconds to look again."""
        if entry.running is not None:
            if not entry.running.done():
                return _LOOK_SECONDS
            entry.running = None
        watch = entry.watch
        if watch is None:
            return _LOOK_SECONDS
        if entry.rests_until is not None and now < entry.rests_until:
            return (entry.rests_until - now).total_seconds()
        left = entry.not_before - time.monotonic()
        if left > 0:
            return left
        try:
            scheduled, seconds = self._next(entry, watch)
        except Superseded:
            entry.progress = None  # read anew: another scheduler is further
            return 0.0
        except HttpmonError as error:
            return self._back_off(entry, str(error))
        if scheduled is None:
            return seconds
        entry.running = self._threads.submit(self._run, entry, watch, scheduled)
        entry.running.add_done_callback(lambda _: self._changed.set())
        return _LOOK_SECONDS

    def _next(self, entry: _Entry, watch: Watch) -> tuple[datetime | None, float]:
        """The scheduled time to run for now, or None and in how many seconds to look again."""
        now = self._clock()
        if entry.progress is None:
            known = self._store.progress(entry.definition.identifier)
            # A watch that never ran begins now; its first time is the next.
            entry.progress = known if known.last is not None else replace(known, last=now)
        last = entry.progress.last or now
        coming = due(watch, last, now, self._since)
        if coming.skipped:
            _log.warning(
                "watch %s: %d scheduled runs left out, up to %s", watch.id, coming.skipped, coming.done
            )
            skipped = entry.progress.skipped + coming.skipped
            entry.progress = self._store.save(
                watch.id, replace(entry.progress, last=coming.done, skipped=skipped), entry.progress
            )
        if coming.run is None:
            following = entry.rests_until = watch.schedule.next_after(now)
            seconds = (following - now).total_seconds() if following else _LOOK_SECONDS
            return None, seconds
        wait = wait_of(watch)
        if wait is not None and self._passed is not None and not self._has_passed(wait, coming.run):
            self._tell_of_waiting(entry, wait, coming.run, now)
            return None, _WAIT_SECONDS
        return coming.run, 0.0

    def _has_passed(self, wait: Wait, scheduled: datetime) -> bool:
        passed = self._passed(wait.index) if self._passed is not None else None
        return passed is not None and passed >= scheduled + wait.offset

    def _tell_of_waiting(self, entry: _Entry, wait: Wait, scheduled: datetime, now: datetime) -> None:
        if now - scheduled > _PATIENCE and entry.told != "waits":
            entry.told = "waits"
            _log.warning(
                "watch %s waits for the summaries in %s before it runs for %s",
                entry.definition.identifier,
                wait.index,
                scheduled,
            )

    def _run(self, entry: _Entry, watch: Watch, scheduled: datetime) -> None:
        """One run, in a thread of the pool."""
        now = self._clock()
        before = entry.progress or Progress()
        status = new_status(watch, now) if before.status is None else fitted(before.status, watch, now)
        run = Run(
            watch=watch,
            id=new_run_id(watch.id, now),
            status=status,
            scheduled_time=scheduled,
            triggered_time=now,
            execution_time=now,
        )
        try:
            self._execute(entry, run, before)
        except Superseded:
            entry.progress = None  # read anew: another scheduler is further
        except EngineUnreachable as error:
            entry.progress = None
            self._back_off(entry, str(error))
        except Exception as error:
            # Whatever it is, it is this watch's trouble, and must neither pass unseen nor stop the others.
            _log.exception("watch %s: the run for %s failed", watch.id, scheduled)
            entry.progress = None
            self._back_off(entry, str(error))

    def _execute(self, entry: _Entry, run: Run, before: Progress) -> None:
        """Run a watch and write what it came to. Raises what keeps that from being written."""
        watch = run.watch
        try:
            outcome = self._executor.execute(run)
        except HttpmonError as error:
            outcome = self._executor.failed(run, error)
            if catch_up_of(watch) and isinstance(error, EngineUnreachable):
                # It must decide for this time; so it comes again until the engine has the means.
                if entry.told != str(error):
                    self._store.save_attempt(watch.id, outcome, run.scheduled_time, run.id, before)
                raise
        entry.progress, record = self._store.save_run(
            watch.id, outcome, run.scheduled_time, before.skipped, before
        )
        entry.failures, entry.not_before, entry.told = 0, 0.0, ""
        _tell_of_failures(watch, record)

    def _back_off(self, entry: _Entry, reason: str) -> float:
        """Leave the watch alone for a while; longer each time. Tells a reason once."""
        if entry.told != reason:
            entry.told = reason
            _log.warning("watch %s: %s; trying again", entry.definition.identifier, reason)
        wait = min(_FIRST_BACK_OFF_SECONDS * 2.0 ** min(entry.failures, 10), _LONGEST_BACK_OFF_SECONDS)
        entry.failures += 1
        entry.not_before = time.monotonic() + wait
        return wait


def _tell_of_failures(watch: Watch, record: dict[str, Any]) -> None:
    if record["state"] == "failed":
        reason = (record.get("exception") or {}).get("reason") or "; ".join(record["messages"])
        _log.warning("watch %s failed: %s", watch.id, reason)
    for message in record["messages"]:
        _log.warning("watch %s: %s", watch.id, message)
    for action in record["result"]["actions"]:
        if action["status"] in ("failure", "partial_failure"):
            reason = action.get("reason") or (action.get("error") or {}).get("reason")
            _log.warning("watch %s: action %s failed: %s", watch.id, action["id"], reason)
