"""Measures how soon a 10 s bucket is complete in its summary, at a steady rate; run by hand, in a namespace
of its own.

    python bench/freshness.py --url http://127.0.0.1:9200 --rate 2000 --seconds 330

Lines go through the ingest pipeline as a shipper sends them. A bucket is complete when the `traffic`
document that one finds by searching has all of its lines; the time is measured from the bucket's end, by
this machine's clock.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.settings import EngineSettings, Settings
from scheduler.transforms.service import TransformService
from tests.conftest import remove_namespace
from tests.node.summaries import install_summaries, log_line

BATCHES_A_SECOND = 10


def ship(engine: Engine, settings: Settings, rate: int, until: float, sent: Counter[int]) -> None:
    """Send lines at a steady rate and count them by bucket."""
    number = 0
    next_at = time.time()
    while next_at < until:
        time.sleep(max(0.0, next_at - time.time()))
        second = int(next_at)
        moment = datetime.fromtimestamp(second, UTC)
        lines = []
        for _ in range(rate // BATCHES_A_SECOND):
            number += 1
            line = log_line(
                moment, f"/section{number % 40}/{number % 5000}", client=f"192.0.2.{number % 250}"
            )
            lines.append(f'{{"create":{{}}}}\n{json.dumps({"event": {"original": line}})}\n')
        engine.bulk("".join(lines).encode(), target=settings.names.raw, params={"filter_path": "errors"})
        sent[second - second % 10] += len(lines)
        next_at += 1 / BATCHES_A_SECOND


def summarise(service: TransformService, until: float, ticks: list[float]) -> None:
    while time.time() < until:
        began = time.perf_counter()
        service.tick()
        ticks.append(time.perf_counter() - began)
        time.sleep(0.05)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--rate", type=int, default=2000, help="lines a second")
    arguments.add_argument("--seconds", type=int, default=330)
    given = arguments.parse_args()
    settings = Settings(namespace=f"bench{uuid.uuid4().hex[:8]}", engine=EngineSettings(url=given.url))
    engine = Engine(Connection(given.url))
    sent: Counter[int] = Counter()
    ticks: list[float] = []
    try:
        install_summaries(engine, settings, delay=settings.summaries.delay)
        service = TransformService(engine, settings.names)
        until = time.time() + given.seconds
        threads = [
            threading.Thread(target=ship, args=(engine, settings, given.rate, until, sent)),
            threading.Thread(target=summarise, args=(service, until + 15, ticks)),
        ]
        for thread in threads:
            thread.start()
        first = int(time.time()) // 10 * 10 + 10
        waits: dict[int, float] = {}
        while time.time() < until + 12:
            search = {"size": 50, "sort": [{"@timestamp": "desc"}]}
            for hit in engine.request("POST", f"/{settings.names.traffic}/_search", body=search)["hits"][
                "hits"
            ]:
                bucket = int(datetime.fromisoformat(hit["_source"]["@timestamp"]).timestamp())
                over = time.time() - bucket - 10
                full = over > 0.5 and hit["_source"]["httpmon"]["hits"] == sent[bucket]
                if bucket >= first and bucket + 10 < until and full:
                    waits.setdefault(bucket, over)
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        ordered = sorted(waits.values())
        buckets = sum(first <= bucket and bucket + 10 < until for bucket in sent)
        load = os.getloadavg()[0]
        print(f"{given.rate:,} lines/s: {len(waits)} of {buckets} buckets complete; load average {load:.1f}")
        # The nearest rank: of fewer than 100 buckets, the slowest.
        p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
        print(
            f"seconds after a bucket's end: median {statistics.median(ordered):.1f}, p99 {p99:.1f}, "
            f"most {ordered[-1]:.1f}"
        )
        print(f"a tick: median {statistics.median(ticks) * 1000:.0f} ms, most {max(ticks) * 1000:.0f} ms")
    finally:
        remove_namespace(engine, settings.namespace)


if __name__ == "__main__":
    main()
