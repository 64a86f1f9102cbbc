"""How long a tick of `httpmon tail` and a report take over many days of summaries, and much raw data.

    python bench/tail_tick.py --url http://127.0.0.1:9200 --days 30 --raw 1000000

Writes summaries as the transforms would, into a namespace of its own, which it removes in the end. The raw
documents have the fields that are read here, no more.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from provisioning.rendering import render_all
from provisioning.settings import EngineSettings, Settings
from reading.console import read_report, read_tick
from reading.report import report_question
from reading.tick import Question

SECTIONS = [f"/section{number}" for number in range(10)]
BATCH = 5000

Document = tuple[str, dict[str, Any]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--raw", type=int, default=1_000_000)
    arguments.add_argument("--ticks", type=int, default=100)
    options = arguments.parse_args()
    settings = Settings(namespace="benchtail", engine=EngineSettings(url=options.url))
    with Engine(Connection(options.url, request_timeout_seconds=120)) as engine:
        try:
            install(engine, settings)
            end = datetime.fromtimestamp(time.time() // 10 * 10, UTC)
            write(engine, summaries(settings, end, options.days))
            engine.request("POST", f"/{settings.names.prefix}-*/_refresh")
            measure(engine, settings, end, options, "no raw data")
            write(engine, raw(settings, end, options.raw))
            engine.request("POST", f"/{settings.names.raw}/_refresh")
            measure(engine, settings, end, options, f"{options.raw:,} raw documents")
        finally:
            remove(engine, settings)


def install(engine: Engine, settings: Settings) -> None:
    rendered = render_all(settings, engine.capabilities())
    for kind, path in (
        ("component_template", "_component_template"),
        ("pipeline", "_ingest/pipeline"),
        ("index_template", "_index_template"),
    ):
        for one in rendered:
            if one.kind == kind:
                engine.request("PUT", f"/{path}/{one.name}", body=one.body)
    for one in rendered:
        if one.kind == "index":
            engine.request("PUT", f"/{one.name}-000001", body=one.body | {"aliases": {one.name: {}}})


def remove(engine: Engine, settings: Settings) -> None:
    engine.request("DELETE", f"/_data_stream/{settings.names.raw}*")
    for index in engine.request("GET", f"/{settings.names.prefix}-*/_alias"):
        engine.request("DELETE", f"/{index}")
    for path in ("_index_template", "_component_template", "_ingest/pipeline"):
        engine.request("DELETE", f"/{path}/{settings.names.prefix}-*")


def summaries(settings: Settings, end: datetime, days: int) -> Iterator[Document]:
    names = settings.names
    chance = random.Random(1)
    hours: dict[datetime, dict[str, int]] = {}
    for number in range(days * 8640, 0, -1):
        bucket = end - timedelta(seconds=10 * number)
        hour = hours.setdefault(bucket.replace(minute=0, second=0), dict.fromkeys(SECTIONS, 0))
        total = 0
        for section in SECTIONS:
            hits = chance.randrange(1, 30)
            total += hits
            hour[section] += hits
            yield f"{names.sections}-000001", summary(bucket, hits, section=section)
        top = {f"192.0.2.{chance.randrange(250)}": hits for hits in range(20)}
        tops = {"clients": top, "paths": top, "agents": top}
        yield f"{names.traffic}-000001", summary(bucket, total, clients=99, top=tops)
    for start, counts in hours.items():
        yield f"{names.of('traffic_hourly')}-000001", summary(start, sum(counts.values()), peak=99)
        for section, hits in counts.items():
            yield f"{names.of('sections_hourly')}-000001", summary(start, hits, section=section)


def summary(start: datetime, hits: int, **more: Any) -> dict[str, Any]:
    status = {"2xx": hits, "3xx": 0, "4xx": 0, "5xx": 0}
    return {
        "@timestamp": start.isoformat(),
        "httpmon": {"hits": hits, "bytes": hits * 1000, "status": status, **more},
    }


def raw(settings: Settings, end: datetime, count: int) -> Iterator[Document]:
    for number in range(count):
        document = {
            "@timestamp": (end - timedelta(seconds=(count - number) / 10)).isoformat(),
            "event": {"kind": "pipeline_error" if number % 1000 == 0 else "event"},
            "source": {"address": f"192.0.2.{number % 250}"},
            "url": {"path": f"/{number % 1000}"},
        }
        yield settings.names.raw, document


def write(engine: Engine, documents: Iterable[Document]) -> None:
    started = time.monotonic()
    lines: list[str] = []
    count = 0
    for index, document in documents:
        lines += (json.dumps({"create": {"_index": index}}), json.dumps(document))
        count += 1
        if len(lines) >= 2 * BATCH:
            send(engine, lines)
            lines = []
    if lines:
        send(engine, lines)
    print(f"{count:,} documents written in {time.monotonic() - started:.0f} s")


def send(engine: Engine, lines: list[str]) -> None:
    answer = engine.bulk(("\n".join(lines) + "\n").encode(), params={"pipeline": "_none"})
    if answer["errors"]:
        raise SystemExit(f"refused: {answer['items'][0]}")


def measure(
    engine: Engine, settings: Settings, end: datetime, options: argparse.Namespace, what: str
) -> None:
    def tick(number: int) -> None:
        read_tick(engine, settings.names, Question(end=end - timedelta(seconds=10 * number)))

    ticks = [seconds(lambda number=number: tick(number)) for number in range(options.ticks)]
    show(f"tick over {options.days} days, {what}", ticks)
    for days in (1, options.days):
        question = report_question(end - timedelta(days=days), end)
        reports = [
            seconds(lambda question=question: read_report(engine, settings.names, question)) for _ in range(5)
        ]
        show(f"report over {days} days, {what}", reports)
    command = [sys.executable, "-m", "httpmon", "--url", options.url, "--namespace", settings.namespace]
    with tempfile.TemporaryDirectory() as folder:
        report = ["report", "--from", f"{options.days}d", "-o", f"{folder}/report.html"]
        pages = [
            seconds(lambda: subprocess.run([*command, *report], check=True, capture_output=True))
            for _ in range(5)
        ]
    show(f"httpmon report over {options.days} days, from start to page, {what}", pages)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(what: str, times: list[float]) -> None:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    print(f"{what}: median {statistics.median(times) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, n {len(times)}")


if __name__ == "__main__":
    main()
