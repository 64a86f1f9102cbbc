"""Brings batches to the engine over several connections, until each line is there.

A bounded queue stands between the one who reads and those who send: where the engine is slow or away, the
reader waits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from engine.errors import EngineError, EngineUnreachable, RequestRefused
from shipping.bulk_body import ANSWER_FIELDS, Fate, Refusal, dead_letter, read_answer
from shipping.doubt import Questioned, stored_earlier
from shipping.positions import Span

# After so many errors inside the engine about one line, it is the line.
_SUSPECT_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.1
_CLOSE_SECONDS = 0.5
# What is queued and under way. Ordinary batches are far below; lines of a megabyte that are no UTF-8 are five
# times as long in a request.
_HELD_BYTES = 12 << 20
# Of a line that a proxy refuses for its size; nginx's limit for a request is 1 MB.
_KEPT_CHARACTERS = 8192
_TOO_LONG = "the request with this line alone was refused for its size (413); its beginning is kept"


class BulkTarget(Questioned, Protocol):
    """What delivery needs of ``engine.client.Engine``."""

    def bulk(
        self,
        body: bytes,
        *,
        target: str | None = None,
        params: Mapping[str, str | int | float | bool] | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Post an NDJSON body; raises EngineError."""
        ...


@dataclass(slots=True, eq=False)
class Batch:
    """Lines that are sent together.

    Attributes:
        items: the lines, as items of a bulk request.
        spans: the parts of files that they are.
        in_doubt: an earlier shipper may have sent some of them.
        stored: how many of these were there already; known once it is acknowledged.
    """

    items: list[bytes]
    spans: list[Span]
    in_doubt: bool = False
    stored: int = 0


@dataclass(slots=True)
class Counts:
    """What became of the lines so far; changed under the delivery's lock."""

    read: int = 0
    sent: int = 0
    duplicates: int = 0
    dead: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How to send.

    Attributes:
        target: index or data stream of the lines.
        dead_target: data stream of the lines that the engine refuses for good.
        connections: requests under way at once.
        queue_batches: batches that may wait for a connection.
        longest_pause_seconds: the back-off's upper end.
        timeout_seconds: for one request.
    """

    target: str
    dead_target: str
    connections: int = 4
    queue_batches: int = 8
    longest_pause_seconds: float = 30.0
    timeout_seconds: float = 60.0


@dataclass(slots=True)
class _Trouble:
    """Says once that the engine takes nothing, and once that it does again."""

    notify: Callable[[str], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _told: str = ""

    def begins(self, what: str) -> None:
        with self._lock:
            if not self._told:
                self._told = what
                self.notify(f"{what}; waiting, nothing is lost")

    def ends(self) -> None:
        if not self._told:
            return
        with self._lock:
            if self._told:
                self._told = ""
                self.notify("the engine takes lines again")


class Delivery:
    """Sends batches on threads of its own; ``submit`` waits while the queue is full."""

    def __init__(
        self,
        engine: BulkTarget,
        options: DeliveryOptions,
        *,
        acknowledged: Callable[[Batch], None],
        notify: Callable[[str], None],
    ) -> None:
        """Start the sending threads.

        Args:
            engine: where to send.
            options: how to send.
            acknowledged: called, on any thread, when the engine has every line of a batch.
            notify: takes one line for the user about trouble and its end.
        """
        self.counts = Counts()
        self._engine = engine
        self._options = options
        self._acknowledged = acknowledged
        self._trouble = _Trouble(notify)
        self._notify = notify
        self._queue: deque[tuple[Batch, int]] = deque()
        self._held_bytes = 0
        self._changed = threading.Condition()
        self._sending = 0
        self._closing = False
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        # Daemons: a request that hangs must not keep the process from ending in time.
        self._threads = [
            threading.Thread(target=self._send_batches, name=f"ship-{number}", daemon=True)
            for number in range(options.connections)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, batch: Batch, *, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Queue a batch, waiting for room; False when ``give_up()`` became true meanwhile.

        Raises what a sending thread failed with.
        """
        size = sum(map(len, batch.items))
        with self._changed:
            self.counts.read += len(batch.items)
            while len(self._queue) >= self._options.queue_batches or (
                self._held_bytes and self._held_bytes + size > _HELD_BYTES
            ):
                self._raise_failure()
                if give_up():
                    return False
                self._changed.wait(0.1)
            self._raise_failure()
            self._queue.append((batch, size))
            self._held_bytes += size
            self._changed.notify_all()
        return True

    def check(self) -> None:
        """Raise what a sending thread failed with, if one did."""
        self._raise_failure()

    def drain(self, *, deadline: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything submitted is acknowledged; False when ``deadline()`` became true before."""
        with self._changed:
            while self._queue or self._sending:
                self._raise_failure()
                if deadline():
                    return False
                self._changed.wait(0.1)
            self._raise_failure()
        return True

    def close(self) -> None:
        """Stop the threads; what is not acknowledged yet is left, and sent again by the next shipper."""
        self._abandoned.set()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        end = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, end - time.monotonic()))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- on the sending threads --------------------------------------------------------------------------

    def _send_batches(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                batch, size = self._queue.popleft()
                self._sending += 1
                self._changed.notify_all()
            try:
                items = batch.items
                if batch.in_doubt:
                    items = self._not_stored(items, self._options.target)
                    batch.stored = len(batch.items) - len(items)
                if self._deliver(items, self._options.target):
                    self._acknowledged(batch)
            except BaseException as error:
                self._failure = error
            finally:
                with self._changed:
                    self._sending -= 1
                    self._held_bytes -= size
                    self._changed.notify_all()

    def _deliver(self, items: list[bytes], target: str) -> bool:
        """Send until every item is created, known or buried; False when told to leave."""
        failures = 0
        in_doubt = False
        while items and not self._abandoned.is_set():
            if in_doubt:
                in_doubt = False
                items = self._not_stored(items, target)
                if not items:
                    break
            try:
                answer = self._engine.bulk(
                    b"".join(items),
                    target=target,
                    params={"filter_path": ANSWER_FIELDS},
                    timeout_seconds=self._options.timeout_seconds,
                )
                fates = read_answer(answer, len(items))
            except EngineUnreachable as error:
                self._trouble.begins(str(error))
                failures = self._pause(failures)
                in_doubt = True
                continue
            except RequestRefused as error:
                if error.status == 413 and len(items) > 1:
                    middle = len(items) // 2
                    return self._deliver(items[:middle], target) and self._deliver(items[middle:], target)
                if error.status == 413 and target != self._options.dead_target:
                    return self._bury(
                        [(items[0], Refusal(413, error.error_type, _TOO_LONG))], _KEPT_CHARACTERS
                    )
                self._trouble.begins(f"the engine refuses lines: {error}")
                failures = self._pause(failures)
                in_doubt = True
                continue
            except (EngineError, ValueError) as error:
                self._trouble.begins(f"the engine's answer cannot be used: {error}")
                failures = self._pause(failures)
                in_doubt = True
                continue
            if fates is None:
                self._count(target, created=len(items))
                self._trouble.ends()
                return True
            left = self._sort_out(items, fates, target, last=failures + 1 >= _SUSPECT_ATTEMPTS)
            failures = self._pause(failures) if left else 0
            in_doubt = any(refusal is not None and refusal.status >= 500 for _, refusal in fates)
            items = left
        return not items

    def _not_stored(self, items: list[bytes], target: str) -> list[bytes]:
        """Leave out what an earlier attempt has brought already."""
        failures = 0
        while not self._abandoned.is_set():
            try:
                stored = stored_earlier(self._engine, target, items)
            except EngineError as error:
                self._trouble.begins(str(error))
                failures = self._pause(failures)
                continue
            self._count(target, duplicates=len(stored))
            return [item for position, item in enumerate(items) if position not in stored]
        return items

    def _sort_out(
        self, items: list[bytes], fates: list[tuple[Fate, Refusal | None]], target: str, *, last: bool
    ) -> list[bytes]:
        """Count what is settled and bury what is dead; returns what has to be sent again."""
        again: list[bytes] = []
        dead: list[tuple[bytes, Refusal]] = []
        created = duplicates = 0
        trouble: Refusal | None = None
        for item, (fate, refusal) in zip(items, fates, strict=True):
            if fate is Fate.CREATED:
                created += 1
            elif fate is Fate.DUPLICATE:
                duplicates += 1
            elif refusal is not None:
                is_dead = fate is Fate.DEAD or (fate is Fate.SUSPECT and last)
                # A refused dead letter has nowhere to go: it waits until someone has mended its data stream.
                if is_dead and target != self._options.dead_target:
                    dead.append((item, refusal))
                else:
                    again.append(item)
                    trouble = trouble if trouble and fate is Fate.RETRY else refusal
        self._count(target, created=created, duplicates=duplicates, retried=len(again))
        if dead and not self._bury(dead):  # told to leave: the next shipper meets them again
            again += [item for item, _ in dead]
        if trouble is None:
            self._trouble.ends()
        elif not created:
            self._trouble.begins(f"{target} takes no lines now: {trouble}")
        return again

    def _bury(self, dead: list[tuple[bytes, Refusal]], longest: int | None = None) -> bool:
        """Keep lines in the dead letters; False when told to leave."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        letters = [dead_letter(item, refusal, now, longest=longest) for item, refusal in dead]
        if not self._deliver(letters, self._options.dead_target):
            return False
        self._count(self._options.target, dead=len(dead))
        return True

    def _count(
        self, target: str, *, created: int = 0, duplicates: int = 0, dead: int = 0, retried: int = 0
    ) -> None:
        if target == self._options.dead_target:
            return
        with self._changed:
            self.counts.sent += created
            self.counts.duplicates += duplicates
            self.counts.dead += dead
            self.counts.retried += retried

    def _pause(self, failures: int) -> int:
        pause = min(self._options.longest_pause_seconds, _FIRST_PAUSE_SECONDS * 2 ** min(failures, 20))
        self._abandoned.wait(pause)
        return failures + 1
