"""The answers to searches that find nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Body = dict[str, Any]

_BUCKETS = frozenset(
    {"terms", "date_histogram", "histogram", "composite", "auto_date_histogram", "multi_terms"}
)
_SINGLE_BUCKET = frozenset({"filter", "nested", "global", "missing", "sampler"})
_COUNTS = frozenset({"value_count", "cardinality"})


def nothing_found(search: Mapping[str, Any], documents: Sequence[Body] = ()) -> Body:
    """The answer to a search: these documents whatever was asked, and aggregations of nothing."""
    answer: Body = {
        "took": 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {
            "total": {"value": len(documents), "relation": "eq"},
            "max_score": None,
            "hits": list(documents),
        },
    }
    aggregations = search.get("aggs") or search.get("aggregations")
    if aggregations:
        answer["aggregations"] = _empty(aggregations)
    return answer


def _empty(aggregations: Mapping[str, Mapping[str, Any]]) -> Body:
    found = {}
    for name, aggregation in aggregations.items():
        inner = aggregation.get("aggs") or aggregation.get("aggregations") or {}
        kind = next(key for key in aggregation if key not in ("aggs", "aggregations", "meta"))
        empty = _empty_one(kind, aggregation[kind], _empty(inner))
        if empty is not None:
            found[name] = empty
    return found


def _empty_one(kind: str, options: Mapping[str, Any], inner: Body) -> Body | None:
    if kind in _BUCKETS:
        return {"buckets": [], "sum_other_doc_count": 0, "doc_count_error_upper_bound": 0}
    if kind in _SINGLE_BUCKET:
        return {"doc_count": 0, **inner}
    if kind in ("filters", "range", "date_range"):
        keys = options.get("filters") or [one["key"] for one in options["ranges"]]
        return {"buckets": {key: {"doc_count": 0, **inner} for key in keys}}
    if kind == "percentiles":
        return {"values": {str(float(percent)): None for percent in options.get("percents", (50, 95, 99))}}
    if kind == "top_hits":
        return {"hits": {"total": {"value": 0, "relation": "eq"}, "max_score": None, "hits": []}}
    if kind.startswith(("bucket_", "moving_", "cumulative_", "derivative")):
        return None  # a pipeline aggregation of no buckets
    return {"value": 0 if kind in _COUNTS else 0.0 if kind == "sum" else None}
