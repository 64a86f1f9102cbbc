"""A shipper's own report in the engine: one small document that says how far it is, for ``httpmon status``.

It is never in the way of the lines: it is written beside them, in a thread of its own, the newest report
takes the place of one that waits, and one that cannot be written is left out.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from engine.client import Engine
from engine.errors import EngineError, NotPermitted
from shipping.shipper import Progress

_log = logging.getLogger("httpmon.ship")

ACTION = "shipping"
"""The ``event.action`` of a report, by which it is found among what else operators note."""

_TIMEOUT_SECONDS = 5.0
_LAST_TIMEOUT_SECONDS = 1.0

State = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True)
class Reporting:
    """Which shipper reports.

    Attributes:
        host: where it runs.
        pid: its process.
        registry: the file that remembers what it shipped; with the host it tells this shipper from all
            others, and the same one after a restart.
        files: what it was told to follow.
        started_at: since when its lines are counted.
    """

    host: str
    pid: int
    registry: Path
    files: tuple[str, ...]
    started_at: datetime

    @property
    def identifier(self) -> str:
        """The ``_id`` of its report."""
        return "shipper:" + hashlib.sha256(f"{self.host}\0{self.registry}".encode()).hexdigest()[:16]


def this_shipper(registry: Path, files: Sequence[str]) -> Reporting:
    """The shipper of this process."""
    return Reporting(socket.gethostname(), os.getpid(), registry.absolute(), tuple(files), datetime.now(UTC))


def report_document(who: Reporting, progress: Progress, *, state: State, now: datetime) -> dict[str, Any]:
    """What is reported, in the fields' names of the Elastic Common Schema where it has one."""
    counts = progress.counts
    return {
        "@timestamp": now.isoformat(),
        "event": {"kind": "metric", "action": ACTION, "dataset": "httpmon.operations"},
        "host": {"name": who.host},
        "process": {"pid": who.pid},
        "httpmon": {
            "shipper": {
                "state": state,
                "started_at": who.started_at.isoformat(),
                "registry": str(who.registry),
                "files": list(who.files),
                "open_files": progress.open_files,
                "read": counts.read,
                "sent": counts.sent,
                "duplicates": counts.duplicates,
                "dead": counts.dead,
                "behind_bytes": progress.behind_bytes,
                "behind_seconds": round(progress.behind_seconds, 1),
            }
        },
    }


class Reporter:
    """Writes reports in a thread of its own.

    Args:
        engine: the cluster.
        target: the alias that reports are written to; where it is not there, none is.
        who: this shipper.
        clock: the time of day, UTC.
    """

    def __init__(
        self,
        engine: Engine,
        target: str,
        who: Reporting,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._path = f"/{target}/_doc/{who.identifier}"
        self._who = who
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: Progress | None = None
        self._closing = False
        self._permitted = True
        # A daemon: a request that hangs must not keep the process from ending in time.
        self._thread = threading.Thread(target=self._run, name="ship-report", daemon=True)
        self._thread.start()

    def report(self, progress: Progress) -> None:
        """Have this written soon; returns at once."""
        with self._changed:
            self._waiting = progress
            self._changed.notify()

    def close(self, last: Progress | None) -> None:
        """End; with ``last``, the report says that the shipper stopped there."""
        with self._changed:
            self._closing = True
            self._waiting = None
            self._changed.notify()
        self._thread.join(_LAST_TIMEOUT_SECONDS)
        if last is not None and self._permitted and not self._thread.is_alive():
            self._write(last, "stopped", _LAST_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._closing:
                    self._changed.wait()
                if self._closing or not self._permitted:
                    return
                progress, self._waiting = self._waiting, None
            if progress is not None:
                self._write(progress, "running", _TIMEOUT_SECONDS)

    def _write(self, progress: Progress, state: State, timeout_seconds: float) -> None:
        document = report_document(self._who, progress, state=state, now=self._clock())
        try:
            # Without require_alias, a cluster that has nothing installed would get an index of that name.
            self._engine.request(
                "PUT",
                self._path,
                body=document,
                params={"require_alias": True},
                timeout_seconds=timeout_seconds,
            )
        except NotPermitted as error:
            self._permitted = False
            _log.info("this shipper does not report to httpmon status: %s", error)
        except EngineError as error:
            _log.debug("no report this time: %s", error)
