"""The scheduler's main loop: while it holds the lease, transforms in one thread, watches in another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from engine.client import Engine
from engine.errors import EngineError
from provisioning.names import Names
from scheduler.clock import EngineClock
from scheduler.leadership import Leadership
from scheduler.lease import Member
from scheduler.retention import RetentionService
from scheduler.transforms.service import TransformService
from scheduler.watches.claims import Claims
from scheduler.watches.kinds import Outside
from scheduler.watches.service import WatchService

_log = logging.getLogger("httpmon.scheduler")

_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 15.0
# How often it looks whether a data stream has something that is too old.
_RETENTION_SECONDS = 60.0
# With `once`: how often it looks whether all is done.
_ONCE_SECONDS = 0.05
# How often it looks whether it still holds the lease.
_LEASE_SECONDS = 0.2
# A watch's newest run that fell into a handover is made up for, if the handover took no longer than this.
_LONGEST_HANDOVER = timedelta(minutes=1)


class Scheduler:
    """Executes the transforms and watches of one installation that the engine does not run itself.

    Any number of them may run; the one that holds the lease executes, the others stand by.

    Args:
        engine: the cluster.
        names: which installation.
        transforms: whether there are transforms to execute; without, watches wait for no summaries.
        watches: whether there are watches to execute.
        member: this scheduler, in the lease and in the records of runs.
        outside: what of the world outside the cluster watches may use.
    """

    def __init__(
        self,
        engine: Engine,
        names: Names,
        *,
        transforms: bool,
        watches: bool,
        member: Member,
        outside: Outside | None = None,
    ) -> None:
        self._engine = engine
        self._names = names
        self._runs_transforms, self._runs_watches = transforms, watches
        self._member = member
        self._outside = outside or Outside()
        self._clock = EngineClock(engine.now)
        store = names.watch_store if watches else names.transform_store
        self._leadership = Leadership(engine, store, member, self._clock)
        # Not of one session: what could not be told to the engine in one is known in the next.
        self._claims = Claims(engine, names, holder=member.name, clock=self._clock)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let ``run`` end: what is under way is finished first. May be called from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Execute, whenever it is this scheduler's turn, until ``stop`` is called."""
        with self._keeping():
            # Not join: a signal's handler runs only between short waits.
            while not self._stop.wait(_LEASE_SECONDS):
                if self._leadership.held:
                    session = self._session()
                    session.start()
                    try:
                        while not session.over and not self._stop.wait(_LEASE_SECONDS):
                            pass
                    finally:
                        session.close()

    def run_once(self) -> None:
        """Execute all that is due, until nothing is; then return. Raises EngineError.

        Where another scheduler executes, what is due is its part, and nothing is done.
        """
        self._engine.now()  # raises at once where there is no engine
        while not self._leadership.held:
            seconds = self._leadership.turn()
            if self._leadership.absent or self._leadership.renewed_by_another:
                return
            if not self._leadership.held and self._stop.wait(seconds):
                return
        with self._keeping():
            session = self._session()
            try:
                session.run_once(self._stop)
            finally:
                session.close()

    def _session(self) -> _Session:
        return _Session(
            self._engine,
            self._names,
            transforms=self._runs_transforms,
            watches=self._runs_watches,
            clock=self._clock,
            since=handover_start(self._leadership.handed_over_at, self._clock()),
            instance=self._member.name,
            claims=self._claims,
            outside=self._outside,
            held=lambda: self._leadership.held,
        )

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Keep the lease, in a thread, until all that was begun under it has ended; then give it back."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(self._leadership.turn()):
                pass

        keeper = threading.Thread(target=keep, name="lease")
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            self._leadership.release()


def handover_start(handed_over_at: datetime | None, now: datetime) -> datetime:
    """From when on watches' scheduled times are this scheduler's: its own begin, or the end of the last one.

    A time that fell between two schedulers is nobody's, else. After a longer pause nothing is made up for
    (a watch that wants it says so by its ``catch_up``).
    """
    if handed_over_at is None or not timedelta(0) <= now - handed_over_at <= _LONGEST_HANDOVER:
        return now
    return handed_over_at


class _Session:
    """What runs while the lease is held: nothing of it outlives the lease, so nothing stale is gone by."""

    def __init__(
        self,
        engine: Engine,
        names: Names,
        *,
        transforms: bool,
        watches: bool,
        clock: Callable[[], datetime],
        since: datetime,
        instance: str,
        claims: Claims,
        outside: Outside,
        held: Callable[[], bool],
    ) -> None:
        self._held = held
        self._transforms = TransformService(engine, names) if transforms else None
        # Only with transforms does it know what may be removed: what they have seen.
        self._retention = RetentionService(engine, names) if transforms else None
        self._retained_at = float("-inf")
        passed = self._transforms.passed if self._transforms else None
        self._watches = (
            WatchService(
                engine,
                names,
                passed=passed,
                clock=clock,
                since=since,
                instance=instance,
                claims=claims,
                outside=outside,
            )
            if watches
            else None
        )
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def over(self) -> bool:
        """Whether the lease was lost, as far as anybody has looked."""
        if not self._held():
            self._over.set()
        return self._over.is_set()

    def start(self) -> None:
        """Begin to execute, in threads."""
        for name, service, turn in (
            ("transforms", self._transforms, self._transforms_turn),
            ("watches", self._watches, self._watches_turn),
        ):
            if service is not None:
                thread = threading.Thread(target=self._loop, args=(turn,), name=name)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """End; what is under way is finished first."""
        self._over.set()
        if self._watches is not None:
            self._watches.wake()
        for thread in self._threads:
            thread.join()
        if self._watches is not None:
            self._watches.close()
        if self._transforms is not None:
            self._transforms.close()

    def run_once(self, stop: threading.Event) -> None:
        """Execute all that is due, until nothing is or ``stop`` is set. Raises EngineError."""
        self._summarise_all(stop)
        self._remove_what_is_too_old()
        if self._watches is None:
            return
        while not stop.is_set():
            self._watches.tick()
            if self._watches.idle():
                return
            self._watches.wait(_ONCE_SECONDS)
            self._summarise_all(stop)

    def _summarise_all(self, stop: threading.Event) -> None:
        while self._transforms is not None and not stop.is_set():
            results = self._transforms.tick()
            if not any(result.outcome in ("progress", "checkpoint") for result in results):
                return

    def _loop(self, turn: Callable[[], None]) -> None:
        """Take turns; where the engine fails, tell it once, wait longer each time, and go on."""
        told, failures = "", 0
        while not self.over:
            try:
                turn()
            except EngineError as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("%s; trying again", error)
            except Exception as error:
                # A mistake of ours: it must neither pass unseen nor leave a scheduler that does nothing.
                if str(error) != told:
                    told = str(error)
                    _log.exception("%s: trying again", threading.current_thread().name)
            else:
                if failures:
                    _log.warning("the engine answers again")
                told, failures = "", 0
                continue
            self._over.wait(min(_FIRST_BACK_OFF_SECONDS * 2 ** min(failures, 10), _LONGEST_BACK_OFF_SECONDS))
            failures += 1

    def _transforms_turn(self) -> None:
        assert self._transforms is not None  # noqa: S101 - the thread exists only with them
        begun = time.monotonic()
        for result in self._transforms.tick():
            if result.outcome in ("retrying", "failed"):
                _log.warning("transform %s: %s: %s", result.identifier, result.outcome, result.reason)
        if begun - self._retained_at >= _RETENTION_SECONDS:
            self._retained_at = begun
            self._remove_what_is_too_old()
        self._over.wait(self._transforms.rest())

    def _remove_what_is_too_old(self) -> None:
        if self._retention is None or self._transforms is None:
            return
        try:
            for done in self._retention.turn(list(self._transforms.uppers().values())):
                _log.info("%s", done)
        except EngineError as error:  # transforms go on meanwhile
            _log.warning("retention: %s; trying again in a minute", error)

    def _watches_turn(self) -> None:
        assert self._watches is not None  # noqa: S101 - the thread exists only with them
        self._watches.wait(self._watches.tick())
