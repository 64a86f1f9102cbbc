"""What shippers reported of themselves: the question, and how its answer reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reading.alerts import parse_time
from shipping.reports import ACTION

# More shippers than one installation sensibly has; one that said nothing for a week is forgotten.
_MOST = 500
_FORGOTTEN_AFTER = "now-7d"


@dataclass(frozen=True, slots=True)
class ShipperState:
    """How one shipper stood when it reported last.

    Attributes:
        identifier: the same after a restart with the same registry.
        host, pid: where it runs.
        state: ``running`` or ``stopped``.
        reported_at: when, by its host's clock.
        registry: the file in which it remembers what it shipped.
        files: what it follows.
        read, sent, duplicates, dead: lines since it was started.
        behind_bytes, behind_seconds: how far it was behind what was written.
    """

    identifier: str
    host: str
    pid: int
    state: str
    reported_at: datetime
    registry: str = ""
    files: tuple[str, ...] = ()
    read: int = 0
    sent: int = 0
    duplicates: int = 0
    dead: int = 0
    behind_bytes: int = 0
    behind_seconds: float = 0.0


def shippers_search() -> dict[str, Any]:
    """The search for all reports."""
    return {
        "size": _MOST,
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [
                    {"term": {"event.action": ACTION}},
                    {"range": {"@timestamp": {"gte": _FORGOTTEN_AFTER}}},
                ]
            }
        },
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
    }


def shape_shippers(answer: Mapping[str, Any]) -> tuple[ShipperState, ...]:
    """Read the answer to ``shippers_search``, by host and registry."""
    found = [_state(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]
    return tuple(sorted(found, key=lambda one: (one.host, one.registry)))


def _state(identifier: str, source: Mapping[str, Any]) -> ShipperState:
    shipper = source["httpmon"]["shipper"]
    return ShipperState(
        identifier=identifier,
        host=str(source["host"]["name"]),
        pid=int(source["process"]["pid"]),
        state=str(shipper["state"]),
        reported_at=parse_time(source["@timestamp"]),
        registry=str(shipper["registry"]),
        files=tuple(map(str, shipper["files"])),
        read=int(shipper["read"]),
        sent=int(shipper["sent"]),
        duplicates=int(shipper["duplicates"]),
        dead=int(shipper["dead"]),
        behind_bytes=int(shipper["behind_bytes"]),
        behind_seconds=float(shipper["behind_seconds"]),
    )
