"""Guards late lines where Elasticsearch executes the transforms: they change their own bucket and no other.

Its executor recomputes what lies between the begin of the first changed bucket and the begin of the bucket
after the last one, the first millisecond of that bucket included. So there groups are told by a date that is
never at a boundary: rendered for Elasticsearch, run here by the scheduler.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.client import Engine
from provisioning.retention import Retention
from provisioning.settings import Settings
from scheduler.transforms.control import control_of
from scheduler.transforms.reconcile import reconcile
from scheduler.transforms.service import TransformService
from tests.node.access_log import flat
from tests.node.summaries import (
    QuickClock,
    install_summaries,
    log_line,
    send_lines,
    settle,
    settle_tiers,
    summaries,
)

pytestmark = pytest.mark.node

HOUR = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BUCKET_SECONDS, HOUR_SECONDS = 10, 3600
# Around the boundaries of buckets, minutes, hours and a day, in seconds.
TIMES = [
    HOUR + timedelta(seconds=at) for at in (-1, 0, 1, 9, 10, 11, 19, 59, 60, 3599, 3600, 3610, 43199, 43200)
]


@pytest.fixture
def for_elasticsearch(engine: Engine, settings: Settings) -> Settings:
    settings = settings.model_copy(update={"executor": "scheduler"})
    install_summaries(engine, settings, capabilities=replace(engine.capabilities(), transforms=True))
    return settings


def begin(time: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(time.timestamp() // seconds * seconds, UTC)


def hits(documents: Iterable[dict[str, Any]]) -> dict[datetime, int]:
    return {datetime.fromisoformat(one["@timestamp"]): one["httpmon"]["hits"] for one in documents}


def recomputed(engine: Engine, index: str, first: datetime, after: datetime) -> set[datetime]:
    """The dates of the documents that Elasticsearch reads again where the buckets up to ``after`` changed."""
    bounds = {"gte": first.isoformat(), "lte": after.isoformat()}
    query = {"size": 1000, "query": {"range": {"httpmon.bucket_middle": bounds}}}
    found = engine.request("POST", f"/{index}/_search", body=query)["hits"]["hits"]
    return {datetime.fromisoformat(hit["_source"]["@timestamp"]) for hit in found}


def test_what_is_recomputed_is_whole_buckets(engine: Engine, for_elasticsearch: Settings) -> None:
    names = for_elasticsearch.names
    service = TransformService(engine, names, monotonic=QuickClock())
    for sent in (0, len(TIMES)):
        # The second time all are late: each bucket is computed again.
        send_lines(engine, for_elasticsearch, [log_line(time) for time in TIMES], first=sent)
        settle_tiers(engine, for_elasticsearch, service)

    buckets = Counter(begin(time, BUCKET_SECONDS) for time in TIMES)
    hours = Counter(begin(time, HOUR_SECONDS) for time in TIMES)
    twice = {time: 2 * number for time, number in buckets.items()}
    assert hits(summaries(engine, names.traffic)) == twice
    assert hits(summaries(engine, names.sections)) == twice
    hourly = {time: 2 * number for time, number in hours.items()}
    assert hits(summaries(engine, names.of("traffic_hourly"))) == hourly
    assert hits(summaries(engine, names.of("sections_hourly"))) == hourly
    control = control_of(engine, for_elasticsearch, native=False)
    audit = reconcile(engine, control, Retention(), TIMES[0], TIMES[-1] + timedelta(hours=1))
    assert (audit.groups, audit.differing) == (2 * len(buckets) + 2 * len(hours), 0)
    for bucket in buckets:
        read = recomputed(engine, names.raw, bucket, bucket + timedelta(seconds=BUCKET_SECONDS))
        assert read == {time for time in TIMES if begin(time, BUCKET_SECONDS) == bucket}
    for hour in hours:
        read = recomputed(engine, names.traffic, hour, hour + timedelta(seconds=HOUR_SECONDS))
        assert read == {bucket for bucket in buckets if begin(bucket, HOUR_SECONDS) == hour}


def test_the_middle_of_a_bucket_is_told_whatever_form_a_date_has(
    engine: Engine, for_elasticsearch: Settings
) -> None:
    common = '192.0.2.1 - - [{}] "GET / HTTP/1.1" 200 5'
    lines = {
        common.format("01/Mar/2026:12:00:00 +0530"): "2026-03-01T06:30:05Z",
        common.format("01/Mar/2026:12:00:09 +0000"): "2026-03-01T12:00:05Z",
        common.format("31/Dec/2016:23:59:60 +0000"): "2016-12-31T23:59:55Z",
        json.dumps({"time": "2026-03-01T12:00:19.999999Z", "request": "GET / HTTP/1.1", "status": 200}): (
            "2026-03-01T12:00:15Z"
        ),
        json.dumps(
            {"time": 1772366409.5, "request": "GET / HTTP/1.1", "status": 200}
        ): "2026-03-01T12:00:05Z",
    }
    send_lines(engine, for_elasticsearch, list(lines))
    found = engine.request("POST", f"/{for_elasticsearch.names.raw}/_search", body={"size": 10})["hits"][
        "hits"
    ]
    told = {
        flat(hit["_source"])["event.original"]: hit["_source"]["httpmon"]["bucket_middle"] for hit in found
    }
    assert told == lines


def test_the_scheduler_alone_needs_no_such_date(engine: Engine, settings: Settings) -> None:
    if engine.capabilities().transforms:
        pytest.skip("this engine has transforms of its own")
    install_summaries(engine, settings)
    send_lines(engine, settings, [log_line(HOUR)])
    settle(engine, TransformService(engine, settings.names, monotonic=QuickClock()))
    for index in (settings.names.raw, settings.names.traffic):
        (document,) = summaries(engine, index)
        assert "bucket_middle" not in document["httpmon"]
