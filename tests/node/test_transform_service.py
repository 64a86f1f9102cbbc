"""Guards what the scheduler does with trouble: it is told, tried again, and holds no other transform up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from engine.client import Engine
from engine.connection import Connection
from engine.errors import EngineUnreachable
from provisioning.settings import Settings
from scheduler.transforms import checkpoint
from scheduler.transforms.service import TransformService
from scheduler.transforms.store import TransformStore
from tests.node.summaries import (
    QuickClock,
    define,
    log_line,
    send_lines,
    settle,
    summaries,
    totals,
)

pytestmark = pytest.mark.node

BUCKET = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class FaultyEngine(Engine):
    """Answers searches with an overload for a while."""

    faults = 0

    def msearch(self, *arguments: Any, **named: Any) -> Any:
        if self.faults > 0:
            self.faults -= 1
            raise EngineUnreachable("the engine answers 429: overloaded")
        return super().msearch(*arguments, **named)


def body_of(settings: Settings, source: str, destination: str, **more: Any) -> dict[str, Any]:
    return {
        "source": {"index": source},
        "dest": {"index": destination},
        "frequency": "1s",
        "sync": {"time": {"field": "event.ingested", "delay": "0s"}},
        "pivot": {
            "group_by": {"@timestamp": {"date_histogram": {"field": "@timestamp", "fixed_interval": "10s"}}},
            "aggregations": {"n": {"value_count": {"field": "@timestamp"}}},
        },
    } | more


def test_a_fault_is_told_and_tried_again_with_longer_and_longer_pauses(
    engine: Engine, installed: Settings
) -> None:
    clock = Clock()
    send_lines(engine, installed, [log_line(BUCKET, "/a")])
    with FaultyEngine(Connection(installed.engine.url)) as faulty:
        service = TransformService(faulty, installed.names, monotonic=clock)
        faulty.faults = 1000
        attempts: list[float] = []
        for _ in range(70):
            told = {one.identifier: one for one in service.tick()}
            sections = told.get(f"{installed.names.sections}-000001")
            if sections is not None:
                assert (sections.outcome, sections.reason) == (
                    "retrying",
                    "the engine answers 429: overloaded",
                )
                attempts.append(clock.seconds)
            clock.seconds += 1
        assert attempts == [0, 1, 3, 7, 15, 31, 63]
        state = TransformStore(engine, installed.names).load(f"{installed.names.sections}-000001").state
        assert state.reason == "the engine answers 429: overloaded"

        faulty.faults = 0
        clock.seconds += 60
        settle_with(clock, faulty, service)

    assert totals(summaries(engine, installed.names.sections))["hits"] == 1
    assert (
        TransformStore(engine, installed.names).load(f"{installed.names.sections}-000001").state.reason == ""
    )


def settle_with(clock: Clock, engine: Engine, service: TransformService) -> None:
    present = engine.now()
    for _ in range(200):
        service.tick()
        clock.seconds += 1
        if all(upper is not None and upper > present for upper in service.uppers().values()):
            return
    raise AssertionError(service.uppers())


class StrangeEngine(Engine):
    """Answers the searches of one transform with nothing that anybody foresaw."""

    def msearch(self, searches: Any, **named: Any) -> Any:
        asked = list(searches)
        if asked[0][0]["preference"].endswith("-strange"):
            return [{"aggregations": {}} for _ in asked]
        return super().msearch(asked, **named)


def test_what_nobody_foresaw_in_one_transform_holds_no_other_up(engine: Engine, installed: Settings) -> None:
    raw, prefix = installed.names.raw, installed.names.prefix
    define(engine, installed, f"{prefix}-a-strange", body_of(installed, raw, f"{prefix}-a"))
    send_lines(engine, installed, [log_line(BUCKET, "/a")])

    with StrangeEngine(Connection(installed.engine.url)) as strange:
        service = TransformService(strange, installed.names, monotonic=QuickClock())
        results = {one.identifier: one for _ in range(40) for one in service.tick()}

    told = results.pop(f"{prefix}-a-strange")
    assert (told.outcome, "KeyError" in told.reason) == ("retrying", True)
    assert {one.outcome for one in results.values()} <= {"checkpoint", "unchanged"}
    assert totals(summaries(engine, installed.names.sections))["hits"] == 1


def test_a_source_that_comes_later_is_waited_for(engine: Engine, installed: Settings) -> None:
    source, destination = installed.names.of("later"), installed.names.of("found")
    define(engine, installed, destination, body_of(installed, source, destination))
    service = TransformService(engine, installed.names, monotonic=QuickClock())
    send_lines(engine, installed, [log_line(BUCKET, "/a")])

    told = {one.identifier: one for one in service.tick()}[destination]
    assert told.outcome == "retrying"
    assert told.reason == f"transform {destination}: source.index: there is no index {source} yet"
    assert service.passed(destination) is None

    dates = {
        "@timestamp": {"type": "date"},
        "event": {"properties": {"ingested": {"type": "date"}}},
    }
    engine.request("PUT", f"/{source}", body={"mappings": {"properties": dates}})
    document = {"@timestamp": BUCKET.isoformat(), "event": {"ingested": engine.now().isoformat()}}
    engine.request("POST", f"/{source}/_doc", body=document, params={"refresh": "true"})
    settle(engine, service)

    passed = service.passed(destination)
    assert passed is not None
    assert passed > engine.now() - timedelta(seconds=60)
    assert [one["n"] for one in summaries(engine, destination)] == [1]


def test_whole_buckets_alone_are_written_where_the_sync_field_is_grouped(
    engine: Engine, installed: Settings
) -> None:
    destination = installed.names.of("aligned")
    sync = {"time": {"field": "@timestamp", "delay": "0s"}}
    define(engine, installed, destination, body_of(installed, installed.names.raw, destination, sync=sync))
    now = engine.now()
    send_lines(engine, installed, [log_line(now - timedelta(seconds=20)), log_line(now)])
    service = TransformService(engine, installed.names, monotonic=QuickClock())
    for _ in range(5):
        service.tick()

    state = TransformStore(engine, installed.names).load(destination).state
    assert state.upper is not None
    assert state.upper % 10_000 == 0
    ends = [
        datetime.fromisoformat(one["@timestamp"]) + timedelta(seconds=10)
        for one in summaries(engine, destination)
    ]
    assert ends
    assert max(ends) <= datetime.fromtimestamp(state.upper / 1000, UTC)


def test_documents_pass_the_pipeline_of_the_destination(engine: Engine, installed: Settings) -> None:
    destination = installed.names.of("piped")
    pipeline = installed.names.of("piped")
    processors = [{"set": {"field": "note", "value": "seen"}}]
    engine.request("PUT", f"/_ingest/pipeline/{pipeline}", body={"processors": processors})
    dest = {"index": destination, "pipeline": pipeline}
    define(engine, installed, destination, body_of(installed, installed.names.raw, destination, dest=dest))
    send_lines(engine, installed, [log_line(BUCKET)])
    settle(engine, TransformService(engine, installed.names, monotonic=QuickClock()))

    assert [one["note"] for one in summaries(engine, destination)] == ["seen"]


def test_a_limit_of_documents_a_second_makes_pauses(engine: Engine, installed: Settings) -> None:
    destination = installed.names.of("slow")
    pages = {"max_page_search_size": 10, "docs_per_second": 5}
    body = body_of(installed, installed.names.raw, destination) | {"settings": pages}
    define(engine, installed, destination, body)
    send_lines(engine, installed, [log_line(BUCKET + timedelta(seconds=10 * at)) for at in range(40)])
    clock = Clock()
    service = TransformService(engine, installed.names, monotonic=clock)

    pages_at: list[float] = []
    for _ in range(20):
        told = {one.identifier: one for one in service.tick()}.get(destination)
        if told is not None and told.documents:
            pages_at += [clock.seconds]
        clock.seconds += 1

    assert all(later - earlier >= 2 for earlier, later in pairwise(pages_at))
    assert totals_of(engine, destination) == 40


@pytest.mark.parametrize("many", [1, 1_000_000])
def test_catching_up_writes_what_changed_alone_however_many_lines_it_has(
    engine: Engine, installed: Settings, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Whole stretches of time are read, or the groups are named first: the same documents are written."""
    monkeypatch.setattr(checkpoint, "MANY_DOCUMENTS", many)
    destination = installed.names.of("caught")
    define(engine, installed, destination, body_of(installed, installed.names.raw, destination))
    buckets = [BUCKET + timedelta(seconds=10 * at) for at in range(7)]
    service = TransformService(engine, installed.names, monotonic=QuickClock())
    send_lines(engine, installed, [log_line(one) for one in buckets])
    settle(engine, service)
    store = TransformStore(engine, installed.names)
    before = store.load(destination).state.statistics.documents_indexed

    changed = [buckets[1], *[buckets[5]] * 5]
    send_lines(engine, installed, [log_line(one) for one in changed], first=len(buckets))
    settle(engine, service)

    assert [one["n"] for one in summaries(engine, destination)] == [1, 2, 1, 1, 1, 6, 1]
    assert store.load(destination).state.statistics.documents_indexed == before + 2


def totals_of(engine: Engine, destination: str) -> int:
    return sum(one["n"] for one in summaries(engine, destination))


def test_a_page_with_more_buckets_than_the_engine_makes_is_halved(
    engine: Engine, installed: Settings
) -> None:
    """1,000 groups of 80 ranges are more than the 65,535 buckets that a search may make."""
    destination = installed.names.of("wide")
    ranges = [{"from": number, "to": number + 1} for number in range(80)]
    pivot = {
        "group_by": {"path": {"terms": {"field": "url.path"}}},
        "aggregations": {
            "n": {"value_count": {"field": "@timestamp"}},
            "r": {"range": {"field": "http.response.status_code", "ranges": ranges}},
        },
    }
    define(engine, installed, destination, body_of(installed, installed.names.raw, destination, pivot=pivot))
    send_lines(engine, installed, [log_line(BUCKET, f"/a/{number}") for number in range(1500)])

    settle(engine, TransformService(engine, installed.names, monotonic=QuickClock()))

    engine.request("POST", f"/{destination}/_refresh")
    assert engine.request("GET", f"/{destination}/_count")["count"] == 1500


def test_what_is_told_as_summarised_can_be_read(engine: Engine, installed: Settings) -> None:
    """A run that is made up for begins as soon as it is told so."""
    names = installed.names
    engine.request("PUT", f"/{names.traffic}/_settings", body={"index": {"refresh_interval": "-1"}})
    send_lines(engine, installed, [log_line(BUCKET, "/a")])
    sent = engine.now()
    service = TransformService(engine, names, monotonic=QuickClock())
    for _ in range(2000):
        service.tick()
        passed = service.passed(names.traffic)
        if passed is not None and passed > sent:
            break
    service.close()
    assert engine.request("GET", f"/{names.traffic}/_count")["count"] == 1
