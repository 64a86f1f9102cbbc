"""Guards the JSON of `httpmon tail`: each field is documented, and none goes missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reading.rule import TrafficRule
from reading.tick_json import tick_object
from tests.unit.ticks import NOW, busy_tick, empty_tick

PAGE = Path(__file__).parents[2] / "docs" / "tail.md"


def names_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(names_of(child) for child in value.values()))
    if isinstance(value, list):
        return set().union(*(names_of(child) for child in value))
    return set()


def test_each_field_is_documented() -> None:
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", PAGE.read_text()))))
    assert names_of(tick_object(busy_tick(), TrafficRule(), now=NOW)) <= documented


def test_a_busy_tick() -> None:
    shown = tick_object(busy_tick(), TrafficRule(), now=NOW)
    assert shown["interval"] == {
        "start": "2026-03-01T12:00:00Z",
        "end": "2026-03-01T12:00:10Z",
        "seconds": 10,
    }
    assert shown["traffic"]["window"] == {"seconds": 120, "hits": 1200, "hits_per_second": 10.0}
    assert shown["sections"][0] == {
        "section": "/pages",
        "hits": 120,
        "share": 0.9375,
        "window_hits": 1100,
        "window_hits_per_second": 1100 / 120,
        "status_4xx": 7,
        "status_5xx": 1,
        "bytes": 1_234_567,
        "overall_hits": 20_000,
    }
    assert shown["others"]["sections"] == 2
    assert [alert["action"] for alert in shown["alerts"]] == ["recovered", "triggered"]
    assert shown["freshness"] == {
        "read_at": "2026-03-01T12:00:18.200000Z",
        "newest_summary": "2026-03-01T12:00:00Z",
        "age_seconds": 8.2,
        "newest_hit": "2026-03-01T12:00:15Z",
    }


def test_an_empty_tick_has_the_same_fields() -> None:
    shown = tick_object(empty_tick(), TrafficRule(), now=NOW)
    assert set(shown) == set(tick_object(busy_tick(), TrafficRule(), now=NOW))
    assert shown["freshness"]["age_seconds"] is None
    assert shown["total"]["share"] == 0.0


def test_text_of_the_log_is_escaped() -> None:
    line = json.dumps(tick_object(busy_tick(), TrafficRule(), now=NOW))
    assert line.isprintable()
    assert line.isascii()
