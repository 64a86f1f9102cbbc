"""The promise: every line of an access log becomes exactly one document, a hit or an error, and the numbers
over them are those that an independent count of the same lines gives.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from tests.node.access_log import bulk_body, install_access

pytestmark = pytest.mark.node


@pytest.fixture
def access(engine: Engine, settings: Settings) -> Settings:
    """The settings of a namespace in which the data stream and its pipelines are installed."""
    install_access(engine, settings)
    return settings


def test_a_real_log_gives_the_counted_numbers(engine: Engine, access: Settings, shared_folder: Path) -> None:
    facts = json.loads((shared_folder / "corpus/facts.json").read_text(encoding="utf-8"))
    log = (shared_folder / "corpus/apache-combined-10k.log").read_bytes()
    lines = [line.decode("utf-8", "replace") for line in log.split(b"\n")[:-1]]

    send(engine, access, lines)
    counted = count(engine, access)

    assert counted["lines"] == facts["lines"]
    assert counted["hits"] == facts["hits"]
    assert counted["bytes"] == facts["bytes"]
    assert counted["clients"] == facts["clients"]
    assert counted["sections"] == facts["sections"]
    assert counted["methods"] == facts["methods"]
    assert counted["status"] == facts["status"]
    assert counted["top_clients"] == facts["top_clients"]
    assert counted["first"] == facts["first_timestamp"].replace("Z", ".000Z")
    assert counted["last"] == facts["last_timestamp"].replace("Z", ".000Z")
    assert counted["unparsed_offsets"] == [number - 1 for number in facts["unparsed_line_numbers"]]


def test_made_lines_give_the_numbers_that_they_were_made_of(engine: Engine, access: Settings) -> None:
    chance = random.Random(20150517)
    lines = []
    sections: Counter[str] = Counter()
    status: Counter[str] = Counter()
    total = cut_short = 0
    clients = set()
    for _ in range(3000):
        client = f"198.51.{chance.randrange(4)}.{chance.randrange(256)}"
        section = chance.choice(["/", "/api", "/blog", "/index.html", "/img", "/~ann"])
        below = chance.choice(["", "/", "/a", "//a/b", "/a?next=/x/y", "?q=1/2"]) if section != "/" else ""
        code = chance.choice([200, 200, 200, 301, 304, 404, 500])
        size = chance.choice([None, 0, chance.randrange(10**9)])
        line = (
            f"{client} - {chance.choice(['-', 'ann', 'Ann Example'])} [17/May/2015:10:05:03 +0000] "
            f'"{chance.choice(["GET", "POST"])} {section}{below} HTTP/1.1" {code} '
            f'{"-" if size is None else size} "-" "agent \\"{chance.randrange(9)}\\""'
        )
        if chance.random() < 0.02:
            lines.append(line[:-1])
            cut_short += 1
            continue
        lines.append(line)
        sections[section] += 1
        status[str(code)] += 1
        total += size or 0
        clients.add(client)

    send(engine, access, lines)
    counted = count(engine, access)

    assert cut_short > 0
    assert counted["lines"] == len(lines)
    assert counted["hits"] == len(lines) - cut_short
    assert counted["bytes"] == total
    assert counted["clients"] == len(clients)
    assert counted["sections"] == sections
    assert counted["status"] == status


def send(engine: Engine, settings: Settings, lines: list[str]) -> None:
    documents = [
        {"event": {"original": line}, "log": {"file": {"path": "/var/log/access.log"}, "offset": number}}
        for number, line in enumerate(lines)
    ]
    answer = engine.bulk(bulk_body(documents), target=settings.names.raw, params={"refresh": "true"})
    assert not answer["errors"]


def count(engine: Engine, settings: Settings) -> dict[str, Any]:
    """The numbers over the raw documents, by the engine."""

    def terms(field: str, size: int = 100) -> dict[str, Any]:
        return {"terms": {"field": field, "size": size}}

    answer = engine.request(
        "POST",
        f"/{settings.names.raw}/_search",
        body={
            "size": 0,
            "track_total_hits": True,
            "aggs": {
                "unparsed": {
                    "filter": {"term": {"event.kind": "pipeline_error"}},
                    "aggs": {"offsets": terms("log.offset")},
                },
                "hits": {
                    "filter": {"term": {"event.kind": "event"}},
                    "aggs": {
                        "bytes": {"sum": {"field": "http.response.body.bytes"}},
                        # `cardinality` is an estimate, off by one now and then even for few values.
                        "clients": terms("source.address", 10_000),
                        "sections": terms("httpmon.section"),
                        "methods": terms("http.request.method"),
                        "status": terms("http.response.status_code"),
                        "first": {"min": {"field": "@timestamp"}},
                        "last": {"max": {"field": "@timestamp"}},
                    },
                },
            },
        },
    )
    hits = answer["aggregations"]["hits"]

    def buckets(terms: Mapping[str, Any]) -> dict[str, int]:
        return {str(bucket["key"]): bucket["doc_count"] for bucket in terms["buckets"]}

    return {
        "lines": answer["hits"]["total"]["value"],
        "hits": hits["doc_count"],
        "bytes": hits["bytes"]["value"],
        "clients": len(hits["clients"]["buckets"]),
        "top_clients": dict(list(buckets(hits["clients"]).items())[:10]),
        "first": hits["first"]["value_as_string"],
        "last": hits["last"]["value_as_string"],
        "unparsed_offsets": [
            bucket["key"] for bucket in answer["aggregations"]["unparsed"]["offsets"]["buckets"]
        ],
    } | {name: buckets(hits[name]) for name in ("sections", "methods", "status")}
