"""The shipper: follows files, builds batches, delivers them and saves how far it came."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

from engine.client import Engine
from engine.errors import EngineUnreachable, NotFound, NotPermitted, RequestRefused, ShippingError
from shipping.bulk_body import Origin, bulk_items
from shipping.delivery import Batch, Counts, Delivery, DeliveryOptions
from shipping.follow import Follower
from shipping.formats import FormatOptions
from shipping.framing import Block
from shipping.lag import Lag
from shipping.registry import Registry
from shipping.tail import Tail

_SAVE_SECONDS = 1.0
# While lines come, files are read often; a log with a line now and then costs next to nothing.
_BUSY_POLL_SECONDS = 0.002
_IDLE_POLL_SECONDS = 0.05
_BUSY_FOR_SECONDS = 1.0
# How long a stop may wait for acknowledgements, of the 10 s in which a process has to be gone.
_STOP_SECONDS = 6.0
_HOLD_SECONDS = 1.0
_SERVER_ERROR = 500

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """When a batch is sent.

    Attributes:
        batch_bytes: as soon as it holds lines of so many bytes,
        linger_seconds: or its first line has waited so long.
    """

    batch_bytes: int = 1 << 18
    linger_seconds: float = 0.2


class Batcher:
    """Collects blocks of any files into batches."""

    def __init__(
        self,
        options: BatchOptions,
        registry: Registry,
        submit: Callable[[Batch], bool],
        formats: FormatOptions,
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        """``hold`` waits a moment before what failed is tried again; False gives up."""
        self._hold = hold
        self._options = options
        self._formats = formats
        self._registry = registry
        self._submit = submit
        self._clear()

    def _clear(self) -> None:
        self._batch = Batch([], [])
        self._bytes = 0
        self._since = 0.0

    def add(self, tail: Tail, block: Block) -> bool:
        """Take a block; False when the batch that it filled could not be submitted."""
        parts = tail.parts(block)
        span = tail.span(block)
        if not self._batch.spans:
            self._since = time.monotonic()
        self._batch.spans.append(span)
        self._batch.in_doubt |= block.offset < tail.in_doubt_until
        for part, header in parts:
            self._batch.items.extend(bulk_items(part, Origin(span.key, tail.path, self._formats, header)))
        self._bytes += len(block.content)
        return self.flush() if self._bytes >= self._options.batch_bytes else True

    def flush_due(self) -> bool:
        """Submit what has waited long enough; False when it could not be submitted."""
        if self._batch.spans and time.monotonic() - self._since >= self._options.linger_seconds:
            return self.flush()
        return True

    def flush(self) -> bool:
        """Submit what there is; False when it could not be submitted."""
        if not self._batch.spans:
            return True
        batch = self._batch
        self._clear()
        while not self._registry.save_new():
            if not self._hold():
                return False
        for span in batch.spans:
            self._registry.sending(span)
        if batch.items:
            return self._submit(batch)
        for span in batch.spans:
            self._registry.acknowledge(span)
        return True


@dataclass(frozen=True, slots=True)
class Progress:
    """Where shipping stands.

    Attributes:
        counts: what became of the lines.
        behind_bytes: what is written and not acknowledged yet.
        behind_seconds: since when the oldest byte of these has been there, to the second; 0 without any.
        open_files: how many files are open.
    """

    counts: Counts
    behind_bytes: int
    behind_seconds: float
    open_files: int


def ship(
    engine: Engine,
    registry: Registry,
    follower: Follower,
    delivery_options: DeliveryOptions,
    batch_options: BatchOptions,
    format_options: FormatOptions,
    *,
    stop: Event,
    notify: Callable[[str], None],
    report: Callable[[Progress], None] = lambda _: None,
    report_seconds: float = 10.0,
) -> Progress:
    """Ship until ``stop`` is set or nothing more will come; returns where it stands then.

    After ``stop``, what was read is delivered as far as eight seconds allow; the rest is sent by the next
    run.
    """

    def acknowledged(batch: Batch) -> None:
        for span in batch.spans:
            registry.acknowledge(span)
        if batch.stored:
            follower.met_again.extend(batch.spans)

    def waits() -> bool:
        # While the queue is full, files still come and go.
        follower.scan()
        return stop.is_set()

    delivery = Delivery(engine, delivery_options, acknowledged=acknowledged, notify=notify)
    batcher = Batcher(
        batch_options,
        registry,
        lambda batch: delivery.submit(batch, give_up=waits),
        format_options,
        hold=lambda: not stop.wait(_HOLD_SECONDS),
    )

    lag = Lag()

    def progress() -> Progress:
        files = follower.acknowledged()
        behind = sum(max(0, size - offset) for size, offset in files.values())
        return Progress(delivery.counts, behind, lag.look(time.monotonic(), files), len(follower.tails))

    try:
        next_save = next_report = time.monotonic()
        lines_at = -math.inf
        next_report += report_seconds
        while not stop.is_set():
            follower.scan()
            any_lines = False
            for tail, block in follower.read():
                any_lines = True
                if not batcher.add(tail, block):
                    break
            now = time.monotonic()
            if any_lines:
                lines_at = now
            batcher.flush_due()
            if now >= next_save:
                next_save = now + _SAVE_SECONDS
                registry.try_save()
                lag.look(now, follower.acknowledged())
            if now >= next_report:
                next_report = now + report_seconds
                report(progress())
            if follower.finished:
                break
            if not any_lines:
                delivery.check()
                stop.wait(min(_poll_seconds(now - lines_at), follower.next_page_seconds()))
        for tail, block in follower.leave_pipes():
            batcher.add(tail, block)
        batcher.flush()
        give_up_at = time.monotonic() + _STOP_SECONDS
        delivery.drain(deadline=lambda: stop.is_set() and time.monotonic() >= give_up_at)
        return progress()
    finally:
        delivery.close()
        registry.save()


def _poll_seconds(since_lines: float) -> float:
    return _BUSY_POLL_SECONDS if since_lines < _BUSY_FOR_SECONDS else _IDLE_POLL_SECONDS


def wait_for_target(engine: Engine, target: str, *, stop: Event, notify: Callable[[str], None]) -> str | None:
    """Wait until the engine answers and see that ``target`` is prepared; returns the cluster's UUID.

    None when ``stop`` was set before. Raises ShippingError when nothing would parse the lines there.
    """
    pause, told = 0.2, False
    while not stop.is_set():
        try:
            uuid = _unless_stopped(stop, lambda: _cluster_with(engine, target))
        except EngineUnreachable as error:
            if not told:
                told = True
                notify(f"{error}; waiting")
            stop.wait(pause)
            pause = min(pause * 2, 10.0)
        else:
            if told and uuid is not None:
                notify("the engine is there")
            return uuid
    return None


def _unless_stopped(stop: Event, ask: Callable[[], Asked]) -> Asked | None:
    """What ``ask`` returns or raises; None when ``stop`` is set before: an engine may take long to answer."""
    answer: SimpleQueue[Asked | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            answer.put(ask())
        except BaseException as error:
            answer.put(error)

    Thread(target=run, name="ship-ask", daemon=True).start()
    while not stop.is_set():
        try:
            told = answer.get(timeout=0.05)
        except Empty:
            continue
        if isinstance(told, BaseException):
            raise told
        return told
    return None


def _cluster_with(engine: Engine, target: str) -> str:
    try:
        uuid = engine.cluster_uuid()
        _see_that_lines_are_parsed(engine, target)
    except RequestRefused as refused:
        if refused.status < _SERVER_ERROR:
            raise
        # A proxy whose engine is away may say so by any of these; and a node that has just started says of a
        # data stream that it is not there, and then that it is.
        raise EngineUnreachable(str(refused)) from None
    return uuid


def _see_that_lines_are_parsed(engine: Engine, target: str) -> None:
    try:
        pipelines = _default_pipelines(engine, target)
    except NotPermitted:
        return  # a key that may only write; then it is for its owner to know
    if not pipelines:
        raise ShippingError(
            f"{target}: no index template with a pipeline is installed for it; run `httpmon provision` first"
        )


def _default_pipelines(engine: Engine, target: str) -> list[str]:
    """The pipelines that lines go through in a data stream, or would go through in a new one."""
    try:
        answer = engine.request("GET", f"/{target}/_settings/index.default_pipeline")
        indices = [index["settings"] for index in answer.values()]
    except NotFound:
        answer = engine.request("POST", f"/_index_template/_simulate_index/{target}")
        indices = [(answer.get("template") or {}).get("settings") or {}]
    found = [(settings.get("index") or {}).get("default_pipeline") for settings in indices]
    return [pipeline for pipeline in found if pipeline]
