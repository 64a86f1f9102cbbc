"""What the report shows: the searches over the summaries of a span of time, and their answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning.names import Names
from reading.alerts import Alert, AlertFilter, alerts_search, parse_time, shape_alerts
from reading.buckets import BUCKET_SECONDS, floor_time
from reading.tick import STATUS_CLASSES, Search, search_header, tiers_header
from reading.tiers import HOUR_SECONDS, between, fine_tier, over_tiers, tier_cut

# Each divides the next, and an hour, so that points of hours and of buckets fall together.
_STEPS = (10, 30, 60, 300, 900, 1800, 3600, 10_800, 43_200, 86_400)
_MOST_POINTS = 750
_MOST_ALERTS = 1000


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """What a report is about.

    Attributes:
        start, end: the span, whole points, UTC.
        step_seconds: how long each point of a picture is.
        top: how many sections, clients and paths are named.
    """

    start: datetime
    end: datetime
    step_seconds: int
    top: int = 10

    @property
    def points(self) -> list[datetime]:
        """Where each point starts."""
        count = math.ceil((self.end - self.start).total_seconds() / self.step_seconds)
        return [self.start + timedelta(seconds=self.step_seconds * number) for number in range(count)]

    def covered_seconds(self, point: datetime) -> float:
        """How much of a point lies in the span; the last may be cut short."""
        return min(self.step_seconds, (self.end - point).total_seconds())


def report_question(start: datetime, end: datetime, top: int = 10) -> ReportQuestion:
    """The question for a span: a step that gives a picture as many points as can be seen, and no more."""
    whole_end = floor_time(end, BUCKET_SECONDS)
    seconds = max((whole_end - start).total_seconds(), BUCKET_SECONDS)
    step = next((step for step in _STEPS if seconds / step <= _MOST_POINTS), _STEPS[-1])
    first = floor_time(start, step)
    return ReportQuestion(first, max(whole_end, first + timedelta(seconds=BUCKET_SECONDS)), step, top)


@dataclass(frozen=True, slots=True)
class SectionTotals:
    """The numbers of one section in a span."""

    name: str
    hits: int
    bytes: int
    status_4xx: int
    status_5xx: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a report shows; lists of numbers have one for each of the question's points.

    Attributes:
        question: what was asked.
        hits, bytes: of each point.
        status: by status class, hits of each point.
        sections: the busiest sections by falling hits, and hits of each point.
        other_sections: hits of each point in all other sections.
        section_totals: the same sections' numbers in the span.
        peak: hits of the busiest 10 s bucket.
        alerts: the alert documents of the span, oldest first.
        clients, paths: names and hits, of raw data.
        unparsed: lines that arrived in the span and could not be parsed.
        newest_summary: start of the newest summarised bucket; None while there is none.
    """

    question: ReportQuestion
    hits: tuple[int, ...]
    bytes: tuple[int, ...]
    status: Mapping[str, tuple[int, ...]]
    sections: tuple[tuple[str, tuple[int, ...]], ...]
    other_sections: tuple[int, ...]
    section_totals: tuple[SectionTotals, ...]
    peak: int
    alerts: tuple[Alert, ...]
    clients: tuple[tuple[str, int], ...]
    paths: tuple[tuple[str, int], ...]
    unparsed: int
    newest_summary: datetime | None


def report_searches(names: Names, question: ReportQuestion) -> list[Search]:
    """The searches of one report, for ``_msearch``, in the order in which ``shape_report`` reads them."""
    raw = search_header(names.raw, may_be_absent=True)
    span = between(question.start, question.end)
    return [
        (tiers_header(names.sections, names.of("sections_hourly")), _sections(names.sections, question)),
        (tiers_header(names.traffic, names.of("traffic_hourly")), _traffic(names.traffic, question)),
        (search_header(names.traffic), _newest()),
        (
            search_header(names.alerts),
            alerts_search(AlertFilter(since=question.start, until=question.end), _MOST_ALERTS),
        ),
        (raw, _raw(span, question.top)),
        (raw, _unparsed(span)),
    ]


def shape_report(question: ReportQuestion, answers: Sequence[Mapping[str, Any]]) -> Report:
    """Shape the answers to ``report_searches``, none of which may hold an error."""
    sections, traffic, newest, alerts, raw, unparsed = answers
    place = {point: number for number, point in enumerate(question.points)}
    curves = traffic["aggregations"]["points"]["buckets"]
    hits = _curve(curves, "hits", place)
    named = [
        (str(node["key"]), _curve(node["points"]["buckets"], "hits", place))
        for node in sections["aggregations"]["sections"]["buckets"]
    ]
    total = _curve(sections["aggregations"]["points"]["buckets"], "hits", place)
    peaks = traffic["aggregations"]
    latest = newest["aggregations"]["newest"].get("value")
    return Report(
        question=question,
        hits=hits,
        bytes=_curve(curves, "bytes", place),
        status={name: _curve(curves, name, place) for name in STATUS_CLASSES},
        sections=tuple(named),
        other_sections=tuple(
            whole - sum(curve[number] for _, curve in named) for number, whole in enumerate(total)
        ),
        section_totals=tuple(
            SectionTotals(
                name=str(node["key"]),
                hits=_whole(node["hits"]),
                bytes=_whole(node["bytes"]),
                status_4xx=_whole(node["4xx"]),
                status_5xx=_whole(node["5xx"]),
            )
            for node in sections["aggregations"]["sections"]["buckets"]
        ),
        peak=max(_whole(peaks["fine"]["peak"]), _whole(peaks["peak"])),
        alerts=shape_alerts(alerts),
        clients=_named(raw, "clients"),
        paths=_named(raw, "paths"),
        unparsed=int(unparsed["hits"]["total"]["value"]),
        newest_summary=None if latest is None else parse_time(latest),
    )


# -- the searches ---------------------------------------------------------------------------------------


def _span_query(alias: str, question: ReportQuestion) -> dict[str, Any]:
    # Hours do where a point is an hour or more; else they would show as spikes.
    whole_hours = question.step_seconds >= HOUR_SECONDS
    cut = tier_cut(question.end) if whole_hours else question.start
    return over_tiers(alias, question.start, question.end, max(cut, question.start))


def _points(question: ReportQuestion, aggregations: dict[str, Any]) -> dict[str, Any]:
    return {
        "date_histogram": {
            "field": "@timestamp",
            "fixed_interval": f"{question.step_seconds}s",
            "min_doc_count": 1,
        },
        "aggs": aggregations,
    }


def _sum(field: str) -> dict[str, Any]:
    return {"sum": {"field": f"httpmon.{field}"}}


def _sections(alias: str, question: ReportQuestion) -> dict[str, Any]:
    points = _points(question, {"hits": _sum("hits")})
    return {
        "size": 0,
        "track_total_hits": False,
        "query": _span_query(alias, question),
        "aggs": {
            "points": points,
            "sections": {
                "terms": {
                    "field": "httpmon.section",
                    "size": question.top,
                    "shard_size": 10_000,
                    "order": [{"hits": "desc"}, {"_key": "asc"}],
                    # First the sections, then the points of those that are named only.
                    "collect_mode": "breadth_first",
                },
                "aggs": {
                    "hits": _sum("hits"),
                    "bytes": _sum("bytes"),
                    "4xx": _sum("status.4xx"),
                    "5xx": _sum("status.5xx"),
                    "points": points,
                },
            },
        },
    }


def _traffic(alias: str, question: ReportQuestion) -> dict[str, Any]:
    sums = {"hits": _sum("hits"), "bytes": _sum("bytes")}
    sums |= {name: _sum(f"status.{name}") for name in STATUS_CLASSES}
    return {
        "size": 0,
        "track_total_hits": False,
        "query": _span_query(alias, question),
        "aggs": {
            "points": _points(question, sums),
            "peak": {"max": {"field": "httpmon.peak"}},
            "fine": {"filter": fine_tier(alias), "aggs": {"peak": {"max": {"field": "httpmon.hits"}}}},
        },
    }


def _newest() -> dict[str, Any]:
    return {"size": 0, "track_total_hits": False, "aggs": {"newest": {"max": {"field": "@timestamp"}}}}


def _raw(span: dict[str, Any], top: int) -> dict[str, Any]:
    def terms(field: str) -> dict[str, Any]:
        return {"terms": {"field": field, "size": top, "order": [{"_count": "desc"}, {"_key": "asc"}]}}

    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": [{"term": {"event.kind": "event"}}, span]}},
        "aggs": {"clients": terms("source.address"), "paths": terms("url.path")},
    }


def _unparsed(span: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": {"filter": [{"term": {"event.kind": "pipeline_error"}}, span]}},
    }


# -- the answers ----------------------------------------------------------------------------------------


def _whole(aggregation: Mapping[str, Any]) -> int:
    return int(aggregation.get("value") or 0)


def _curve(buckets: Sequence[Mapping[str, Any]], name: str, place: Mapping[datetime, int]) -> tuple[int, ...]:
    """One number a point; points that the answer lacks had nothing."""
    curve = [0] * len(place)
    for bucket in buckets:
        number = place.get(datetime.fromtimestamp(bucket["key"] / 1000, UTC))
        if number is not None:
            curve[number] = _whole(bucket[name])
    return tuple(curve)


def _named(answer: Mapping[str, Any], name: str) -> tuple[tuple[str, int], ...]:
    # Without any raw index there is no aggregation in the answer.
    buckets = ((answer.get("aggregations") or {}).get(name) or {}).get("buckets") or []
    return tuple((str(bucket["key"]), int(bucket["doc_count"])) for bucket in buckets)
