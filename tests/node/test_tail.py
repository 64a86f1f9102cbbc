"""Guards `httpmon tail` on a real engine: its numbers add up to the hits, and a tick is one request."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from engine.errors import NotProvisioned
from provisioning.settings import Settings
from reading.buckets import floor_time
from reading.console import read_tick
from reading.tick import Question
from tests.node.counting_proxy import CountingProxy

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Hit:
    second: float
    section: str
    status: int = 200
    size: int = 100
    client: str = "192.0.2.1"

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.second)


def traffic() -> list[Hit]:
    """Ten minutes of hits whose numbers differ by bucket, section and client."""
    return [
        Hit(
            second,
            f"/s{(second * 3 + index) % 13}",
            (200, 304, 404, 500)[(second + index) % 4],
            second + index,
            f"192.0.2.{index}",
        )
        for second in range(600)
        for index in range(second % 7)
    ]


SECTIONS_MAPPING = {
    "@timestamp": {"type": "date"},
    "httpmon.section": {"type": "keyword"},
    "httpmon.hits": {"type": "long"},
    "httpmon.bytes": {"type": "long"},
}
TRAFFIC_MAPPING = {
    "@timestamp": {"type": "date"},
    "httpmon.hits": {"type": "long"},
    "httpmon.bytes": {"type": "long"},
    "httpmon.top": {"type": "object", "enabled": False},
}
ALERTS_MAPPING = {
    "@timestamp": {"type": "date"},
    "event.kind": {"type": "keyword"},
    "event.action": {"type": "keyword"},
    "rule.id": {"type": "keyword"},
    "httpmon.alert.seq": {"type": "long"},
}


@pytest.fixture
def indices(engine: Engine, settings: Settings) -> None:
    names = settings.names
    for alias, properties in (
        (names.sections, SECTIONS_MAPPING),
        (names.traffic, TRAFFIC_MAPPING),
        (names.alerts, ALERTS_MAPPING),
    ):
        engine.request(
            "PUT",
            f"/{alias}-000001",
            body={
                "settings": {"number_of_shards": 1, "number_of_replicas": 0},
                "mappings": {"properties": properties},
                "aliases": {alias: {}},
            },
        )


def summarise(engine: Engine, settings: Settings, hits: list[Hit]) -> None:
    """Write the summaries of hits as the transforms would, by plain counting."""
    by_section: dict[tuple[datetime, str], list[Hit]] = defaultdict(list)
    by_bucket: dict[datetime, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_section[floor_time(hit.time, 10), hit.section].append(hit)
        by_bucket[floor_time(hit.time, 10)].append(hit)
    operations: list[dict[str, Any]] = []
    for (bucket, section), part in by_section.items():
        operations.append({"index": {"_index": f"{settings.names.sections}-000001"}})
        operations.append({"@timestamp": bucket.isoformat(), "httpmon": {"section": section, **counts(part)}})
    for bucket, part in by_bucket.items():
        clients = Counter(hit.client for hit in part)
        operations.append({"index": {"_index": f"{settings.names.traffic}-000001"}})
        top = {"clients": clients, "paths": {}, "agents": {}}
        operations.append(
            {
                "@timestamp": bucket.isoformat(),
                "httpmon": {**counts(part), "clients": len(clients), "top": top},
            }
        )
    send(engine, operations)


def send(engine: Engine, operations: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(operation) + "\n" for operation in operations)
    answer = engine.bulk(body.encode(), params={"refresh": True})
    assert not answer["errors"], answer


def counts(hits: list[Hit]) -> dict[str, Any]:
    return {
        "hits": len(hits),
        "bytes": sum(hit.size for hit in hits),
        "status": dict(Counter(f"{hit.status // 100}xx" for hit in hits)),
    }


@pytest.fixture
def proxy(engine_url: str) -> Iterator[CountingProxy]:
    with CountingProxy(engine_url) as running:
        yield running


def test_the_numbers_are_those_of_plain_counting(engine: Engine, settings: Settings, indices: None) -> None:
    hits = traffic()
    summarise(engine, settings, hits)
    question = Question(end=START + timedelta(seconds=400), window_seconds=120, top=4)
    tick = read_tick(engine, settings.names, question)

    before = [hit for hit in hits if hit.time < question.end]
    now = [hit for hit in before if hit.time >= question.start]
    window = [hit for hit in before if hit.time >= question.end - timedelta(seconds=120)]
    expected = sorted(Counter(hit.section for hit in now).items(), key=lambda item: (-item[1], item[0]))
    assert [(name, shown.hits) for name, shown in tick.sections] == sorted(
        [(name, shown.hits) for name, shown in tick.sections], key=lambda item: -item[1]
    )
    assert [shown.hits for _, shown in tick.sections] == [count for _, count in expected[:4]]
    for name, shown in tick.sections:
        mine = [hit for hit in now if hit.section == name]
        assert (shown.hits, shown.bytes) == (len(mine), sum(hit.size for hit in mine))
        assert shown.status_4xx == sum(hit.status == 404 for hit in mine)
        assert shown.status_5xx == sum(hit.status == 500 for hit in mine)
        assert shown.window_hits == sum(hit.section == name for hit in window)
        assert shown.overall_hits == sum(hit.section == name for hit in before)
    parts = [shown for _, shown in tick.sections] + [tick.others]
    assert sum(part.hits for part in parts) == tick.total.hits == tick.hits == len(now)
    assert sum(part.overall_hits for part in parts) == tick.overall_hits == len(before)
    assert sum(part.window_hits for part in parts) == tick.window_hits == len(window)
    assert tick.other_sections == len(expected) - 4
    assert tick.clients == len({hit.client for hit in now})
    assert sum(count for _, count in tick.top["clients"]) <= len(now)
    assert tick.top["clients"][0][1] == Counter(hit.client for hit in now).most_common(1)[0][1]
    assert sum(tick.status.values()) == len(now)
    assert sum(tick.history) == len(before)
    assert tick.newest_summary == START + timedelta(seconds=590)


def test_a_longer_interval_is_the_sum_of_its_buckets(
    engine: Engine, settings: Settings, indices: None
) -> None:
    hits = traffic()
    summarise(engine, settings, hits)
    question = Question(end=START + timedelta(seconds=300), seconds=60, top=100)
    tick = read_tick(engine, settings.names, question)
    now = [hit for hit in hits if 240 <= hit.second < 300]
    assert tick.hits == len(now)
    assert {name: shown.hits for name, shown in tick.sections} == Counter(hit.section for hit in now)
    assert dict(tick.top["clients"]) == Counter(hit.client for hit in now)


def test_every_section_is_exact_when_there_are_many(
    engine: Engine, settings: Settings, indices: None
) -> None:
    # More sections than --top by far, over several segments: each segment's own order must not matter.
    for part in range(5):
        summarise(
            engine, settings, [Hit(part * 10 + index % 10, f"/x{index}") for index in range(300)] * (part + 1)
        )
    question = Question(end=START + timedelta(seconds=50), top=3)
    tick = read_tick(engine, settings.names, question)
    assert [shown for _, shown in tick.sections] == [
        replace(tick.sections[0][1], hits=5, bytes=500, window_hits=15, overall_hits=15)
    ] * 3
    assert tick.other_sections == 297
    assert tick.others.hits == 5 * 297


def test_nothing_yet_is_zeros(engine: Engine, settings: Settings, indices: None) -> None:
    tick = read_tick(engine, settings.names, Question(end=START))
    assert tick.hits == tick.total.hits == tick.unparsed == 0
    assert tick.sections == tick.alerts == ()
    assert tick.newest_summary is None


def test_without_indices_it_names_the_command(engine: Engine, settings: Settings) -> None:
    with pytest.raises(NotProvisioned, match="httpmon provision"):
        read_tick(engine, settings.names, Question(end=START))


def test_alerts_stay_visible_and_open_ones_are_known(
    engine: Engine, settings: Settings, indices: None
) -> None:
    operations: list[dict[str, Any]] = []
    actions = ["triggered", "recovered", "triggered", "renotified"]
    for sequence, action in enumerate(actions, start=1):
        operations.append({"create": {"_index": f"{settings.names.alerts}-000001"}})
        operations.append(
            {
                "@timestamp": (START + timedelta(seconds=60 * sequence)).isoformat(),
                "event": {"kind": "alert", "action": action},
                "rule": {"id": "high-traffic", "name": "High traffic"},
                "message": f"message {sequence}",
                "httpmon": {"alert": {"seq": sequence, "started_at": START.isoformat(), "hits": 1266}},
            }
        )
    send(engine, operations)
    tick = read_tick(engine, settings.names, Question(end=START, alerts=3))
    assert [alert.message for alert in tick.alerts] == ["message 2", "message 3", "message 4"]
    assert [alert.action for alert in tick.open_alerts] == ["renotified"]
    past = read_tick(
        engine, settings.names, Question(end=START + timedelta(seconds=120), alerts=3, past=True)
    )
    assert [alert.message for alert in past.alerts] == ["message 1", "message 2"]
    assert past.open_alerts == ()


def test_unparsed_lines_and_the_newest_hit_come_from_the_raw_data(
    engine: Engine, settings: Settings, indices: None
) -> None:
    engine.request(
        "PUT",
        f"/_index_template/{settings.names.of('access')}",
        body={
            "index_patterns": [settings.names.raw],
            "data_stream": {},
            "priority": 200,
            "template": {
                "settings": {"number_of_replicas": 0},
                "mappings": {"properties": {"event.kind": {"type": "keyword"}}},
            },
        },
    )
    operations: list[dict[str, Any]] = []
    for second, kind in ((1, "event"), (2, "pipeline_error"), (13, "event"), (14, "pipeline_error")):
        operations.append({"create": {"_index": settings.names.raw}})
        time = START + timedelta(seconds=second)
        operations.append({"@timestamp": time.isoformat(), "event": {"kind": kind}})
    send(engine, operations)
    tick = read_tick(engine, settings.names, Question(end=START + timedelta(seconds=10)))
    assert (tick.unparsed, tick.unparsed_now) == (2, 1)
    assert tick.newest_hit == START + timedelta(seconds=13)


def test_a_tick_is_one_request(
    engine: Engine, settings: Settings, indices: None, proxy: CountingProxy
) -> None:
    summarise(engine, settings, traffic()[:50])
    with Engine(Connection(proxy.url)) as counted:
        read_tick(counted, settings.names, Question(end=START))
        proxy.requests.clear()
        read_tick(counted, settings.names, Question(end=START + timedelta(seconds=10)))
        assert proxy.requests == ["POST /_msearch"]
