"""Reads the engine's answers to the doctor's questions. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reading.alerts import parse_time
from reading.doctor.facts import Backing, Disk, Licence, Lines, LostShard, Uncounted, Watermark

_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgtp]?b)", re.IGNORECASE)
_DISK = "cluster.routing.allocation.disk"
_LEVELS = ("flood_stage", "high", "low")
# The settings of an index that keep it from being written (both engines' index blocks).
BLOCKS = tuple(
    f"index.blocks.{name}" for name in ("read_only", "read_only_allow_delete", "write", "metadata")
)
# A metadata block hides an index rather than keeping documents out; the first three keep them out.
_WRITE_BLOCKS = BLOCKS[:3]


def read_licence(answer: Mapping[str, Any]) -> Licence | None:
    """The answer to ``GET /_license``."""
    licence = answer.get("license")
    if not isinstance(licence, Mapping):
        return None
    end = licence.get("expiry_date_in_millis")
    expires = None if end is None else datetime.fromtimestamp(int(end) / 1000, UTC)
    return Licence(str(licence.get("type", "")), str(licence.get("status", "")), expires)


def read_disks(answer: Sequence[Mapping[str, Any]]) -> tuple[Disk, ...]:
    """The answer to ``GET /_cat/allocation`` in JSON and bytes; the row of unassigned shards has no disk."""
    return tuple(
        Disk(str(row["node"]), int(row["disk.avail"]), int(row["disk.total"]))
        for row in answer
        if row.get("disk.total")
    )


def read_watermarks(answer: Mapping[str, Any]) -> tuple[Watermark, ...]:
    """The answer to ``GET /_cluster/settings``, flat, with defaults: the strictest first; none if off."""
    settings: dict[str, Any] = {}
    for group in ("defaults", "persistent", "transient"):
        settings |= answer.get(group) or {}
    if str(settings.get(f"{_DISK}.threshold_enabled", "true")) == "false":
        return ()
    found = []
    for level in _LEVELS:
        name = f"{_DISK}.watermark.{level}"
        value = str(settings.get(name, ""))
        headroom = _bytes(str(settings.get(f"{name}.max_headroom", "")))
        size, part = _bytes(value), _used_part(value)
        if size is not None or part is not None:
            free = None if part is None else 1.0 - part
            found.append(Watermark(level, name, size, free, headroom))
    return tuple(found)


def _bytes(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    return None if match is None else int(float(match["number"]) * _UNITS[match["unit"].lower()])


def _used_part(text: str) -> float | None:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def read_blocks(answer: Mapping[str, Any], own: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The answer to ``GET /<indices>/_settings/index.blocks.*``, flat: what may not be written, and why."""
    found = {}
    for index, one in sorted(answer.items()):
        settings: Mapping[str, Any] = one.get("settings", {})
        on = tuple(block for block in _WRITE_BLOCKS if str(settings.get(block)) == "true")
        if index in own and on:
            found[index] = on
    return found


def indices_of_health(answer: Mapping[str, Any], health: str) -> dict[str, list[int]]:
    """The answer to ``GET /_cluster/health`` by shards: indices of a health and their unassigned shards."""
    found = {}
    for index, one in sorted((answer.get("indices") or {}).items()):
        if one.get("status") == health:
            shards: Mapping[str, Any] = one.get("shards") or {}
            found[index] = sorted(int(number) for number, shard in shards.items() if not _fit(shard))
    return found


def _fit(shard: Mapping[str, Any]) -> bool:
    return bool(shard.get("primary_active"))


def read_lost_shard(index: str, shard: int, answer: Mapping[str, Any]) -> LostShard:
    """The answer to ``GET /_cluster/allocation/explain``; empty where it could not be asked."""
    decider, explanation = "", str(answer.get("allocate_explanation") or "")
    for node in answer.get("node_allocation_decisions") or ():
        for one in node.get("deciders") or ():
            if one.get("decision") == "NO":
                decider, explanation = str(one.get("decider")), str(one.get("explanation"))
                break
        if decider:
            break
    if not explanation:
        unassigned: Mapping[str, Any] = answer.get("unassigned_info") or {}
        explanation = str(unassigned.get("details") or unassigned.get("reason") or "")
    return LostShard(index, shard, decider, explanation)


def read_conflicts(answer: Mapping[str, Any]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The answer to ``GET /<indices>/_field_caps?fields=*``: fields that are of several types, by type."""
    found = {}
    for name, types in sorted((answer.get("fields") or {}).items()):
        mapped = {kind: one for kind, one in types.items() if kind != "unmapped"}
        if len(mapped) > 1 and not name.startswith("_"):
            found[name] = {kind: tuple(one.get("indices") or ()) for kind, one in sorted(mapped.items())}
    return found


def lines_search() -> dict[str, Any]:
    """The search for what became of the lines that came within the last hour."""
    unparsed = {"term": {"event.kind": "pipeline_error"}}
    return {
        "size": 1,
        "track_total_hits": False,
        "query": {"bool": {"filter": [{"range": {"event.ingested": {"gte": "now-1h"}}}]}},
        "post_filter": unparsed,
        "sort": [{"event.ingested": {"order": "desc", "unmapped_type": "date"}}],
        "_source": ["event.original", "log.file.path"],
        "aggs": {
            "hits": {"filter": {"term": {"event.kind": "event"}}},
            "unparsed": {
                "filter": unparsed,
                "aggs": {"reasons": {"terms": {"field": "error.message", "size": 3}}},
            },
        },
    }


def read_lines(answer: Mapping[str, Any]) -> Lines:
    """The answer to ``lines_search``."""
    counts = answer.get("aggregations")
    if not counts:  # no index is there
        return Lines()
    return Lines(
        counts["hits"]["doc_count"],
        counts["unparsed"]["doc_count"],
        _terms(counts["unparsed"]["reasons"]),
        *_line(answer["hits"]["hits"]),
    )


def _line(found: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The line of the first document, and the file that it is of."""
    first: Mapping[str, Any] = found[0]["_source"] if found else {}
    event, log = first.get("event") or {}, first.get("log") or {}
    return str(event.get("original") or ""), str((log.get("file") or {}).get("path") or "")


def refused_search() -> dict[str, Any]:
    """The search for the lines that were refused for good within the last day."""
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"range": {"@timestamp": {"gte": "now-1d"}}},
        "aggs": {"reasons": {"terms": {"field": "error.type", "size": 3}}},
    }


def read_refused(answer: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """The answer to ``refused_search``."""
    counts = answer.get("aggregations")
    return _terms(counts["reasons"]) if counts else ()


def uncounted_search() -> dict[str, Any]:
    """The search for the hits of the last day without the field by which Elasticsearch's transforms group."""
    # What came past the pipeline may have no time of arrival either.
    lately = [{"range": {field: {"gte": "now-1d"}}} for field in ("event.ingested", "@timestamp")]
    return {
        "size": 1,
        "track_total_hits": True,
        "query": {
            "bool": {
                "filter": [
                    {"term": {"event.kind": "event"}},
                    {"bool": {"should": lately, "minimum_should_match": 1}},
                ],
                "must_not": [{"exists": {"field": "httpmon.bucket_middle"}}],
            }
        },
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
        "_source": ["event.original", "log.file.path"],
    }


def read_uncounted(stream: str, answer: Mapping[str, Any]) -> Uncounted:
    """The answer to ``uncounted_search`` in a data stream."""
    found = answer["hits"]
    return Uncounted(stream, int(found["total"]["value"]), *_line(found["hits"]))


def newest_search() -> dict[str, Any]:
    """The search for the newest event time of all hits."""
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"term": {"event.kind": "event"}},
        "aggs": {"newest": {"max": {"field": "@timestamp"}}},
    }


def read_newest(answer: Mapping[str, Any]) -> datetime | None:
    """The answer to ``newest_search``."""
    newest: Mapping[str, Any] = (answer.get("aggregations") or {}).get("newest") or {}
    text = newest.get("value_as_string")
    return None if text is None or newest.get("value") is None else parse_time(text)


def _terms(aggregation: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    found = [(str(one["key"]), int(one["doc_count"])) for one in aggregation["buckets"]]
    rest = int(aggregation.get("sum_other_doc_count") or 0)
    return (*found, ("others", rest)) if rest else tuple(found)


def read_backing(settings: Mapping[str, Any], stats: Mapping[str, Any]) -> tuple[Backing, ...]:
    """The answers to ``GET /<stream>`` and ``GET /<stream>/_stats/docs``: its indices, oldest first."""
    documents = stats.get("indices") or {}
    found = [
        Backing(
            name,
            datetime.fromtimestamp(int(one["settings"]["index"]["creation_date"]) / 1000, UTC),
            int(documents.get(name, {}).get("primaries", {}).get("docs", {}).get("count", 0)),
        )
        for name, one in settings.items()
        if "data_stream" in one
    ]
    return tuple(sorted(found, key=lambda one: (one.created_at, one.name)))


def read_lacking(
    answer: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, ...]]:
    """The answer to ``POST /_security/user/_has_privileges``, by task: the privileges that are missing.

    ``tasks`` has, for each, the cluster privileges (``cluster``) and those by index (``index``) it needs.
    """
    cluster: Mapping[str, bool] = answer.get("cluster") or {}
    index: Mapping[str, Mapping[str, bool]] = answer.get("index") or {}
    lacking = {}
    for task, needed in tasks.items():
        missing = [privilege for privilege in needed.get("cluster", ()) if not cluster.get(privilege)]
        for name, privileges in needed.get("index", {}).items():
            held = index.get(name) or {}
            missing += [f"{privilege} on {name}" for privilege in privileges if not held.get(privilege)]
        if missing:
            lacking[task] = tuple(missing)
    return lacking
