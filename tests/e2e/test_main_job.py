"""Guards the main job: a log goes in once, and the summaries hold exactly what is in it, through ``kill -9``.

Everything runs as a user runs it: provision, ship and scheduler in processes of their own, on a real engine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from provisioning.names import Names
from tests.e2e.access_log import make_access_log
from tests.e2e.processes import Httpmon, await_that

pytestmark = pytest.mark.e2e


@pytest.fixture
def httpmon(engine_url: str, namespace: str, tmp_path: Path) -> Iterator[Httpmon]:
    runner = Httpmon(engine_url, namespace, tmp_path)
    yield runner
    runner.stop_all()


def _summed(engine: Engine, names: Names) -> dict[str, Any]:
    """The sums over the 10-second summaries, by section and overall, and the same from ``traffic``."""
    engine.request("POST", f"/{names.sections},{names.traffic}/_refresh")
    sections = engine.request(
        "POST",
        f"/{names.sections}/_search",
        body={
            "size": 0,
            "aggs": {
                "hits": {"sum": {"field": "httpmon.hits"}},
                "bytes": {"sum": {"field": "httpmon.bytes"}},
                "sections": {
                    "terms": {"field": "httpmon.section", "size": 1000},
                    "aggs": {"hits": {"sum": {"field": "httpmon.hits"}}},
                },
            },
        },
    )["aggregations"]
    traffic = engine.request(
        "POST",
        f"/{names.traffic}/_search",
        body={
            "size": 0,
            "aggs": {
                "hits": {"sum": {"field": "httpmon.hits"}},
                "bytes": {"sum": {"field": "httpmon.bytes"}},
            },
        },
    )["aggregations"]
    return {
        "hits": int(sections["hits"]["value"]),
        "bytes": int(sections["bytes"]["value"]),
        "traffic hits": int(traffic["hits"]["value"]),
        "traffic bytes": int(traffic["bytes"]["value"]),
        "sections": {
            bucket["key"]: int(bucket["hits"]["value"]) for bucket in sections["sections"]["buckets"]
        },
    }


def _raw(engine: Engine, names: Names) -> dict[str, Any]:
    """What the raw data holds: documents, unparsed ones, distinct clients and status codes of the hits."""
    engine.request("POST", f"/{names.raw}/_refresh")
    answer = engine.request(
        "POST",
        f"/{names.raw}/_search",
        body={
            "size": 0,
            "track_total_hits": True,
            "aggs": {
                "kinds": {"terms": {"field": "event.kind"}},
                # Exact up to the precision threshold, whose maximum is 40,000.
                "clients": {"cardinality": {"field": "source.address", "precision_threshold": 40000}},
                "statuses": {"terms": {"field": "http.response.status_code", "size": 100}},
            },
        },
    )
    kinds = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["kinds"]["buckets"]}
    return {
        "documents": answer["hits"]["total"]["value"],
        "hits": kinds.get("event", 0),
        "unparsed": kinds.get("pipeline_error", 0),
        "clients": answer["aggregations"]["clients"]["value"],
        "statuses": {b["key"]: b["doc_count"] for b in answer["aggregations"]["statuses"]["buckets"]},
    }


def _documents(engine: Engine, names: Names) -> int:
    engine.request("POST", f"/{names.raw}/_refresh")
    return int(engine.request("GET", f"/{names.raw}/_count")["count"])


def _summarised_hits(engine: Engine, names: Names) -> int:
    return int(_summed(engine, names)["hits"])


def _ship_and_summarise(
    httpmon: Httpmon, engine: Engine, names: Names, log: Path, hits: int, tmp_path: Path, kills: int
) -> None:
    """Run shipper and scheduler until every hit is summarised, killing each of them ``kills`` times."""
    httpmon.run("provision")
    registry = tmp_path / "registry.json"
    for _ in range(kills):
        shipper = httpmon.start("ship", log, "--registry", registry)
        before = registry.read_bytes() if registry.exists() else b""
        await_that(
            lambda before=before: registry.exists() and registry.read_bytes() != before,  # type: ignore[misc]
            "the shipper notes what was acknowledged",
        )
        httpmon.kill(shipper)
    httpmon.start("ship", log, "--registry", registry)
    for _ in range(kills):
        scheduler = httpmon.start("scheduler")
        before_hits = _summarised_hits(engine, names)
        await_that(
            lambda before_hits=before_hits: (  # type: ignore[misc]
                _summarised_hits(engine, names) > before_hits or _summarised_hits(engine, names) == hits
            ),
            "the scheduler writes summaries",
        )
        httpmon.kill(scheduler)
    httpmon.start("scheduler")
    await_that(
        lambda: _summed(engine, names)["hits"] >= hits and _summed(engine, names)["traffic hits"] >= hits,
        f"{hits} hits are summarised",
    )


@pytest.mark.parametrize("kills", [0, 2], ids=["undisturbed", "each killed twice"])
def test_a_log_of_our_own_is_summarised_exactly(
    httpmon: Httpmon, engine: Engine, namespace: str, tmp_path: Path, kills: int
) -> None:
    names = Names(namespace)
    made = make_access_log(
        12_000, seed=20150517, start=datetime(2015, 5, 17, 10, 5, tzinfo=UTC), spread_seconds=3 * 3600
    )
    log = tmp_path / "access.log"
    log.write_text(made.text)
    _ship_and_summarise(httpmon, engine, names, log, made.hits, tmp_path, kills)
    summed = _summed(engine, names)
    assert summed == {
        "hits": made.hits,
        "bytes": made.bytes,
        "traffic hits": made.hits,
        "traffic bytes": made.bytes,
        "sections": dict(made.sections),
    }
    raw = _raw(engine, names)
    assert raw == {
        "documents": len(made.lines),
        "hits": made.hits,
        "unparsed": made.unparsed,
        "clients": len(made.clients),
        "statuses": dict(made.statuses),
    }
    assert _buckets(engine, names) == made.buckets


def _buckets(engine: Engine, names: Names) -> Counter[tuple[str, str]]:
    """Every summary of ``sections`` as (bucket, section) -> hits; a pair that stands twice adds up."""
    found: Counter[tuple[str, str]] = Counter()
    after: list[Any] | None = None
    while True:
        body: dict[str, Any] = {
            "size": 5000,
            "sort": ["@timestamp", "httpmon.section"],
            "_source": ["@timestamp", "httpmon.section", "httpmon.hits"],
        }
        if after is not None:
            body["search_after"] = after
        page = engine.request("POST", f"/{names.sections}/_search", body=body)["hits"]["hits"]
        if not page:
            return found
        for hit in page:
            source = hit["_source"]
            found[source["@timestamp"], source["httpmon"]["section"]] += source["httpmon"]["hits"]
        after = page[-1]["sort"]


@pytest.mark.parametrize("kills", [0, 2], ids=["undisturbed", "each killed twice"])
def test_a_real_log_of_ten_thousand_lines_is_summarised_exactly(
    httpmon: Httpmon, engine: Engine, namespace: str, tmp_path: Path, shared_folder: Path, kills: int
) -> None:
    names = Names(namespace)
    facts = json.loads((shared_folder / "corpus" / "facts.json").read_text())
    log = tmp_path / "access.log"
    log.write_bytes((shared_folder / "corpus" / "apache-combined-10k.log").read_bytes())
    _ship_and_summarise(httpmon, engine, names, log, facts["hits"], tmp_path, kills)
    summed = _summed(engine, names)
    assert summed == {
        "hits": facts["hits"],
        "bytes": facts["bytes"],
        "traffic hits": facts["hits"],
        "traffic bytes": facts["bytes"],
        "sections": facts["sections"],
    }
    raw = _raw(engine, names)
    assert raw == {
        "documents": facts["lines"],
        "hits": facts["hits"],
        "unparsed": len(facts["unparsed_line_numbers"]),
        "clients": facts["clients"],
        "statuses": {int(status): hits for status, hits in facts["status"].items()},
    }
    buckets = _buckets(engine, names)
    assert len(buckets) == facts["section_buckets_10s_nonempty"]
    assert len({bucket for bucket, _ in buckets}) == facts["buckets_10s_nonempty"]
