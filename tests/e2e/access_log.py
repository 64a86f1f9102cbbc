"""An access log that the tests make themselves, and an independent count of what is in it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_SECTIONS = ("/", "/pages", "/blog", "/images", "/report", "/api", "/favicon.ico")
_STATUSES = (200, 200, 200, 200, 304, 404, 500, 301)
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", '\\"quoted\\" agent', "-")


@dataclass
class AccessLog:
    """Lines, and what a plain count over them gives, made line by line beside them."""

    lines: list[str] = field(default_factory=list)
    hits: int = 0
    unparsed: int = 0
    bytes: int = 0
    clients: set[str] = field(default_factory=set)
    sections: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    buckets: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def make_access_log(lines: int, *, seed: int, start: datetime, spread_seconds: int) -> AccessLog:
    """A Combined log whose lines are out of order by up to a minute; one in 400 is no log line at all."""
    dice = random.Random(seed)
    log = AccessLog()
    for number in range(lines):
        if dice.random() < 0.0025:
            log.lines.append(f"line {number} was cut sho")
            log.unparsed += 1
            continue
        offset = spread_seconds * number / lines + dice.uniform(-30, 30)
        when = (start + timedelta(seconds=offset)).astimezone(UTC)
        client = f"192.0.2.{dice.randrange(1, 255)}"
        section = dice.choice(_SECTIONS)
        path = section if section in ("/", "/favicon.ico") else f"{section}/{dice.randrange(40)}?q={number}"
        status, size = dice.choice(_STATUSES), dice.randrange(20, 90_000)
        shown_size = "-" if status == 304 else str(size)
        log.lines.append(
            f"{client} - - [{when:%d/%b/%Y:%H:%M:%S +0000}] "
            f'"GET {path} HTTP/1.1" {status} {shown_size} "-" "{dice.choice(_AGENTS)}"'
        )
        bucket = when.replace(microsecond=0, second=when.second // 10 * 10)
        log.hits += 1
        log.bytes += 0 if status == 304 else size
        log.clients.add(client)
        log.sections[section] += 1
        log.statuses[status] += 1
        log.buckets[f"{bucket:%Y-%m-%dT%H:%M:%S}.000Z", section] += 1
    return log
