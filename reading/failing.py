"""Which watches fail: the scheduler's by their statuses, the engine's own by records of their runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provisioning.names import Names

# Where an engine that runs watches itself keeps the records of runs; nothing where there is none, or where
# one may not read it. Hidden, and not worth a tick that fails.
WATCHER_HISTORY: dict[str, Any] = {
    "index": ".watcher-history-*",
    "expand_wildcards": "open,hidden",
    "ignore_unavailable": True,
}


def scheduled_watches() -> dict[str, Any]:
    """Search the scheduler's store: statuses of failing watches, and the definitions of active ones.

    The status of a watch that is gone or at rest does not count.
    """
    active = [{"term": {"type": "definition"}}, {"term": {"active": True}}]
    failing = [{"term": {"type": "status"}}, {"term": {"failing": True}}]
    either = [{"bool": {"filter": one}} for one in (active, failing)]
    return {
        "size": 1000,
        "track_total_hits": False,
        "query": {"bool": {"should": either, "minimum_should_match": 1}},
        "_source": ["type", "id"],
    }


def watchers_last_runs(names: Names) -> dict[str, Any]:
    """Search the engine's records: the last run of each watch of this installation that it ran lately."""
    ours = {"prefix": {"watch_id": f"{names.prefix}-"}}
    lately = {"range": {"trigger_event.triggered_time": {"gte": "now-15m"}}}
    last = {
        "size": 1,
        "sort": [{"trigger_event.triggered_time": {"order": "desc", "unmapped_type": "date"}}],
        "_source": ["state", "result.actions.status"],
    }
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": [ours, lately]}},
        "aggs": {
            "watches": {"terms": {"field": "watch_id", "size": 1000}, "aggs": {"last": {"top_hits": last}}}
        },
    }


# -- the answers ----------------------------------------------------------------------------------------


def sources(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents that a search found."""
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def failing_watches(scheduled: Mapping[str, Any], runs: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of watches that fail, from the answers to both searches."""
    return tuple(sorted({*_failing_now(sources(scheduled)), *_failed_last(runs)}))


def _failing_now(documents: Sequence[Mapping[str, Any]]) -> set[str]:
    active, failing = (
        {str(source["id"]) for source in documents if source["type"] == kind}
        for kind in ("definition", "status")
    )
    return active & failing


def _failed_last(answer: Mapping[str, Any]) -> Iterator[str]:
    """The watches whose last run failed, or an action of it."""
    for bucket in ((answer.get("aggregations") or {}).get("watches") or {}).get("buckets", []):
        for record in sources(bucket["last"]):
            statuses = {action.get("status") for action in (record.get("result") or {}).get("actions") or []}
            if record.get("state") == "failed" or statuses & {"failure", "partial_failure"}:
                yield str(bucket["key"])
