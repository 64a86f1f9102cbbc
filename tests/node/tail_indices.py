"""Summary and alert indices in a test's namespace, and summaries of hits by plain counting."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.client import Engine
from provisioning.names import Names
from reading.buckets import floor_time

_MAPPINGS: dict[str, dict[str, Any]] = {
    "sections": {
        "@timestamp": {"type": "date"},
        "httpmon.section": {"type": "keyword"},
        "httpmon.hits": {"type": "long"},
        "httpmon.bytes": {"type": "long"},
    },
    "traffic": {
        "@timestamp": {"type": "date"},
        "httpmon.hits": {"type": "long"},
        "httpmon.bytes": {"type": "long"},
        "httpmon.top": {"type": "object", "enabled": False},
    },
    "sections_hourly": {
        "@timestamp": {"type": "date"},
        "httpmon.section": {"type": "keyword"},
        "httpmon.hits": {"type": "long"},
    },
    "traffic_hourly": {
        "@timestamp": {"type": "date"},
        "httpmon.hits": {"type": "long"},
        "httpmon.bytes": {"type": "long"},
    },
    "alerts": {
        "@timestamp": {"type": "date"},
        "event.kind": {"type": "keyword"},
        "event.action": {"type": "keyword"},
        "rule.id": {"type": "keyword"},
        "httpmon.alert.id": {"type": "keyword"},
        "httpmon.alert.seq": {"type": "long"},
        "httpmon.alert.duration": {"type": "long"},
    },
    "operations": {
        "@timestamp": {"type": "date"},
        "event.action": {"type": "keyword"},
        "rule.id": {"type": "keyword"},
        "httpmon.alert.id": {"type": "keyword"},
        "httpmon.silence.starts_at": {"type": "date"},
        "httpmon.silence.ends_at": {"type": "date"},
    },
}


@dataclass(frozen=True)
class Hit:
    time: datetime
    section: str
    status: int = 200
    size: int = 100
    client: str = "192.0.2.1"


def make_indices(engine: Engine, names: Names, stems: Iterable[str] = tuple(_MAPPINGS)) -> None:
    for stem in stems:
        properties = _MAPPINGS[stem]
        alias = names.of(stem)
        engine.request(
            "PUT",
            f"/{alias}-000001",
            body={
                "settings": {"number_of_shards": 1, "number_of_replicas": 0},
                "mappings": {"properties": properties},
                "aliases": {alias: {}},
            },
        )


def summarise(engine: Engine, names: Names, hits: list[Hit]) -> None:
    """Write the summaries of hits as the transforms would."""
    by_section: dict[tuple[datetime, str], list[Hit]] = defaultdict(list)
    by_bucket: dict[datetime, list[Hit]] = defaultdict(list)
    for hit in hits:
        by_section[floor_time(hit.time, 10), hit.section].append(hit)
        by_bucket[floor_time(hit.time, 10)].append(hit)
    operations: list[dict[str, Any]] = []
    for (bucket, section), part in by_section.items():
        operations.append({"index": {"_index": f"{names.sections}-000001"}})
        operations.append(
            {"@timestamp": bucket.isoformat(), "httpmon": {"section": section, **_counts(part)}}
        )
    for bucket, part in by_bucket.items():
        clients = Counter(hit.client for hit in part)
        top = {"clients": clients, "paths": {}, "agents": {}}
        summary = {**_counts(part), "clients": len(clients), "top": top}
        operations.append({"index": {"_index": f"{names.traffic}-000001"}})
        operations.append({"@timestamp": bucket.isoformat(), "httpmon": summary})
    send(engine, operations)


def alert_operations(
    names: Names, sequence: int, action: str, time: datetime, started_at: datetime, message: str = ""
) -> list[dict[str, Any]]:
    """The bulk lines of one alert document of the high-traffic rule."""
    alert: dict[str, Any] = {
        "id": f"high-traffic-{started_at:%H%M%S}",
        "seq": sequence,
        "hits": 1266,
        "started_at": started_at.isoformat(),
    }
    if action == "recovered":
        alert["ended_at"] = time.isoformat()
        alert["duration"] = (time - started_at).total_seconds()
    return [
        {"create": {"_index": f"{names.alerts}-000001"}},
        {
            "@timestamp": time.isoformat(),
            "event": {"kind": "alert", "action": action},
            "rule": {"id": "high-traffic", "name": "High traffic"},
            "message": message or f"message {sequence}",
            "httpmon": {"alert": alert},
        },
    ]


def send(engine: Engine, operations: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(operation) + "\n" for operation in operations)
    answer = engine.bulk(body.encode(), params={"refresh": True})
    assert not answer["errors"], answer


def _counts(hits: list[Hit]) -> dict[str, Any]:
    return {
        "hits": len(hits),
        "bytes": sum(hit.size for hit in hits),
        "status": dict(Counter(f"{hit.status // 100}xx" for hit in hits)),
    }
