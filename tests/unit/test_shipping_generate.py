"""Promise: generated traffic is what was asked for: how much, when, of which kind; one seed, one traffic."""

from __future__ import annotations

import re
import tomllib
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from provisioning.settings import duration_seconds
from shipping.generate import generate
from shipping.scenario import Burst, Phase, Tick, parse_burst, read_scenario, ticks
from shipping.traffic import TrafficGenerator

COMBINED = re.compile(
    rb"(\S+) - \S+ \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) \+0000\] "
    rb'"([A-Z]+) (/\S*) HTTP/1\.1" (\d{3}) (?:\d+|-) '
    rb'"[^"]+" "[^"]+"'
)


def generated(phases: tuple[Phase, ...], *, seed: int = 1, **options: Any) -> list[bytes]:
    parts: list[bytes] = []
    defaults: dict[str, Any] = {"start_epoch": 1_700_000_000.0, "wait": False, "stop": Event()}
    count = generate(ticks(phases), TrafficGenerator(seed), parts.append, **(defaults | options))
    lines = b"".join(parts).split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == count
    return lines


@given(rate=st.floats(0, 500), seconds=st.integers(0, 20))
def test_as_many_lines_as_the_rate_says(rate: float, seconds: int) -> None:
    total = sum(tick.count for tick in ticks((Phase(float(seconds), rate),)))
    assert abs(total - rate * seconds) <= 1


def test_a_burst_multiplies_the_rate_while_it_lasts() -> None:
    counts = [0] * 60
    for tick in ticks((Phase(60.0, 10),), (parse_burst("5s+10s*5/30s", duration_seconds),)):
        counts[int(tick.second)] += tick.count
    assert counts == [50 if 5 <= second % 30 < 15 else 10 for second in range(60)]


@pytest.mark.parametrize(
    ("text", "burst"),
    [
        ("20s+60s*5", Burst(20, 60, 5)),
        ("0s+500ms*2.5", Burst(0, 0.5, 2.5)),
        ("20s+10s*5/2m", Burst(20, 10, 5, 120)),
    ],
)
def test_bursts_are_read(text: str, burst: Burst) -> None:
    assert parse_burst(text, duration_seconds) == burst


@pytest.mark.parametrize("text", ["", "20s", "20s+60s", "20+60s*5", "20s+60s*x", "0s+10s*2/5s"])
def test_what_is_no_burst_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--burst {text}: ")):
        parse_burst(text, duration_seconds)


def test_each_line_is_in_the_combined_format_and_of_its_second() -> None:
    lines = generated((Phase(3.0, 100),))
    assert len(lines) == 300
    for number, line in enumerate(lines):
        match = COMBINED.fullmatch(line)
        assert match, line
        assert match[2].endswith(b"22:13:%02d" % (20 + number // 100))


def test_the_same_seed_makes_the_same_lines() -> None:
    phases = (Phase(2.0, 100, errors=0.2, flood=0.1, late=0.1, garbage=0.1),)
    assert generated(phases, seed=7) == generated(phases, seed=7)
    assert generated(phases, seed=7) != generated(phases, seed=8)


def test_shares_come_out_even_at_a_low_rate() -> None:
    lines = generated((Phase(50.0, 20, errors=0.3, flood=0.2, late=0.1, garbage=0.05),))
    matches = [COMBINED.fullmatch(line) for line in lines]
    hits = [match for match in matches if match]
    # A line that found no room in the last tick is still to come.
    assert len(lines) - len(hits) in (49, 50)
    clients = [match[1] for match in hits if match[4] == b"/login"]
    assert max(clients.count(client) for client in set(clients)) >= 199
    assert sum(match[5].startswith(b"5") for match in hits) >= 299
    # The first late lines are of 30 s before the start, 22:12:50.
    assert sum(match[2].endswith(b"22:12:50") for match in hits) in (1, 2)


def test_it_ends_after_so_many_lines() -> None:
    assert len(generated((Phase(None, 1000),), max_lines=123)) == 123


def test_it_ends_when_told_to() -> None:
    stop = Event()

    def write(_: bytes) -> None:
        stop.set()

    schedule = iter([Tick(0.0, 5, Phase(None, 5)), Tick(1000.0, 5, Phase(None, 5))])
    assert generate(schedule, TrafficGenerator(1), write, start_epoch=0, wait=True, stop=stop) == 5


def test_a_scenario_is_read() -> None:
    content = tomllib.loads('[[phase]]\nfor = "1m"\nrate = 20\nlate = 0.1\nlate_by = "5s"\n')
    assert read_scenario(content, duration_seconds, where="x") == (Phase(60, 20, late=0.1, late_by=5),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a list of [[phase]] tables"),
        ("[[phase]]\nrate = 1", "phase 1: 'for' is missing"),
        ('[[phase]]\nfor = "1m"\nrate = 1\nspeed = 2', "there is no 'speed' in a phase"),
        ('[[phase]]\nfor = "1m"\nrate = 1\nlate = 0.6\nerrors = 0.6', "shares lie between 0 and 1"),
        ('[[phase]]\nfor = "soon"\nrate = 1', "'soon' is no duration"),
    ],
)
def test_a_scenario_that_cannot_be_used_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        read_scenario(tomllib.loads(text), duration_seconds, where="storm.toml")
