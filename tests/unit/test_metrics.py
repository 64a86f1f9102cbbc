"""Guards the metrics for Prometheus: their names are a promise, and an engine that is away is told by one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from engine.errors import UsageError
from reading.listen import listen_address
from reading.metrics import TickCollector
from reading.rule import TrafficRule
from reading.tick import Tick
from tests.unit.ticks import NOW, busy_tick

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def scraped(tick: Tick | None) -> dict[str, float]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TickCollector(lambda: tick, TrafficRule(), lambda: NOW))
    lines = generate_latest(registry).decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_the_numbers_of_a_busy_tick() -> None:
    numbers = scraped(replace(busy_tick(), headers=4))
    assert numbers["httpmon_up"] == 1
    assert numbers["httpmon_hits_total"] == 20_500
    assert numbers["httpmon_unparsed_lines_total"] == 3
    assert numbers["httpmon_header_lines_total"] == 4
    assert numbers["httpmon_interval_hits_per_second"] == 12.8
    assert numbers["httpmon_window_hits_per_second"] == 10.0
    assert numbers["httpmon_traffic_threshold_hits_per_second"] == 10.0
    assert numbers['httpmon_interval_status_hits{class="4xx"}'] == 12
    assert numbers['httpmon_section_interval_hits{section="/pages"}'] == 120
    assert numbers['httpmon_section_interval_hits{section="(others)"}'] == 3
    assert numbers['httpmon_alert_open{rule="high-traffic",silenced="false"}'] == 1
    assert numbers["httpmon_summary_age_seconds"] == pytest.approx(8.2)


def test_no_engine_is_a_number_too() -> None:
    assert scraped(None) == {"httpmon_up": 0}


def test_each_metric_is_documented() -> None:
    page = PAGE.read_text()
    for name in scraped(busy_tick()):
        assert f"`{re.sub('{.*', '', name)}" in page


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    dashboard = json.loads((PAGE.parent / "grafana-dashboard.json").read_text())
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"httpmon_\w+", target["expr"])
    }
    assert shown == {re.sub("{.*", "", name) for name in scraped(busy_tick())}
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places), "a Grafana row has 24 columns"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9640", ("127.0.0.1", 9640)), ("[::1]:0", ("::1", 0)), ("localhost:80", ("localhost", 80))],
)
def test_where_to_listen(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize("text", ["9640", "127.0.0.1", "127.0.0.1:99999", ":", "host:port"])
def test_where_not_to_listen(text: str) -> None:
    with pytest.raises(UsageError, match="--listen"):
        listen_address(text)
