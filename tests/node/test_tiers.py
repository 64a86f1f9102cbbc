"""Guards the tiers: hours hold what 10 s buckets hold, and overall numbers never fall when data expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import EngineSettings, RetentionSettings, Settings
from scheduler.transforms.service import TransformService
from tests.node.summaries import (
    QuickClock,
    install_summaries,
    log_line,
    send_lines,
    settle_tiers,
    summaries,
    totals,
)

pytestmark = pytest.mark.node


@pytest.fixture
def expiring(engine: Engine, engine_url: str, namespace: str) -> Settings:
    """An installation that keeps raw documents for 4 h, so that lines are late after 3 h."""
    settings = Settings(
        namespace=namespace,
        engine=EngineSettings(url=engine_url),
        retention=RetentionSettings(raw="4h", summaries="6h"),
    )
    install_summaries(engine, settings)
    return settings


def hours(engine: Engine, settings: Settings, stem: str) -> list[dict[str, Any]]:
    return summaries(engine, settings.names.of(f"{stem}_hourly"))


def test_hours_are_the_sums_of_their_buckets(engine: Engine, settings: Settings) -> None:
    install_summaries(engine, settings)
    start = datetime(2026, 3, 1, 12, 59, 50, tzinfo=UTC)
    lines = [
        log_line(start + timedelta(seconds=second), f"/{second % 3}", status=200 + 100 * (second % 4))
        for second in range(40)
    ]
    send_lines(engine, settings, lines)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle_tiers(engine, settings, service)

    traffic = [(one["@timestamp"], one["httpmon"]) for one in hours(engine, settings, "traffic")]
    assert traffic == [
        (
            "2026-03-01T12:00:00.000Z",
            {
                "hits": 10,
                "bytes": 1000,
                "peak": 10,
                "status": {"1xx": 0, "2xx": 3, "3xx": 3, "4xx": 2, "5xx": 2},
            },
        ),
        (
            "2026-03-01T13:00:00.000Z",
            {
                "hits": 30,
                "bytes": 3000,
                "peak": 10,
                "status": {"1xx": 0, "2xx": 7, "3xx": 7, "4xx": 8, "5xx": 8},
            },
        ),
    ]
    assert totals(hours(engine, settings, "sections")) == {"documents": 6, "hits": 40, "bytes": 4000}


def test_a_line_that_comes_after_its_bucket_expired_only_adds(engine: Engine, expiring: Settings) -> None:
    """The raw documents of an old bucket are gone; a bucket computed anew from what is left would fall."""
    now = engine.now()
    in_time, late = now - timedelta(hours=2), now - timedelta(hours=5)
    service = TransformService(engine, expiring.names, monotonic=QuickClock())
    send_lines(engine, expiring, [log_line(in_time, "/a")] * 5 + [log_line(late, "/a")] * 3)
    settle_tiers(engine, expiring, service)
    everything = {"query": {"match_all": {}}}
    engine.request("POST", f"/{expiring.names.raw}/_delete_by_query?refresh=true", body=everything)
    # Another span of arrival would make a document of its own; within the span raw documents are still there.
    send_lines(engine, expiring, [log_line(late - timedelta(hours=1), "/a")] * 2, first=100)
    settle_tiers(engine, expiring, service)

    assert totals(summaries(engine, expiring.names.sections))["hits"] == 5
    assert totals(summaries(engine, expiring.names.traffic))["hits"] == 5
    for stem in ("sections", "traffic"):
        documents = hours(engine, expiring, stem)
        late_ones = [one for one in documents if "arrived" in one["httpmon"]]
        assert totals(documents)["hits"] == 10
        assert totals(late_ones)["hits"] == 5


def test_late_lines_of_one_day_add_up_though_the_first_expired(engine: Engine, expiring: Settings) -> None:
    """Raw documents are kept for hours: what came in the morning is gone when more comes in the evening."""
    late = engine.now() - timedelta(days=2)
    service = TransformService(engine, expiring.names, monotonic=QuickClock())
    send_lines(engine, expiring, [log_line(late, "/a")] * 3)
    earlier = (engine.now() - timedelta(hours=5)).isoformat()
    script = {"source": "ctx._source.event.ingested = params.at", "params": {"at": earlier}}
    path = f"/{expiring.names.raw}/_update_by_query"
    engine.request("POST", path, body={"script": script}, params={"refresh": True, "pipeline": "_none"})
    settle_tiers(engine, expiring, service)
    everything = {"query": {"match_all": {}}}
    engine.request("POST", f"/{expiring.names.raw}/_delete_by_query?refresh=true", body=everything)
    send_lines(engine, expiring, [log_line(late, "/a")] * 2, first=100)
    settle_tiers(engine, expiring, service)

    for stem in ("sections", "traffic"):
        assert totals(hours(engine, expiring, stem)) == {"documents": 2, "hits": 5, "bytes": 500}


def test_hours_stay_when_their_buckets_expire(engine: Engine, expiring: Settings) -> None:
    now = engine.now()
    service = TransformService(engine, expiring.names, monotonic=QuickClock())
    send_lines(engine, expiring, [log_line(now - timedelta(hours=1), "/a")] * 4)
    settle_tiers(engine, expiring, service)
    # As the policy leaves it later: the buckets are gone.
    everything = {"query": {"match_all": {}}}
    engine.request("POST", f"/{expiring.names.traffic}/_delete_by_query?refresh=true", body=everything)
    send_lines(engine, expiring, [log_line(now, "/a")], first=10)
    settle_tiers(engine, expiring, service)

    assert totals(hours(engine, expiring, "traffic"))["hits"] == 5


def test_without_retention_no_line_is_late(engine: Engine, settings: Settings) -> None:
    install_summaries(engine, settings)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    send_lines(engine, settings, [log_line(datetime(2001, 1, 1, tzinfo=UTC), "/a")])
    settle_tiers(engine, settings, service)

    assert totals(summaries(engine, settings.names.traffic))["hits"] == 1
    assert ["arrived" in one["httpmon"] for one in hours(engine, settings, "traffic")] == [False]
