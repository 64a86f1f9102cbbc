"""Guards `httpmon tail` on a real engine: its numbers add up to the hits, and a tick is one request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from engine.errors import NotProvisioned
from provisioning.settings import Settings
from reading.console import acknowledge, read_tick
from reading.tick import Question
from tests.node.counting_proxy import CountingProxy
from tests.node.tail_indices import Hit, alert_operations, make_indices, send
from tests.node.tail_indices import summarise as write_summaries

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def traffic() -> list[Hit]:
    """Ten minutes of hits whose numbers differ by bucket, section and client."""
    return [
        Hit(
            START + timedelta(seconds=second),
            f"/s{(second * 3 + index) % 13}",
            (200, 304, 404, 500)[(second + index) % 4],
            second + index,
            f"192.0.2.{index}",
        )
        for second in range(600)
        for index in range(second % 7)
    ]


@pytest.fixture
def indices(engine: Engine, settings: Settings) -> None:
    make_indices(engine, settings.names)


def summarise(engine: Engine, settings: Settings, hits: list[Hit]) -> None:
    write_summaries(engine, settings.names, hits)


def seconds(hits: list[Hit], start: float, end: float) -> list[Hit]:
    """The hits between two seconds of the test's ten minutes."""
    return [hit for hit in hits if start <= (hit.time - START).total_seconds() < end]


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
    now = seconds(hits, 240, 300)
    assert tick.hits == len(now)
    assert {name: shown.hits for name, shown in tick.sections} == Counter(hit.section for hit in now)
    assert dict(tick.top["clients"]) == Counter(hit.client for hit in now)


def test_every_section_is_exact_when_there_are_many(
    engine: Engine, settings: Settings, indices: None
) -> None:
    # More sections than --top by far, over several segments: each segment's own order must not matter.
    for part in range(5):
        summarise(
            engine,
            settings,
            [Hit(START + timedelta(seconds=part * 10 + index % 10), f"/x{index}") for index in range(300)]
            * (part + 1),
        )
    question = Question(end=START + timedelta(seconds=50), top=3)
    tick = read_tick(engine, settings.names, question)
    assert [shown for _, shown in tick.sections] == [
        replace(tick.sections[0][1], hits=5, bytes=500, window_hits=15, overall_hits=15)
    ] * 3
    assert tick.other_sections == 297
    assert tick.others.hits == 5 * 297


def test_sections_are_sorted_and_filtered_before_the_cut(
    engine: Engine, settings: Settings, indices: None
) -> None:
    hits = traffic()
    summarise(engine, settings, hits)
    end = START + timedelta(seconds=400)
    now = seconds(hits, 390, 400)
    failed = Counter(hit.section for hit in now if hit.status == 500)
    tick = read_tick(engine, settings.names, Question(end=end, top=2, sort="5xx"))
    assert [shown.status_5xx for _, shown in tick.sections] == [count for _, count in failed.most_common(2)]
    tick = read_tick(engine, settings.names, Question(end=end, top=20, matching="S1", sort="overall"))
    assert {name for name, _ in tick.sections} == {"/s1", "/s10", "/s11", "/s12"}
    assert tick.total.hits == len(now)
    assert read_tick(engine, settings.names, Question(end=end, matching="s*")).sections == ()


def test_overall_numbers_are_sums_over_the_tiers(engine: Engine, settings: Settings, indices: None) -> None:
    names = settings.names
    end = START + timedelta(hours=5, minutes=30)
    hours = [START + timedelta(hours=hour) for hour in range(5)]
    # Each hour has 100 hits; the buckets of the first two have expired, so only the hourly tier knows them.
    write_summaries(engine, names, [Hit(hour, "/a") for hour in hours[2:] for _ in range(100)])
    write_summaries(engine, names, [Hit(end - timedelta(seconds=5), "/a")] * 7)
    operations: list[dict[str, Any]] = []
    for hour in hours:
        for stem, summary in (
            ("sections_hourly", {"section": "/a", "hits": 100}),
            ("traffic_hourly", {"hits": 100, "bytes": 10_000}),
        ):
            operations.append({"index": {"_index": f"{names.of(stem)}-000001"}})
            operations.append({"@timestamp": hour.isoformat(), "httpmon": summary})
    send(engine, operations)
    tick = read_tick(engine, names, Question(end=end))
    assert tick.sections[0][1].overall_hits == tick.total.overall_hits == 507
    assert (tick.overall_hits, tick.overall_bytes) == (507, 50_700)
    assert tick.hits == tick.window_hits == 7


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
        time = START + timedelta(seconds=60 * sequence)
        operations += alert_operations(settings.names, sequence, action, time, START)
    send(engine, operations)
    tick = read_tick(engine, settings.names, Question(end=START, alerts=3))
    assert [alert.message for alert in tick.alerts] == ["message 2", "message 3", "message 4"]
    assert [alert.action for alert in tick.open_alerts] == ["renotified"]
    assert acknowledge(engine, settings.names, tick.open_alerts[0], reason="on it")
    assert not acknowledge(engine, settings.names, tick.open_alerts[0]), "only the first is kept"
    tick = read_tick(engine, settings.names, Question(end=START, alerts=3))
    assert tick.operations.acknowledged(tick.open_alerts[0]).reason == "on it"
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
    kinds = ("event", "pipeline_error", "enrichment")
    for second, kind in ((1, "event"), (2, "pipeline_error"), *zip((13, 14, 15), kinds, strict=True)):
        operations.append({"create": {"_index": settings.names.raw}})
        time = START + timedelta(seconds=second)
        operations.append({"@timestamp": time.isoformat(), "event": {"kind": kind}})
    send(engine, operations)
    tick = read_tick(engine, settings.names, Question(end=START + timedelta(seconds=10)))
    assert (tick.unparsed, tick.unparsed_now, tick.headers) == (2, 1, 1)
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
