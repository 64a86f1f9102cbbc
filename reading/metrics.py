"""A tick as Prometheus metrics. Pure but for the types, which are ``prometheus-client``'s own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reading.buckets import summary_age
from reading.rule import TrafficRule
from reading.tick import SectionCounts, Tick


class TickCollector(Collector):
    """Answers each scrape with a new tick; ``httpmon_up`` is 0 while there is none.

    Args:
        read: reads the last complete interval, or returns None when it cannot.
        rule: the high-traffic rule.
        clock: the time, UTC.
    """

    def __init__(
        self, read: Callable[[], Tick | None], rule: TrafficRule, clock: Callable[[], datetime]
    ) -> None:
        self._read = read
        self._rule = rule
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Every metric, as ``prometheus-client`` asks for them."""
        tick = self._read()
        yield GaugeMetricFamily(
            "httpmon_up", "Whether the summaries can be read.", value=0 if tick is None else 1
        )
        if tick is not None:
            yield from tick_metrics(tick, self._rule, now=self._clock())


def tick_metrics(tick: Tick, rule: TrafficRule, *, now: datetime) -> Iterator[Metric]:
    """The metrics of one tick; those of an interval are of the last complete one."""
    question = tick.question
    yield _counter("httpmon_hits", "Hits in the summaries.", tick.overall_hits)
    yield _counter("httpmon_response_bytes", "Bytes sent, in the summaries.", tick.overall_bytes)
    yield _counter("httpmon_unparsed_lines", "Lines that could not be parsed.", tick.unparsed)
    yield _counter("httpmon_header_lines", "Lines that name the columns of others.", tick.headers)
    yield _gauge("httpmon_interval_hits_per_second", "Hits/s in the interval.", tick.hits / question.seconds)
    yield _gauge(
        "httpmon_window_hits_per_second",
        "Hits/s over the window of the high-traffic rule.",
        tick.window_hits / question.window_seconds,
    )
    yield _gauge("httpmon_traffic_threshold_hits_per_second", "The rule's threshold.", rule.threshold)
    if tick.clients is not None:
        yield _gauge("httpmon_interval_clients", "Distinct clients in the interval.", tick.clients)
    status = GaugeMetricFamily(
        "httpmon_interval_status_hits", "Hits in the interval by status class.", labels=["class"]
    )
    for name, hits in tick.status.items():
        status.add_metric([name], hits)
    yield status
    yield from _section_metrics([*tick.sections, ("(others)", tick.others)])
    if tick.newest_summary is not None:
        yield _gauge(
            "httpmon_summary_age_seconds",
            "Time since the newest summary's end; 0 while its bucket goes on.",
            summary_age(tick.newest_summary, now),
        )
    if tick.newest_hit is not None:
        yield _gauge(
            "httpmon_newest_hit_age_seconds",
            "Time since the newest raw hit.",
            (now - tick.newest_hit).total_seconds(),
        )
    alerts = GaugeMetricFamily(
        "httpmon_alert_open", "1 for each rule whose alert is open.", labels=["rule", "silenced"]
    )
    for alert in tick.open_alerts:
        silenced = tick.operations.silenced(alert.rule_id, now) is not None
        alerts.add_metric([alert.rule_id, "true" if silenced else "false"], 1)
    yield alerts


def _section_metrics(sections: Iterable[tuple[str, SectionCounts]]) -> Iterator[Metric]:
    hits = GaugeMetricFamily("httpmon_section_interval_hits", "Hits in the interval.", labels=["section"])
    errors = GaugeMetricFamily(
        "httpmon_section_interval_errors", "Hits in the interval with status 5xx.", labels=["section"]
    )
    for name, counts in sections:
        hits.add_metric([name], counts.hits)
        errors.add_metric([name], counts.status_5xx)
    yield hits
    yield errors


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(name, description, value=value)


def _counter(name: str, description: str, value: float) -> Metric:
    return CounterMetricFamily(name, description, value=value)
