"""What generated traffic looks like over time: phases, bursts, error storms, floods, late lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError

# Rates change at multiples of this; so much is written at once.
TICK_SECONDS = 0.05

Seconds = Callable[[str], float]

_BURST = re.compile(
    r"(?P<after>[^+*/]+)\+(?P<length>[^+*/]+)\*(?P<factor>\d+(?:\.\d+)?)(?:/(?P<every>[^+*/]+))?"
)


@dataclass(frozen=True, slots=True)
class Burst:
    """More traffic for a while.

    Attributes:
        after: seconds from the start to its beginning.
        length: its seconds.
        factor: how many times the rate.
        every: seconds from one beginning to the next; None for once.
    """

    after: float
    length: float
    factor: float
    every: float | None = None

    def is_on(self, second: float) -> bool:
        """Whether it is under way so many seconds after the start."""
        since = second - self.after
        if since < 0:
            return False
        return (since % self.every if self.every else since) < self.length


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time with the same kind of traffic; shares are between 0 and 1.

    Attributes:
        seconds: how long; None for ever.
        rate: lines a second.
        errors: share of answers 5xx beyond the usual few.
        flood: share of lines from one client for one path.
        late: share of lines that are written ``late_by`` seconds after their time.
        garbage: share of lines that are no log lines.
    """

    seconds: float | None
    rate: float
    errors: float = 0.0
    flood: float = 0.0
    late: float = 0.0
    late_by: float = 30.0
    garbage: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether all its lines are of the usual kind."""
        return not (self.errors or self.flood or self.late or self.garbage)


@dataclass(frozen=True, slots=True)
class Tick:
    """What is to be written at one moment: ``count`` lines, ``second`` seconds after the start."""

    second: float
    count: int
    phase: Phase


def ticks(phases: tuple[Phase, ...], bursts: tuple[Burst, ...] = ()) -> Iterator[Tick]:
    """The moments of writing, in order. The counts add up to the rate exactly, whatever the tick."""
    number, due, written = 0, 0.0, 0
    begin = 0.0
    for phase in phases:
        while phase.seconds is None or number * TICK_SECONDS < begin + phase.seconds - 1e-9:
            second = number * TICK_SECONDS
            factor = 1.0
            for burst in bursts:
                if burst.is_on(second + 1e-9):
                    factor *= burst.factor
            due += phase.rate * factor * TICK_SECONDS
            count = int(due + 1e-6) - written
            written += count
            number += 1
            yield Tick(second, count, phase)
        begin += phase.seconds or 0.0


def parse_burst(text: str, seconds: Seconds) -> Burst:
    """Read ``20s+60s*5`` (after 20 s, for 60 s, five times the rate) or ``20s+10s*5/2m`` (again every 2 min).

    ``seconds`` reads a duration. Raises UsageError.
    """
    match = _BURST.fullmatch(text)
    try:
        if match is None:
            raise ValueError("it is no burst")
        every = seconds(match["every"]) if match["every"] else None
        burst = Burst(seconds(match["after"]), seconds(match["length"]), float(match["factor"]), every)
    except ValueError as error:
        raise UsageError(
            f"--burst {text}: {error}; write AFTER+LENGTH*FACTOR as in 20s+60s*5, "
            "or with /EVERY as in 20s+10s*5/2m"
        ) from None
    if burst.every is not None and burst.every < burst.length:
        raise UsageError(f"--burst {text}: it would begin again before it ends")
    return burst


def read_scenario(content: Mapping[str, Any], seconds: Seconds, *, where: str) -> tuple[Phase, ...]:
    """Read the parsed TOML of a scenario file: a list ``phase`` of tables.

    Each has ``for`` (a duration) and ``rate``, and may have ``errors``, ``flood``, ``late``, ``late_by`` (a
    duration) and ``garbage``. Raises UsageError.
    """
    tables = content.get("phase")
    if not isinstance(tables, list) or not tables or set(content) != {"phase"}:
        raise UsageError(f"{where}: a scenario is a list of [[phase]] tables, and nothing else")
    phases = []
    for number, table in enumerate(tables, start=1):
        place = f"{where}: phase {number}"
        unknown = set(table) - {"name", "for", "rate", "errors", "flood", "late", "late_by", "garbage"}
        if unknown:
            raise UsageError(f"{place}: there is no {sorted(unknown)[0]!r} in a phase")
        try:
            shares = {name: float(table.get(name, 0)) for name in ("errors", "flood", "late", "garbage")}
            phase = Phase(
                seconds=seconds(table["for"]),
                rate=float(table["rate"]),
                late_by=seconds(table.get("late_by", "30s")),
                **shares,
            )
        except KeyError as error:
            raise UsageError(f"{place}: {error.args[0]!r} is missing") from None
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place}: {error}") from None
        if phase.rate < 0 or min(shares.values()) < 0 or sum(shares.values()) > 1:
            raise UsageError(
                f"{place}: shares lie between 0 and 1, also together, and a rate is not negative"
            )
        phases.append(phase)
    return tuple(phases)
