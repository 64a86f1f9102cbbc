"""Ticks made by hand, for the tests of what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reading.alerts import Alert
from reading.operations import Operations
from reading.tick import STATUS_CLASSES, Question, SectionCounts, Tick

END = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
NOW = END + timedelta(seconds=8, milliseconds=200)


def empty_tick(question: Question | None = None) -> Tick:
    return Tick(
        question=question or Question(end=END),
        sections=(),
        others=SectionCounts(),
        other_sections=0,
        total=SectionCounts(),
        hits=0,
        bytes=0,
        status=dict.fromkeys(STATUS_CLASSES, 0),
        clients=None,
        window_hits=0,
        overall_hits=0,
        overall_bytes=0,
        history=(0,) * 60,
        top={"clients": (), "paths": (), "agents": ()},
        alerts=(),
        open_alerts=(),
        operations=Operations(),
        newest_summary=None,
        newest_hit=None,
        unparsed=0,
        unparsed_now=0,
    )


def alert(action: str, sequence: int, seconds_before_end: int, message: str) -> Alert:
    time = END - timedelta(seconds=seconds_before_end)
    recovered = action == "recovered"
    return Alert(
        time,
        action,
        "high-traffic",
        "High traffic",
        message,
        sequence=sequence,
        started_at=time - timedelta(seconds=90) if recovered else time,
        ended_at=time if recovered else None,
    )


def busy_tick() -> Tick:
    triggered = alert("triggered", 2, 130, "High traffic generated an alert - hits = 1,266")
    return Tick(
        question=Question(end=END, top=2),
        sections=(
            ("/pages", SectionCounts(120, 1_234_567, 7, 1, 1100, 20_000)),
            ("/\x1b[31mevil\u202e", SectionCounts(5, 900, 5, 0, 5, 5)),
        ),
        others=SectionCounts(3, 33, 0, 0, 95, 495),
        other_sections=2,
        total=SectionCounts(128, 1_235_500, 12, 1, 1200, 20_500),
        hits=128,
        bytes=1_235_500,
        status={"1xx": 0, "2xx": 110, "3xx": 5, "4xx": 12, "5xx": 1},
        clients=23,
        window_hits=1200,
        overall_hits=20_500,
        overall_bytes=99_999_999,
        history=(0,) * 48 + (100,) * 12,
        top={"clients": (("192.0.2.7", 100), ("198.51.100.9", 28)), "paths": (), "agents": ()},
        alerts=(alert("recovered", 1, 600, "recovered \x07"), triggered),
        open_alerts=(triggered,),
        operations=Operations(),
        newest_summary=END - timedelta(seconds=10),
        newest_hit=END + timedelta(seconds=5),
        unparsed=3,
        unparsed_now=1,
    )
