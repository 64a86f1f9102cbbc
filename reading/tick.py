"""One tick of ``httpmon tail``: the searches of its one round trip, and the answers as plain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from engine.errors import UsageError
from provisioning.names import Names
from reading.alerts import (
    Alert,
    latest_alerts_search,
    latest_by_alert_search,
    open_alerts,
    parse_time,
    shape_alerts,
)
from reading.buckets import BUCKET_SECONDS
from reading.failing import WATCHER_HISTORY, failing_watches, scheduled_watches, sources, watchers_last_runs
from reading.operations import Operations, operations_search, shape_operations
from reading.tiers import between, over_tiers, tier_cut

Search = tuple[dict[str, Any], dict[str, Any]]

SortKey = Literal["hits", "average", "4xx", "5xx", "bytes", "overall"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
TOP_KINDS = ("clients", "paths", "agents")

# OpenSearch searches the segments of a shard in parallel and cuts each one's terms; exact counts need more
# room than there are sections. The totals are computed apart from the terms, so they are exact regardless.
_SECTIONS_PER_SHARD = 10_000


def sort_key(text: str) -> SortKey:
    """The sort key of this name. Raises UsageError when there is none."""
    for key in SORT_KEYS:
        if key == text:
            return key
    raise UsageError(f"--sort {text}: it is {', '.join(SORT_KEYS[:-1])} or {SORT_KEYS[-1]}")


@dataclass(frozen=True, slots=True)
class Question:
    """What one tick asks about.

    Attributes:
        end: where the interval ends, aligned, UTC.
        seconds: the interval's length, a multiple of the bucket's.
        window_seconds: over which the moving average is taken, ending at ``end``.
        history_seconds: how far back the traffic curve reaches, ending at ``end``.
        top: how many sections, clients, paths and agents are shown.
        alerts: how many alert documents are shown.
        past: nothing that became known after ``end`` is shown among the alerts.
        sort: by which count the sections fall.
        matching: only sections whose name holds this text are named, whatever its case; all if empty.
    """

    end: datetime
    seconds: int = BUCKET_SECONDS
    window_seconds: int = 120
    history_seconds: int = 600
    top: int = 10
    alerts: int = 5
    past: bool = False
    sort: SortKey = "hits"
    matching: str = ""

    @property
    def start(self) -> datetime:
        """Where the interval starts."""
        return self.end - timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class SectionCounts:
    """The numbers of one section, or of several together; all but the last two are of the interval."""

    hits: int = 0
    bytes: int = 0
    status_4xx: int = 0
    status_5xx: int = 0
    window_hits: int = 0
    overall_hits: int = 0

    def without(self, shown: Iterable[SectionCounts]) -> SectionCounts:
        """What is left of these counts when those of ``shown`` are taken away."""
        parts = list(shown)
        return SectionCounts(
            hits=self.hits - sum(part.hits for part in parts),
            bytes=self.bytes - sum(part.bytes for part in parts),
            status_4xx=self.status_4xx - sum(part.status_4xx for part in parts),
            status_5xx=self.status_5xx - sum(part.status_5xx for part in parts),
            window_hits=self.window_hits - sum(part.window_hits for part in parts),
            overall_hits=self.overall_hits - sum(part.overall_hits for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick shows.

    Attributes:
        question: what was asked.
        sections: by falling ``question.sort``, at most ``question.top``; only those with a hit in the
            interval, unless sorted by a number that is not of the interval.
        others: everything that ``sections`` leaves out, so that the sums are ``total``.
        other_sections: how many sections with hits in the interval are in ``others``.
        total: over all sections.
        hits, bytes, status: of the interval's traffic; status by class (``2xx``).
        clients: distinct clients; None when the interval is more than one bucket (not additive) or empty.
        window_hits: in the window that ends with the interval.
        overall_hits, overall_bytes: since the summaries began, up to ``question.end``.
        history: hits of each bucket of the history, oldest first.
        top: for ``clients``, ``paths`` and ``agents``: names with hits, by falling hits.
        alerts: the newest alert documents, oldest first.
        open_alerts: the newest document of each alert that is open.
        operations: what people did about the alerts, with the silences not ended at ``question.end``.
        newest_summary: start of the newest summarised bucket; None while there is none.
        newest_hit: event time of the newest raw hit; None while there is none.
        unparsed: lines that could not be parsed, overall and arrived in the interval.
        headers: lines that are no hits but name the columns of others; hits, unparsed and headers are
            together the lines of the raw data.
        failing: the watches that fail, by name; those that the engine runs itself, too, if one may read the
            records of their runs.
    """

    question: Question
    sections: tuple[tuple[str, SectionCounts], ...]
    others: SectionCounts
    other_sections: int
    total: SectionCounts
    hits: int
    bytes: int
    status: Mapping[str, int]
    clients: int | None
    window_hits: int
    overall_hits: int
    overall_bytes: int
    history: tuple[int, ...]
    top: Mapping[str, tuple[tuple[str, int], ...]]
    alerts: tuple[Alert, ...]
    open_alerts: tuple[Alert, ...]
    operations: Operations
    newest_summary: datetime | None
    newest_hit: datetime | None
    unparsed: int
    unparsed_now: int
    failing: tuple[str, ...] = ()
    headers: int = 0

    def named(self, most: int) -> tuple[tuple[tuple[str, SectionCounts], ...], SectionCounts, int]:
        """The first ``most`` sections, all others together, and how many of those had hits."""
        shown = self.sections[: max(0, most)]
        hidden = sum(counts.hits > 0 for _, counts in self.sections[len(shown) :])
        return shown, self.total.without(counts for _, counts in shown), self.other_sections + hidden


def tick_searches(names: Names, question: Question) -> list[Search]:
    """The searches of one tick, (header, body) pairs for ``_msearch``, in the order ``shape_tick`` reads."""
    until = question.end if question.past else None
    return [
        (tiers_header(names.sections, names.of("sections_hourly")), _sections(names.sections, question)),
        (search_header(names.traffic), _history(question)),
        (search_header(names.traffic), _interval_documents(question)),
        (tiers_header(names.traffic, names.of("traffic_hourly")), _overall(names.traffic, question)),
        (search_header(names.alerts), latest_alerts_search(question.alerts, until)),
        (search_header(names.alerts), latest_by_alert_search(until)),
        (search_header(names.operations, may_be_absent=True), operations_search(question.end)),
        (search_header(names.raw, may_be_absent=True), _newest_hit()),
        (search_header(names.raw, may_be_absent=True), _unparsed()),
        (search_header(names.raw, may_be_absent=True), _unparsed(between(question.start, question.end))),
        (search_header(names.raw, may_be_absent=True), _lines("enrichment")),
        (search_header(names.watch_store, may_be_absent=True), scheduled_watches()),
        (WATCHER_HISTORY, watchers_last_runs(names)),
    ]


def shape_tick(question: Question, answers: Sequence[Mapping[str, Any]]) -> Tick:
    """Shape the answers to ``tick_searches``, none of which may hold an error."""
    (
        sections,
        history,
        documents,
        overall,
        alerts,
        by_alert,
        operations,
        newest_hit,
        unparsed,
        unparsed_now,
        headers,
        watches,
        runs,
    ) = answers
    named, total, distinct = _shape_sections(sections["aggregations"], question)
    counts_by_bucket = {
        parse_time(source["@timestamp"]): int(source["httpmon"]["hits"]) for source in sources(history)
    }
    bucket = timedelta(seconds=BUCKET_SECONDS)
    history_buckets = max(question.history_seconds, question.window_seconds) // BUCKET_SECONDS
    curve = [counts_by_bucket.get(question.end - bucket * age, 0) for age in range(history_buckets, 0, -1)]
    summaries = [source["httpmon"] for source in sources(documents)]
    totals = overall["aggregations"]
    newest = totals["newest"].get("value")
    hit_times = [parse_time(source["@timestamp"]) for source in sources(newest_hit)]
    return Tick(
        question=question,
        sections=named,
        others=total.without(counts for _, counts in named),
        other_sections=distinct - sum(counts.hits > 0 for _, counts in named),
        total=total,
        hits=sum(int(summary.get("hits") or 0) for summary in summaries),
        bytes=sum(int(summary.get("bytes") or 0) for summary in summaries),
        status={
            name: sum(int((summary.get("status") or {}).get(name) or 0) for summary in summaries)
            for name in STATUS_CLASSES
        },
        clients=_distinct_clients(summaries, question),
        window_hits=sum(curve[-(question.window_seconds // BUCKET_SECONDS) :]),
        overall_hits=_whole(totals["before"]["hits"]),
        overall_bytes=_whole(totals["before"]["bytes"]),
        history=tuple(curve[-(question.history_seconds // BUCKET_SECONDS) :]),
        top={kind: _merged_top(summaries, kind, question.top) for kind in TOP_KINDS},
        alerts=shape_alerts(alerts),
        open_alerts=open_alerts(shape_alerts(by_alert)),
        operations=shape_operations(operations),
        newest_summary=None if newest is None else parse_time(newest),
        newest_hit=hit_times[0] if hit_times else None,
        unparsed=int(unparsed["hits"]["total"]["value"]),
        unparsed_now=int(unparsed_now["hits"]["total"]["value"]),
        failing=failing_watches(watches, runs),
        headers=int(headers["hits"]["total"]["value"]),
    )


# -- the searches ---------------------------------------------------------------------------------------


def search_header(index: str, *, may_be_absent: bool = False) -> dict[str, Any]:
    """The header of one search in ``_msearch``; an index that may be absent is empty then."""
    # A table of half the shards would be wrong without looking wrong: rather no answer.
    header: dict[str, Any] = {"index": index, "allow_partial_search_results": False}
    if may_be_absent:
        # The raw data stream comes into being with its first line, and nobody need ever have done anything.
        header["ignore_unavailable"] = True
    return header


def tiers_header(fine: str, hourly: str) -> dict[str, Any]:
    """The header of a search in both tiers of summaries."""
    # Missing indices are told by the searches that read the fine tier alone.
    return search_header(f"{fine},{hourly}", may_be_absent=True)


def _tiers_until_end(fine: str, question: Question) -> dict[str, Any]:
    recent = timedelta(seconds=max(question.window_seconds, question.seconds))
    return over_tiers(fine, None, question.end, tier_cut(question.end, recent))


def _sum(field: str) -> dict[str, Any]:
    return {"sum": {"field": f"httpmon.{field}"}}


def _sections(alias: str, question: Question) -> dict[str, Any]:
    window_start = question.end - timedelta(seconds=question.window_seconds)
    counts = {
        "now": {
            "filter": between(question.start, question.end),
            "aggs": {
                "hits": _sum("hits"),
                "bytes": _sum("bytes"),
                "4xx": _sum("status.4xx"),
                "5xx": _sum("status.5xx"),
            },
        },
        "window": {"filter": between(window_start, question.end), "aggs": {"hits": _sum("hits")}},
        "hits": _sum("hits"),
    }
    distinct = {"cardinality": {"field": "httpmon.section", "precision_threshold": 40_000}}
    return {
        "size": 0,
        "track_total_hits": False,
        "query": _tiers_until_end(alias, question),
        "aggs": {
            "matching": {
                "filter": _section_filter(question.matching),
                "aggs": {
                    "sections": {
                        "terms": {
                            "field": "httpmon.section",
                            "size": question.top,
                            "shard_size": max(question.top, _SECTIONS_PER_SHARD),
                            "order": [{path: "desc"} for path in _order(question.sort)] + [{"_key": "asc"}],
                        },
                        "aggs": counts,
                    }
                },
            },
            "distinct": {
                "filter": between(question.start, question.end),
                "aggs": {"sections": distinct},
            },
            **counts,  # the totals
        },
    }


# Where the counts of each sort key stand below a section's bucket.
_ORDER_PATHS: dict[SortKey, str] = {
    "hits": "now>hits",
    "average": "window>hits",
    "4xx": "now>4xx",
    "5xx": "now>5xx",
    "bytes": "now>bytes",
    "overall": "hits",
}


def _order(sort: SortKey) -> list[str]:
    return list(dict.fromkeys([_ORDER_PATHS[sort], "now>hits", "hits"]))


def _section_filter(matching: str) -> dict[str, Any]:
    if not matching:
        return {"match_all": {}}
    literal = re.sub(r"([\\*?])", r"\\\1", matching)
    return {"wildcard": {"httpmon.section": {"value": f"*{literal}*", "case_insensitive": True}}}


def _history(question: Question) -> dict[str, Any]:
    seconds = max(question.history_seconds, question.window_seconds)
    return {
        "size": seconds // BUCKET_SECONDS,
        "track_total_hits": False,
        "query": between(question.end - timedelta(seconds=seconds), question.end),
        "sort": [{"@timestamp": "asc"}],
        "_source": ["@timestamp", "httpmon.hits"],
    }


def _interval_documents(question: Question) -> dict[str, Any]:
    return {
        "size": question.seconds // BUCKET_SECONDS,
        "track_total_hits": False,
        "query": between(question.start, question.end),
        "sort": [{"@timestamp": "asc"}],
    }


def _overall(alias: str, question: Question) -> dict[str, Any]:
    return {
        "size": 0,
        "track_total_hits": False,
        "aggs": {
            "before": {
                "filter": _tiers_until_end(alias, question),
                "aggs": {"hits": _sum("hits"), "bytes": _sum("bytes")},
            },
            "newest": {"max": {"field": "@timestamp"}},
        },
    }


def _newest_hit() -> dict[str, Any]:
    return {
        "size": 1,
        "track_total_hits": False,
        "query": {"bool": {"filter": [{"term": {"event.kind": "event"}}]}},
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
        "_source": ["@timestamp"],
    }


def _unparsed(within: dict[str, Any] | None = None) -> dict[str, Any]:
    return _lines("pipeline_error", within)


def _lines(kind: str, within: dict[str, Any] | None = None) -> dict[str, Any]:
    """Count the raw documents of an ``event.kind``."""
    of_kind: dict[str, Any] = {"term": {"event.kind": kind}}
    filters = [of_kind] if within is None else [of_kind, within]
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": filters}}}


def _whole(aggregation: Mapping[str, Any]) -> int:
    return int(aggregation.get("value") or 0)


def _shape_counts(node: Mapping[str, Any]) -> SectionCounts:
    now = node["now"]
    return SectionCounts(
        hits=_whole(now["hits"]),
        bytes=_whole(now["bytes"]),
        status_4xx=_whole(now["4xx"]),
        status_5xx=_whole(now["5xx"]),
        window_hits=_whole(node["window"]["hits"]),
        overall_hits=_whole(node["hits"]),
    )


def _shape_sections(
    aggregations: Mapping[str, Any], question: Question
) -> tuple[tuple[tuple[str, SectionCounts], ...], SectionCounts, int]:
    """The named sections, the total, and how many sections had hits in the interval."""
    nodes = aggregations["matching"]["sections"]["buckets"]
    counted = [(str(node["key"]), _shape_counts(node)) for node in nodes]
    quiet_too = question.sort in ("average", "overall")
    return (
        tuple((name, counts) for name, counts in counted if quiet_too or counts.hits > 0),
        _shape_counts(aggregations),
        _whole(aggregations["distinct"]["sections"]),
    )


def _distinct_clients(summaries: Sequence[Mapping[str, Any]], question: Question) -> int | None:
    if question.seconds != BUCKET_SECONDS or not summaries:
        return None
    clients = summaries[0].get("clients")
    return None if clients is None else int(clients)


def _merged_top(summaries: Iterable[Mapping[str, Any]], kind: str, size: int) -> tuple[tuple[str, int], ...]:
    merged: Counter[str] = Counter()
    for summary in summaries:
        for name, hits in ((summary.get("top") or {}).get(kind) or {}).items():
            merged[name] += int(hits)
    return tuple(sorted(merged.items(), key=lambda item: (-item[1], item[0]))[:size])
