"""Guards `httpmon transform`: what it lists is true, and a stopped, failed or reset transform behaves as
told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.settings import Settings
from scheduler.transforms.service import TransformService
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


@pytest.fixture
def service(engine: Engine, installed: Settings) -> TransformService:
    return TransformService(engine, installed.names, monotonic=QuickClock())


def httpmon(settings: Settings, *arguments: str) -> str:
    """Run a command of this installation in this process and return what it prints."""
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, "transform", *arguments]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def listed(settings: Settings) -> dict[str, dict[str, Any]]:
    rows = json.loads(httpmon(settings, "list", "--format", "json"))
    return {row["identifier"].removeprefix(f"{settings.names.prefix}-"): row for row in rows}


def test_a_stopped_transform_rests_and_goes_on_where_it_was(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    send_lines(engine, installed, [log_line(BUCKET)])
    settle(engine, service)

    told = httpmon(installed, "stop", "sections")
    assert told == f"{installed.names.sections}-000001 is stopped\n"
    send_lines(engine, installed, [log_line(BUCKET)], first=1)
    settle(engine, service)
    assert totals(summaries(engine, installed.names.sections))["hits"] == 1
    assert totals(summaries(engine, installed.names.traffic))["hits"] == 2
    assert listed(installed)["sections-000001"]["state"] == "stopped"

    httpmon(installed, "start", "sections")
    settle(engine, service)
    assert totals(summaries(engine, installed.names.sections))["hits"] == 2
    row = listed(installed)["sections-000001"]
    assert (row["state"], row["checkpoint"], row["documents"], row["reason"]) == ("started", 2, 2, "")
    assert row["lag_seconds"] < 60


def test_a_reset_transform_computes_everything_again(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    send_lines(engine, installed, [log_line(BUCKET), log_line(BUCKET, "/a")])
    settle(engine, service)
    engine.request("POST", f"/{installed.names.traffic}/_delete_by_query?refresh", body=MATCH_ALL)

    httpmon(installed, "reset", "traffic")
    settle(engine, service)

    assert totals(summaries(engine, installed.names.traffic)) == {"documents": 1, "hits": 2, "bytes": 200}


MATCH_ALL = {"query": {"match_all": {}}}


def test_a_failed_transform_says_why_and_holds_nobody_up(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    body = {
        "source": {"index": installed.names.raw},
        "dest": {"index": installed.names.of("bad")},
        "pivot": {"group_by": {"a": {"terms": {"field": "a"}}}, "aggregations": {"b": {"filters": {}}}},
    }
    define(engine, installed, installed.names.of("bad"), body)
    send_lines(engine, installed, [log_line(BUCKET)])

    results = [result for _ in range(5) for result in service.tick()]

    reasons = {one.reason for one in results if one.outcome == "failed"}
    assert reasons == {
        f"transform {installed.names.of('bad')}: pivot.aggregations.b: "
        "unsupported aggregation type filters (Elasticsearch refuses it too)"
    }
    row = listed(installed)["bad"]
    assert row["state"] == "failed"
    assert row["reason"] in reasons
    assert totals(summaries(engine, installed.names.traffic))["hits"] == 1


def test_a_destination_that_refuses_fails_for_good_until_it_is_started_again(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    """As natively: an ip field does not take the text of a section."""
    destination = installed.names.of("strict")
    mapping = {"mappings": {"properties": {"key": {"type": "ip"}}}}
    engine.request("PUT", f"/{destination}", body=mapping)
    body = {
        "source": {"index": installed.names.raw},
        "dest": {"index": destination},
        "frequency": "1s",
        "sync": {"time": {"field": "event.ingested", "delay": "0s"}},
        "pivot": {
            "group_by": {"key": {"terms": {"field": "httpmon.section"}}},
            "aggregations": {"n": {"value_count": {"field": "@timestamp"}}},
        },
    }
    define(engine, installed, destination, body)
    send_lines(engine, installed, [log_line(BUCKET, "/a")])
    for _ in range(3):
        service.tick()
    row = listed(installed)["strict"]
    assert row["state"] == "failed"
    assert "refuses a document" in row["reason"]
    assert "'/a'" in row["reason"]

    engine.request("DELETE", f"/{destination}")
    httpmon(installed, "start", "strict")
    for _ in range(5):
        service.tick()

    assert listed(installed)["strict"]["state"] == "started"
    engine.request("POST", f"/{destination}/_refresh")
    found = engine.request("POST", f"/{destination}/_search")["hits"]["hits"]
    assert [hit["_source"] for hit in found] == [{"key": "/a", "n": 1}]


def test_preview_shows_documents_and_writes_nothing(engine: Engine, installed: Settings) -> None:
    send_lines(engine, installed, [log_line(BUCKET, "/a"), log_line(BUCKET, "/b")])

    shown = json.loads(httpmon(installed, "preview", "sections", "--rows", "1"))

    assert [one.pop("event").keys() for one in shown] == [{"ingested"}]  # what the pipeline stamps them with
    assert shown == [
        {
            "@timestamp": "2026-03-01T12:00:00.000Z",
            "httpmon": {
                "section": "/a",
                "hits": 1,
                "bytes": 100.0,
                "status": {"1xx": 0, "2xx": 1, "3xx": 0, "4xx": 0, "5xx": 0},
            },
        }
    ]
    assert summaries(engine, installed.names.sections) == []
    for name in (f"{installed.names.sections}-000001", "sections-000001", installed.names.sections):
        again = httpmon(installed, "preview", name, "--rows", "1")
        assert json.loads(again)[0]["httpmon"] == shown[0]["httpmon"]


def test_an_unknown_name_is_refused_with_the_known_ones(installed: Settings) -> None:
    with pytest.raises(Exception, match="sections-000001"):
        httpmon(installed, "stop", "nothing")


def test_a_transform_without_sync_runs_once(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    destination = installed.names.of("once")
    body = {
        "source": {"index": installed.names.raw},
        "dest": {"index": destination},
        "latest": {"unique_key": ["httpmon.section"], "sort": "@timestamp"},
    }
    define(engine, installed, destination, body)
    send_lines(engine, installed, [log_line(BUCKET, "/a", size=1), log_line(BUCKET, "/b")])
    for _ in range(3):
        service.tick()
    send_lines(engine, installed, [log_line(BUCKET, "/c")], first=2)
    for _ in range(3):
        service.tick()

    engine.request("POST", f"/{destination}/_refresh")
    found = engine.request("POST", f"/{destination}/_search")["hits"]["hits"]
    assert sorted(hit["_source"]["httpmon"]["section"] for hit in found) == ["/a", "/b"]
    assert listed(installed)["once"]["state"] == "finished"


def test_expired_summaries_are_removed(
    engine: Engine, installed: Settings, service: TransformService
) -> None:
    destination = installed.names.of("expiring")
    body = {
        "source": {"index": installed.names.raw},
        "dest": {"index": destination},
        "frequency": "1s",
        "sync": {"time": {"field": "event.ingested", "delay": "0s"}},
        "pivot": {
            "group_by": {"@timestamp": {"date_histogram": {"field": "@timestamp", "fixed_interval": "10s"}}},
            "aggregations": {"n": {"value_count": {"field": "@timestamp"}}},
        },
        "retention_policy": {"time": {"field": "@timestamp", "max_age": "1h"}},
    }
    define(engine, installed, destination, body)
    now = engine.now()
    send_lines(engine, installed, [log_line(BUCKET), log_line(now)])
    settle(engine, service)
    engine.request("POST", f"/{destination}/_refresh")

    # The policy is carried out when a checkpoint ends, on what is searchable by then.
    again = TransformService(engine, installed.names, monotonic=QuickClock())
    send_lines(engine, installed, [log_line(now)], first=2)
    settle(engine, again)

    engine.request("POST", f"/{destination}/_refresh")
    found = engine.request("POST", f"/{destination}/_search")["hits"]["hits"]
    assert [hit["_source"]["n"] for hit in found] == [2]
