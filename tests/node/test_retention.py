"""Guards real expiry on a real engine: what is too old goes, what is not seen stays, and no total falls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from engine.client import Engine
from provisioning.installation import plan_installation, provision
from provisioning.settings import EngineSettings, RetentionSettings, Settings, SummarySettings
from reading.buckets import last_complete_end
from reading.console import read_tick
from reading.tick import Question
from scheduler.retention import RetentionService
from scheduler.transforms.service import TransformService
from tests.node.summaries import QuickClock, log_line, send_lines, settle

pytestmark = pytest.mark.node

RETENTION = RetentionSettings(raw="4h", summaries="6h", hourly="30d", alerts="10d", dead="5d")


@pytest.fixture
def expiring(engine: Engine, engine_url: str, namespace: str) -> Settings:
    settings = Settings(
        namespace=namespace,
        engine=EngineSettings(url=engine_url),
        retention=RETENTION,
        summaries=SummarySettings(delay="200ms", refresh_interval="100ms"),
    )
    provision(engine, settings)
    return settings


@pytest.fixture
def service(engine: Engine, expiring: Settings) -> Iterator[TransformService]:
    service = TransformService(engine, expiring.names, monotonic=QuickClock())
    yield service
    service.close()


def summarise(engine: Engine, settings: Settings, service: TransformService) -> None:
    for _ in range(2):  # the buckets, then the hours made of them
        settle(engine, service, ticks=20_000)
        engine.request("POST", f"/{settings.names.prefix}-*/_refresh")


def overall(engine: Engine, settings: Settings) -> int:
    engine.request("POST", f"/{settings.names.prefix}-*/_refresh")
    question = Question(end=last_complete_end(engine.now(), 10, 8.0))
    return read_tick(engine, settings.names, question).overall_hits


def count(engine: Engine, index: str, query: dict[str, Any] | None = None) -> int:
    engine.request("POST", f"/{index}/_refresh")
    body = {"query": query or {"match_all": {}}}
    return int(engine.request("POST", f"/{index}/_count", body=body)["count"])


def keep_buckets_for(engine: Engine, settings: Settings, max_age: str) -> None:
    """Shorten the retention of 10 s summaries below what settings allow, so that a test need not wait."""
    for alias in (settings.names.sections, settings.names.traffic):
        path = f"/{settings.names.transform_store}/_update/{alias}-000001"
        change = {"body": {"retention_policy": {"time": {"max_age": max_age}}}}
        engine.request("POST", path, body={"doc": change}, params={"refresh": "true"})


def test_totals_stay_when_raw_documents_and_buckets_expire(
    engine: Engine, expiring: Settings, service: TransformService
) -> None:
    names = expiring.names
    now = engine.now()
    lines = [log_line(now - timedelta(hours=6, seconds=n), f"/{n % 3}") for n in range(40)]
    late = [log_line(now - timedelta(days=400, seconds=n), "/old") for n in range(7)]
    send_lines(engine, expiring, lines + late)
    summarise(engine, expiring, service)
    uppers = list(service.uppers().values())
    retention = RetentionService(engine, names)
    assert overall(engine, expiring) == 47

    assert retention.turn(uppers, now) == []
    done = retention.turn(uppers, now + timedelta(hours=2))
    assert [line.split(" goes on")[0] for line in done] == [names.raw]
    assert retention.turn(uppers, now + timedelta(hours=2)) == [], "an empty index is the newest one already"
    send_lines(engine, expiring, [log_line(now - timedelta(minutes=330), "/1")] * 5, first=100)
    later = now + timedelta(hours=5)
    not_seen = [*uppers[1:], now - timedelta(days=1)]
    assert [line for line in retention.turn(not_seen, later) if line.startswith("removed")] == []
    assert count(engine, names.raw) == 52
    summarise(engine, expiring, service)
    assert overall(engine, expiring) == 52

    removed = retention.turn(list(service.uppers().values()), later)
    assert [line.split(":")[0][-6:] for line in removed] == ["000001", "000002"]
    assert count(engine, names.raw) == 0
    assert overall(engine, expiring) == 52

    # Another line of an hour whose raw documents are gone; then the buckets themselves go.
    send_lines(engine, expiring, [log_line(now - timedelta(seconds=30), "/2")], first=200)
    summarise(engine, expiring, service)
    keep_buckets_for(engine, expiring, "4h")
    summarise(engine, expiring, service)
    assert count(engine, names.traffic) == 1
    assert overall(engine, expiring) == 53


def test_old_alert_documents_go_and_young_ones_stay(
    engine: Engine, expiring: Settings, service: TransformService
) -> None:
    names = expiring.names
    for age in (9, 11, 400):
        alert = {"@timestamp": (engine.now() - timedelta(days=age)).isoformat(), "rule": {"id": str(age)}}
        engine.request("PUT", f"/{names.alerts}/_doc/{age}", body=alert, params={"refresh": "true"})
    settle(engine, service, ticks=20_000)
    assert count(engine, names.alerts) == 1
    assert count(engine, names.alerts, {"term": {"rule.id": "9"}}) == 1


def test_another_retention_is_followed_in_place(engine: Engine, expiring: Settings) -> None:
    names = expiring.names
    before = set(engine.request("GET", f"/{names.raw}"))
    longer = expiring.model_copy(
        update={"retention": RETENTION.model_copy(update={"dead": "9d", "alerts": "20d"})}
    )
    steps = {
        (step.kind, step.name): step.action
        for step in plan_installation(engine, longer).steps
        if step.action != "unchanged"
    }
    expiry = names.of("alerts_expiry")
    assert steps == {("index_template", names.of("dead")): "update", ("transform", expiry): "update"}
    provision(engine, longer)
    assert {step.action for step in plan_installation(engine, longer).steps} == {"unchanged"}
    assert set(engine.request("GET", f"/{names.raw}")) == before
    with_refresh = longer.model_copy(update={"summaries": SummarySettings(refresh_interval="300ms")})
    provision(engine, with_refresh)
    settings = engine.request("GET", f"/{names.raw}")
    assert set(settings) == before, "a new index would let lines that are sent again be stored twice"
    assert {one["settings"]["index"]["refresh_interval"] for one in settings.values()} == {"300ms"}
