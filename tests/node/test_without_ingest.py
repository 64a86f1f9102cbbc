"""Guards: where Logstash parses, summaries are the same without any ingest pipeline, hours among them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from engine.client import Engine
from provisioning.rendering import render_all
from provisioning.settings import Settings
from scheduler.transforms.service import TransformService
from tests.conftest import remove_namespace
from tests.node.access_log import simulated
from tests.node.summaries import QuickClock, install_summaries, log_line, send_lines, settle_tiers, summaries

pytestmark = pytest.mark.node

START = datetime(2026, 3, 1, 12, 59, tzinfo=UTC)
LINES = [log_line(START + timedelta(seconds=at), f"/{at % 3}/x", size=at) for at in range(120)]


def settled(engine: Engine, settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """The summaries of all lines, and those of hours, without the time at which each was written."""
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    settle_tiers(engine, settings, service)
    found = {}
    for stem in ("sections", "traffic", "sections_hourly", "traffic_hourly"):
        documents = summaries(engine, settings.names.of(stem))
        for document in documents:
            stamp = document.pop("event")["ingested"]
            assert abs(written_at(stamp) - engine.now().timestamp()) < 600
        found[stem] = sorted(documents, key=lambda one: json.dumps(one, sort_keys=True))
    return found


def written_at(stamp: str) -> float:
    return int(stamp) / 1000 if stamp.isdigit() else datetime.fromisoformat(stamp).timestamp()


def test_summaries_are_the_same_without_any_pipeline(
    engine: Engine, settings: Settings, request: pytest.FixtureRequest
) -> None:
    install_summaries(engine, settings)
    send_lines(engine, settings, LINES)
    with_pipelines = settled(engine, settings)
    assert len(with_pipelines["sections"]) == 36
    parsed = simulated(engine, settings, "access", [{"event": {"original": line}} for line in LINES])

    other = settings.model_copy(update={"namespace": settings.namespace + "x", "parsing": "logstash"})
    request.addfinalizer(lambda: remove_namespace(engine, other.namespace))
    assert not [one for one in render_all(other, engine.capabilities()) if one.kind == "pipeline"]
    install_summaries(engine, other)
    now = engine.now().isoformat()
    body = "".join(
        json.dumps({"create": {"_id": str(number), "pipeline": "_none"}})
        + "\n"
        + json.dumps(
            document
            | {"event": document["event"] | {"ingested": now}}
            | {"data_stream": document["data_stream"] | {"namespace": other.namespace}}
        )
        + "\n"
        for number, document in enumerate(parsed)
    )
    answer = engine.bulk(body.encode(), target=other.names.raw, params={"refresh": "true"})
    assert answer["errors"] is False
    assert settled(engine, other) == with_pipelines
    path = f"/{other.names.sections}/_delete_by_query"
    assert engine.request("POST", path, body=FIRST, params=NOW)["deleted"] == 3
    # Three of 10 s, and the hours that are computed from them.
    assert audited(other) == 6
    audited(other, "--repair", exit_code=0)
    assert audited(other) == 0
    assert settled(engine, other) == with_pipelines


FIRST = {"query": {"term": {"@timestamp": START.isoformat()}}}
NOW = {"refresh": "true"}


def audited(settings: Settings, *more: str, exit_code: int | None = None) -> int:
    """How many summaries `httpmon reconcile` finds to be wrong."""
    given = ["--url", settings.engine.url, "--namespace", settings.namespace, "reconcile", "--format", "json"]
    given += ["--from", START.isoformat(), "--to", (START + timedelta(hours=1)).isoformat()]
    done = CliRunner().invoke(app, [*given, *more], catch_exceptions=False)
    assert exit_code is None or done.exit_code == exit_code, done.output
    return int(json.loads(done.output)["differing"])


def test_a_line_for_the_pipeline_is_refused_where_there_is_none(engine: Engine, settings: Settings) -> None:
    """Taken as it is, it would neither be counted nor missed."""
    other = settings.model_copy(update={"parsing": "logstash"})
    install_summaries(engine, other)
    body = b'{"create":{}}\n{"event":{"original":"a line"}}\n'
    answer = engine.bulk(body, target=other.names.raw, params={})
    (item,) = answer["items"]
    assert item["create"]["status"] == 400
    assert other.names.access_pipeline in item["create"]["error"]["reason"]
