"""The scheduler's main loop: transforms in one thread, watches in another, until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from engine.client import Engine
from engine.errors import EngineError
from provisioning.names import Names
from scheduler.transforms.service import TransformService
from scheduler.watches.service import WatchService

_log = logging.getLogger("httpmon.scheduler")

# Between two looks at whether a transform is due; below the shortest frequency, 1 s.
_TRANSFORMS_SECONDS = 0.1
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 15.0
# With `once`: how often it looks whether all is done.
_ONCE_SECONDS = 0.05


class Scheduler:
    """Executes the transforms and watches of one installation that the engine does not run itself.

    Args:
        engine: the cluster.
        names: which installation.
        transforms: whether there are transforms to execute; without, watches wait for no summaries.
        watches: whether there are watches to execute.
        instance: this scheduler's name, in the records of runs.
    """

    def __init__(
        self, engine: Engine, names: Names, *, transforms: bool, watches: bool, instance: str
    ) -> None:
        self._transforms = TransformService(engine, names) if transforms else None
        passed = self._transforms.passed if self._transforms else None
        self._watches = WatchService(engine, names, passed=passed, instance=instance) if watches else None
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let ``run`` end: what is under way is finished first. May be called from a signal handler."""
        self._stop.set()
        if self._watches is not None:
            self._watches.wake()

    def run(self) -> None:
        """Execute until ``stop`` is called."""
        threads = []
        if self._transforms is not None:
            threads.append(
                threading.Thread(target=self._loop, args=(self._transforms_turn,), name="transforms")
            )
        if self._watches is not None:
            threads.append(threading.Thread(target=self._loop, args=(self._watches_turn,), name="watches"))
        for thread in threads:
            thread.start()
        try:
            # Not join: a signal's handler runs only between short waits.
            while not self._stop.wait(1.0):
                pass
        finally:
            self.stop()
            for thread in threads:
                thread.join()
            self._close()

    def run_once(self) -> None:
        """Execute all that is due, until nothing is; then return. Raises EngineError."""
        try:
            self._summarise_all()
            if self._watches is None:
                return
            while not self._stop.is_set():
                self._watches.tick()
                if self._watches.idle():
                    return
                self._watches.wait(_ONCE_SECONDS)
                self._summarise_all()
        finally:
            self._close()

    def _summarise_all(self) -> None:
        while self._transforms is not None and not self._stop.is_set():
            results = self._transforms.tick()
            if not any(result.outcome in ("progress", "checkpoint") for result in results):
                return

    def _close(self) -> None:
        if self._watches is not None:
            self._watches.close()
        if self._transforms is not None:
            self._transforms.close()

    def _loop(self, turn: Callable[[], None]) -> None:
        """Take turns; where the engine fails, tell it once, wait longer each time, and go on."""
        told, failures = "", 0
        while not self._stop.is_set():
            try:
                turn()
            except EngineError as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("%s; trying again", error)
                wait = min(_FIRST_BACK_OFF_SECONDS * 2 ** min(failures, 10), _LONGEST_BACK_OFF_SECONDS)
                failures += 1
                self._stop.wait(wait)
                continue
            if failures:
                _log.warning("the engine answers again")
            told, failures = "", 0

    def _transforms_turn(self) -> None:
        assert self._transforms is not None  # noqa: S101 - the thread exists only with them
        begun = time.monotonic()
        for result in self._transforms.tick():
            if result.outcome in ("retrying", "failed"):
                _log.warning("transform %s: %s: %s", result.identifier, result.outcome, result.reason)
        self._stop.wait(max(0.0, _TRANSFORMS_SECONDS - (time.monotonic() - begun)))

    def _watches_turn(self) -> None:
        assert self._watches is not None  # noqa: S101 - the thread exists only with them
        self._watches.wait(self._watches.tick())
