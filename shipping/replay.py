"""Sends an old log as if it happened now: in its order, with its gaps, under new times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from threading import Event

from engine.errors import ShippingError
from shipping.bulk_body import Origin, bulk_items
from shipping.delivery import Batch, BulkTarget, Counts, Delivery, DeliveryOptions
from shipping.formats import NO_HEADER, FormatOptions, Header, header_after
from shipping.framing import Block, LineFramer
from shipping.identity import new_key
from shipping.log_time import find_times, rewrite_times
from shipping.sources import Pipe, open_source

_READ_BYTES = 1 << 18
_BATCH_LINES = 1000
# Lines that are due within one tick are sent together.
_TICK_SECONDS = 0.1
_STOP_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class DueLine:
    """One line of a replay.

    Attributes:
        due: seconds after the start at which it is to be sent; never less than that of the line before.
        offset: where it stands in the log.
        content: with its new time, without its newline.
        header: in force for it, with the day of its new time where a directive names the day.
    """

    due: float
    offset: int
    content: bytes
    header: Header = NO_HEADER


def schedule(
    lines: Iterable[tuple[int, bytes]], *, start_epoch: float, speed: float, zone: tzinfo = UTC
) -> Iterator[DueLine]:
    """Give each line (offset, content) the moment of its sending and its new time. Pure.

    The first time in the log becomes ``start_epoch``; a distance between two times becomes ``1/speed`` of
    it. A line that is older than one before it keeps its distance, and is sent right after that one, as it
    was written. A line without a time is sent with the line before it. Times that name no zone are of
    ``zone``.
    """
    first: float | None = None
    due = 0.0
    header = NO_HEADER
    for offset, content in lines:
        after_it = header_after(content, header, first=offset == 0)
        if after_it != header or content.startswith(b"#"):
            # When a directive was written is no time of a request.
            yield DueLine(due, offset, content, header)
            header = after_it
            continue
        found = find_times(content, zone, header)
        if not found:
            yield DueLine(due, offset, content, header)
            continue
        if first is None:
            first = found[0].epoch
        after = (found[0].epoch - first) / speed
        due = max(due, after)
        day = found[0].day
        yield DueLine(
            due,
            offset,
            rewrite_times(content, found, start_epoch + after),
            replace(header, date=day(start_epoch + after)) if day else header,
        )


def read_lines(paths: Iterable[str], *, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The lines of files, one file after the other, as (offset, content); packed files are unpacked.

    Offsets count on from file to file. Raises ShippingError.
    """
    before = 0
    for path in paths:
        try:
            source = Pipe(path, 0) if path == "-" else open_source(path)
        except OSError as error:
            raise ShippingError(f"{path}: {error.strerror}") from None
        framer = LineFramer(max_line_bytes=max_line_bytes)
        try:
            while True:
                data = source.read_at(framer.position, _READ_BYTES)
                blocks = framer.feed(data) if data else framer.flush()
                for block in blocks:
                    yield from _lines_of(block, before)
                if not data:
                    if not isinstance(source, Pipe) or source.ended:
                        break
                    time.sleep(_TICK_SECONDS)
        except (OSError, EOFError) as error:
            raise ShippingError(f"{path}: cannot be read: {error}") from None
        finally:
            source.close()
        before += framer.position


def _lines_of(block: Block, before: int) -> Iterator[tuple[int, bytes]]:
    lines = block.content.split(b"\n")
    if not block.flags:
        lines.pop()
    offset = before + block.offset
    for line in lines:
        yield offset, line
        offset += len(line) + 1


def replay(
    engine: BulkTarget,
    paths: list[str],
    options: DeliveryOptions,
    formats: FormatOptions,
    *,
    speed: float,
    zone: tzinfo,
    max_line_bytes: int,
    stop: Event,
    notify: Callable[[str], None],
) -> Counts:
    """Send files as if they happened now; returns the counts when all is acknowledged, or ``stop`` was set.

    A second replay of the same log makes new documents. ``zone`` is that of times that name none. Raises
    ShippingError.
    """
    # A replay is no file that could be met again: its ids only guard against double sending within it.
    key = new_key("", 0, 0, os.urandom(16), ())
    path = paths[0] if len(paths) == 1 else "replay"
    delivery = Delivery(engine, options, acknowledged=lambda _: None, notify=notify)
    begun, start_epoch = time.monotonic(), time.time()
    items: list[bytes] = []

    def send() -> None:
        nonlocal items
        if items:
            delivery.submit(Batch(items, []), give_up=stop.is_set)
            items = []

    try:
        lines = read_lines(paths, max_line_bytes=max_line_bytes)
        for line in schedule(lines, start_epoch=start_epoch, speed=speed, zone=zone):
            ahead = begun + line.due - time.monotonic()
            if ahead > _TICK_SECONDS or len(items) >= _BATCH_LINES:
                send()
            if ahead > _TICK_SECONDS:
                stop.wait(begun + line.due - time.monotonic())
            if stop.is_set():
                break
            content = line.content + b"\n"
            block = Block(line.offset, content, line.offset + len(content))
            items += bulk_items(block, Origin(key, path, formats, line.header))
        send()
        give_up_at = time.monotonic() + _STOP_SECONDS
        delivery.drain(deadline=lambda: stop.is_set() and time.monotonic() >= give_up_at)
        return delivery.counts
    finally:
        delivery.close()
