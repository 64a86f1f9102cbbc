"""Guards the reference rule: the right events at the right bucket ends with the right hits, through restarts.

The traffic goes the whole way: lines through the pipeline, transforms over the raw documents, and the watch
of the built-in pack over the summaries, once for each of its scheduled times.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.client import Engine
from engine.connection import Connection
from provisioning.installation import provision
from provisioning.settings import Settings
from reading.console import silence
from scheduler.transforms.service import TransformService
from scheduler.watches.service import WatchService
from tests.e2e.processes import await_that
from tests.node.counting_proxy import CountingProxy
from tests.node.receivers import receiving
from tests.node.summaries import QuickClock, send_lines, settle
from tests.node.watch_runs import Clock, leave_active, run_watches

BUCKET = 10
START = 1_700_000_003  # not at a bucket's beginning


class Event(NamedTuple):
    """What a rule says: what happened, at which bucket end (epoch seconds), with how many hits."""

    action: str
    at: int
    hits: int


@pytest.fixture
def provisioned(engine: Engine, provisioned: Settings) -> Settings:
    """The built-in pack, with this rule as the only one that runs."""
    leave_active(engine, provisioned, "high_traffic")
    return provisioned


def line(epoch: int, section: str = "/api", status: int = 200) -> str:
    at = datetime.fromtimestamp(epoch, UTC)
    return f'192.0.2.1 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET {section}/x HTTP/1.1" {status} 100'


def summarise(engine: Engine, settings: Settings, lines: Sequence[str]) -> None:
    for first in range(0, len(lines), 2000):
        send_lines(engine, settings, lines[first : first + 2000], first=first)
    service = TransformService(engine, settings.names, monotonic=QuickClock())
    try:
        settle(engine, service, ticks=20_000)
    finally:
        service.close()
    engine.request("POST", f"/{settings.names.traffic}/_refresh")


def events(engine: Engine, settings: Settings) -> list[Event]:
    found = engine.request(
        "POST", f"/{settings.names.alerts}/_search", body={"size": 1000, "sort": ["httpmon.alert.seq"]}
    )["hits"]["hits"]
    return [
        Event(
            hit["_source"]["event"]["action"],
            int(datetime.fromisoformat(hit["_source"]["@timestamp"]).timestamp()),
            hit["_source"]["httpmon"]["alert"]["hits"],
        )
        for hit in found
    ]


def expected_events(
    times: Sequence[int], *, start: int, end: int, threshold: float, recovery: float, window: int
) -> list[Event]:
    """The rule in plain Python: at each bucket's end, the average over the window before it."""
    hits = Counter(time - time % BUCKET for time in times)
    said: list[Event] = []
    active = False
    for bucket_end in range(start - start % BUCKET, end + 1, BUCKET):
        count = sum(hits[bucket_end - back] for back in range(BUCKET, window + 1, BUCKET))
        rate = count / window
        if not active and rate > threshold:
            said.append(Event("triggered", bucket_end, count))
        elif active and rate <= recovery:
            said.append(Event("recovered", bucket_end, count))
        else:
            continue
        active = not active
    return said


def made_times(seed: int, seconds: int) -> list[int]:
    """Hits of a traffic that swings around the threshold, out of order by up to 2 s."""
    dice = random.Random(seed)
    times: list[int] = []
    rate = 5.0
    for second in range(seconds):
        if second % 40 == 0:
            rate = dice.choice((0.0, 2.0, 9.0, 11.0, 25.0))
        count = int(rate) + (dice.random() < rate % 1)
        times += [START + second] * count
    return sorted(times, key=lambda time: time + dice.uniform(0, 2))


@pytest.mark.parametrize("restarts", [0, 5], ids=["one scheduler", "restarted five times"])
def test_made_up_traffic_gives_the_events_of_a_plain_count(
    engine: Engine, settings: Settings, restarts: int
) -> None:
    rule = {"threshold": 10.0, "recovery_threshold": 8.0, "window": "1m"}
    settings = settings.model_copy(update={"parameters": {"high_traffic": rule}})
    provision(engine, settings)
    leave_active(engine, settings, "high_traffic")
    times = made_times(seed=11, seconds=600)
    summarise(engine, settings, [line(time) for time in times])
    clock, end = Clock(START), START + 700
    for part in range(1, restarts + 1):
        run_watches(engine, settings, clock, START + 700 * part / (restarts + 1))
    run_watches(engine, settings, clock, end)
    expected = expected_events(times, start=START, end=end - 7, threshold=10.0, recovery=8.0, window=60)
    assert len(expected) >= 4
    assert events(engine, settings) == expected


def test_a_run_takes_three_requests_and_running_again_says_nothing_twice(
    engine: Engine, engine_url: str, provisioned: Settings
) -> None:
    times = [START + second for second in range(60) for _ in range(40)]
    summarise(engine, provisioned, [line(time) for time in times])
    with CountingProxy(engine_url) as proxy, Engine(Connection(proxy.url)) as counted:
        run_watches(counted, provisioned, Clock(START), START + 300)
    before = events(engine, provisioned)
    assert [event.action for event in before] == ["triggered", "recovered"]
    # What is asked once, or once a second; all the rest is for the runs, of which 30 were due.
    store = provisioned.names.watch_store
    looks = {
        "GET /",
        f"POST /{store}/_search",
        f"GET /{store}/_doc/{provisioned.names.of('high_traffic')}:status",
        *(f"POST /{index}/_delete_by_query" for index in (store, provisioned.names.watch_history)),
    }
    of_runs = [one for one in proxy.requests if one not in looks]
    assert 60 < len(of_runs) <= 3 * 30, Counter(of_runs)
    # The scheduler's memory is lost; what was said is in the alert documents.
    status = f"/{provisioned.names.watch_store}/_doc/{provisioned.names.of('high_traffic')}:status"
    engine.request("DELETE", status, params={"refresh": True})
    run_watches(engine, provisioned, Clock(START), START + 300)
    assert events(engine, provisioned) == before


def test_two_schedulers_at_once_say_everything_once(engine: Engine, provisioned: Settings) -> None:
    times = made_times(seed=12, seconds=400)
    summarise(engine, provisioned, [line(time) for time in times])
    clock, end = Clock(START), START + 500
    services = [WatchService(engine, provisioned.names, clock=clock, instance=name) for name in ("a", "b")]
    try:
        for service in services:
            service.tick()
        clock.epoch = end
        while not all(service.idle() for service in services):
            for service in services:
                service.tick()
                service.wait(0.05)
    finally:
        for service in services:
            service.close()
    expected = expected_events(times, start=START, end=end - 7, threshold=10.0, recovery=10.0, window=120)
    assert len(expected) >= 1
    assert events(engine, provisioned) == expected


def test_a_silenced_rule_writes_its_documents_and_tells_nobody(engine: Engine, settings: Settings) -> None:
    with receiving() as receiver:
        rule = {"window": "20s", "webhook": f"http://127.0.0.1:{receiver.port}/alerts?to=us"}
        settings = settings.model_copy(update={"parameters": {"high_traffic": rule}})
        provision(engine, settings)
        leave_active(engine, settings, "high_traffic")
        start = START - START % BUCKET
        # 20 hits/s for 40 s, four times, with 60 s of rest behind each.
        times = [start + turn * 100 + second for turn in range(4) for second in range(40) for _ in range(20)]
        summarise(engine, settings, [line(time) for time in times])

        def quiet(rule_id: str, begin: int, end: int) -> None:
            at = [datetime.fromtimestamp(start + seconds, UTC) for seconds in (begin, end)]
            silence(engine, settings.names, rule_id, starts_at=at[0], ends_at=at[1], reason="a test")

        quiet("high-traffic", 100, 200)
        quiet("another-rule", 0, 1000)
        quiet("*", 300, 340)
        run_watches(engine, settings, Clock(start), start + 420)
    found = engine.request(
        "POST", f"/{settings.names.alerts}/_search", body={"size": 100, "sort": ["httpmon.alert.seq"]}
    )["hits"]["hits"]
    flags = [
        (hit["_source"]["event"]["action"], hit["_source"]["httpmon"]["alert"]["silenced"]) for hit in found
    ]
    # The last recovery comes after its silence is over.
    assert flags == [
        ("triggered", False), ("recovered", False), ("triggered", True), ("recovered", True),
        ("triggered", False), ("recovered", False), ("triggered", True), ("recovered", False),
    ]  # fmt: skip
    told = [json.loads(body)["httpmon"]["alert"]["seq"] for body in receiver.bodies]
    assert told == [number for number, (_, silenced) in enumerate(flags, 1) if not silenced]


def test_old_records_of_runs_go_and_young_ones_stay(engine: Engine, provisioned: Settings) -> None:
    history = provisioned.names.watch_history
    for age, name in (("2020-01-01T00:00:00Z", "old"), (datetime.now(UTC).isoformat(), "young")):
        engine.request("PUT", f"/{history}/_doc/{name}", body={"@timestamp": age}, params={"refresh": True})
    service = WatchService(engine, provisioned.names)
    try:
        service.tick()
    finally:
        service.close()

    def left() -> list[str]:
        engine.request("POST", f"/{history}/_refresh")
        hits = engine.request("POST", f"/{history}/_search", body={})["hits"]["hits"]
        return [hit["_id"] for hit in hits]

    await_that(lambda: left() == ["young"], "the old record goes")


def test_an_alert_document_tells_its_whole_story(engine: Engine, settings: Settings) -> None:
    rule = {"window": "20s", "renotify": "1m", "no_data": "1m"}
    settings = settings.model_copy(update={"parameters": {"high_traffic": rule}})
    provision(engine, settings)
    leave_active(engine, settings, "high_traffic")
    start = START - START % BUCKET
    times = [start + second for second in range(100) for _ in range(20)]
    summarise(engine, settings, [line(time) for time in times])
    run_watches(engine, settings, Clock(start), start + 260)
    found = engine.request("POST", f"/{settings.names.alerts}/_search", body={"sort": ["httpmon.alert.seq"]})[
        "hits"
    ]["hits"]
    told = [
        (hit["_source"]["event"]["action"], _seconds(hit["_source"]["@timestamp"]) - start) for hit in found
    ]
    # 20 hits/s from 0 to 100 s over a window of 20 s; nothing for a minute at 160 s.
    assert told == [("triggered", 20), ("renotified", 80), ("recovered", 110), ("no_data", 160)]
    triggered, renotified, recovered, no_data = (hit["_source"]["httpmon"]["alert"] for hit in found)
    assert triggered["id"] == renotified["id"] == recovered["id"] == found[0]["_id"]
    assert no_data["id"] == found[3]["_id"] != triggered["id"]
    assert [one["seq"] for one in (triggered, renotified, recovered, no_data)] == [1, 2, 3, 4]
    assert (triggered["value"], triggered["hits"], triggered["threshold"]) == (20.0, 400, 10.0)
    assert triggered["window"] == 20
    assert _seconds(recovered["started_at"]) - start == 20
    assert _seconds(recovered["ended_at"]) - start == 110
    assert recovered["duration"] == 90
    assert triggered["ended_at"] is None
    assert found[0]["_source"]["rule"] == {"id": "high-traffic", "name": "High traffic"}


def test_the_golden_sequence_comes_out_event_for_event(
    engine: Engine, provisioned: Settings, shared_folder: Path
) -> None:
    golden: dict[str, Any] = json.loads((shared_folder / "corpus" / "golden-traffic.json").read_text())
    t0 = golden["t0"]
    lines = [line(t0 + offset, section, status) for offset, section, status in golden["lines"]]
    summarise(engine, provisioned, lines)
    run_watches(engine, provisioned, Clock(t0), t0 + 600)
    assert events(engine, provisioned) == [
        Event(one["action"], one["bucket_end_epoch"], one["hits_in_window"]) for one in golden["expected"]
    ]
    assert timedelta(seconds=golden["window_seconds"]) == timedelta(minutes=2)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
