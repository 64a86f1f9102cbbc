"""Measures how punctual the scheduler is and what it costs, under load; by hand, in a namespace of its own.

    python bench/scheduler_accuracy.py --url http://127.0.0.1:9200 --seconds 600 --watches 20 --rate 500

Beside the built-in pack, whose rules run every 10 s, there are copies of a watch with a search, a script
condition and an index action that now and then writes. Lines go through the ingest pipeline at a steady rate.
The scheduler is a process of its own. When a run began is taken from its record; processor time and memory of
the process from the kernel.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.installation import provision
from provisioning.settings import EngineSettings, Settings
from tests.conftest import remove_namespace
from tests.e2e.processes import Httpmon
from tests.node.summaries import log_line

INTERVAL = 10
BATCHES_A_SECOND = 5
# The limits that are set for it.
MOST_P99_SECONDS = 0.250
MOST_CPU_PERCENT = 5.0
MOST_RSS_MEGABYTES = 90.0


def watch(number: int, settings: Settings) -> dict[str, Any]:
    """One that searches, decides by a script, and writes a document about once a minute."""
    names = settings.names
    window = {"range": {"@timestamp": {"gte": "{{ctx.trigger.scheduled_time}}||-60s"}}}
    sums = {"hits": {"sum": {"field": "httpmon.hits"}}}
    return {
        "trigger": {"schedule": {"interval": f"{INTERVAL}s"}},
        "throttle_period": "0s",
        "input": {
            "search": {
                "request": {
                    "indices": [names.traffic],
                    "body": {"size": 0, "query": window, "aggs": sums},
                }
            }
        },
        "condition": {
            "script": {
                "source": "return ctx.payload.aggregations.hits.value >= 0 && "
                "ctx.trigger.scheduled_time.getSecond() == params.second",
                "params": {"second": number % 6 * INTERVAL},
            }
        },
        "actions": {"write": {"index": {"index": names.of("bench_documents")}}},
    }


def load(engine: Engine, settings: Settings, rate: int, over: threading.Event) -> None:
    """Send lines at a steady rate."""
    number = 0
    next_at = time.monotonic()
    while not over.wait(max(0.0, next_at - time.monotonic())):
        moment = datetime.now(UTC)
        lines = []
        for _ in range(max(1, rate // BATCHES_A_SECOND)):
            number += 1
            text = log_line(moment, f"/section{number % 40}/{number % 500}", client=f"192.0.2.{number % 250}")
            lines.append(f'{{"create":{{}}}}\n{json.dumps({"event": {"original": text}})}\n')
        engine.bulk("".join(lines).encode(), target=settings.names.raw, params={"filter_path": "errors"})
        next_at += 1 / BATCHES_A_SECOND


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def delays(records: list[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Seconds from a scheduled time to the begin of its run, by watch."""
    found: dict[str, list[float]] = {}
    for record in records:
        scheduled = datetime.fromisoformat(record["trigger_event"]["schedule"]["scheduled_time"])
        began = datetime.fromisoformat(record["result"]["execution_time"])
        found.setdefault(record["watch_id"], []).append((began - scheduled).total_seconds())
    return found


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def records_between(engine: Engine, settings: Settings, start: datetime, end: datetime) -> list[Any]:
    field = "trigger_event.schedule.scheduled_time"
    bounds = {"gt": start.isoformat(), "lte": end.isoformat()}
    engine.request("POST", f"/{settings.names.watch_history}/_refresh")
    found: list[Any] = []
    body: dict[str, Any] = {
        "size": 5000,
        "query": {"range": {field: bounds}},
        "sort": [{field: "asc"}, {"watch_id": "asc"}],
        "_source": ["watch_id", "trigger_event", "result.execution_time"],
    }
    while hits := engine.request("POST", f"/{settings.names.watch_history}/_search", body=body)["hits"][
        "hits"
    ]:
        found += [hit["_source"] for hit in hits]
        body["search_after"] = hits[-1]["sort"]
    return found


def measure(
    engine: Engine, settings: Settings, process: subprocess.Popen[bytes], given: argparse.Namespace
) -> int:
    """Let it run, and print what came of it; 1 where a limit is passed."""
    time.sleep(15)  # imports, first compilations, first checkpoints
    start, began = engine.now(), time.monotonic()
    before = processor_seconds(process.pid)
    time.sleep(given.seconds)
    used = (processor_seconds(process.pid) - before) / (time.monotonic() - began) * 100
    end = engine.now()
    peak, present = megabytes(process.pid, "VmHWM"), megabytes(process.pid, "VmRSS")
    time.sleep(INTERVAL)  # those that wait for summaries, and the last writes
    by_watch = delays(records_between(engine, settings, start, end))
    counts = Counter(len(found) for found in by_watch.values())
    punctual = {name: found for name, found in by_watch.items() if "-bench-watch-" in name}
    all_delays = [delay for found in punctual.values() for delay in found]
    expected = math.floor(end.timestamp() / INTERVAL) - math.floor(start.timestamp() / INTERVAL)
    missed = sum(expected - len(punctual.get(name, [])) for name in punctual)
    rules = [delay for name, found in by_watch.items() if name not in punctual for delay in found]
    p99 = quantile(all_delays, 0.99)
    print(f"{len(by_watch)} watches, {given.seconds} s, {given.rate} lines/s; load {os.getloadavg()[1]:.1f}")
    print(f"runs: {len(all_delays)} of {expected * len(punctual)}; runs a watch: {dict(counts)}")
    print(
        f"start after its time: p50 {quantile(all_delays, 0.5) * 1000:.0f} ms, "
        f"p95 {quantile(all_delays, 0.95) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
        f"most {max(all_delays) * 1000:.0f} ms"
    )
    if rules:
        print(
            f"rules, which wait for summaries: p50 {quantile(rules, 0.5) * 1000:.0f} ms, "
            f"p99 {quantile(rules, 0.99) * 1000:.0f} ms"
        )
    print(f"processor {used:.1f} % of a core; memory {present:.0f} MB, at most {peak:.0f} MB")
    good = (
        missed == 0
        and p99 <= MOST_P99_SECONDS
        and used <= MOST_CPU_PERCENT
        and peak <= MOST_RSS_MEGABYTES
        and len(punctual) == given.watches
    )
    return 0 if good else 1


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--watches", type=int, default=20, help="beside the rules of the built-in pack")
    arguments.add_argument("--rate", type=int, default=500, help="lines a second")
    given = arguments.parse_args()
    namespace = f"bench{uuid.uuid4().hex[:8]}"
    settings = Settings(namespace=namespace, engine=EngineSettings(url=given.url))
    engine = Engine(Connection(given.url))
    over = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        httpmon = Httpmon(given.url, namespace, Path(folder))
        loader = threading.Thread(target=load, args=(engine, settings, given.rate, over))
        try:
            provision(engine, settings)
            for number in range(given.watches):
                identifier = settings.names.of(f"bench_watch_{number}")
                document = {
                    "type": "definition", "id": identifier, "body": watch(number, settings), "active": True,
                }  # fmt: skip
                path = f"/{settings.names.watch_store}/_doc/{identifier}"
                engine.request("PUT", path, body=document, params={"refresh": True})
            loader.start()
            code = measure(engine, settings, httpmon.start("scheduler"), given)
            sys.stderr.write((Path(folder) / "scheduler-0.out").read_text())
            return code
        finally:
            over.set()
            httpmon.stop_all()
            if loader.is_alive():
                loader.join()
            remove_namespace(engine, namespace)


if __name__ == "__main__":
    sys.exit(main())
