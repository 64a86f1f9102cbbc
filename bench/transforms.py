"""Measures the executor of transforms on a running engine; run by hand, in namespaces of its own.

    python bench/transforms.py --url http://127.0.0.1:9200 --lines 1000000
    python bench/transforms.py --url http://127.0.0.1:9200 --lines 1000000 10000000 --catch-ups 0

The first prints how long the first checkpoint of `sections` over all lines takes, beside the bare composite
searches alone, in turns, each answer computed anew; and then what a checkpoint with new lines costs. The
second measures such a checkpoint on much and on more data in turns: its cost depends on what changed, not on
how much there is.

To send the lines takes longest: `--keep bench` keeps them for another run, in namespaces bench1000000 and so
on, and `--remove bench` removes them.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from engine.client import Engine
from engine.connection import Connection
from engine.errors import NotFound
from provisioning.settings import EngineSettings, Settings
from scheduler.transforms.body import TransformBody
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.pivot import GROUPS, groups_search
from scheduler.transforms.runner import TransformRunner
from scheduler.transforms.service import THREADS
from scheduler.transforms.store import TransformStore
from tests.conftest import remove_namespace
from tests.node.summaries import install_summaries

LINES_A_SECOND = 400
SECTIONS = [f"/section{number}" for number in range(40)]
BATCH = 5000
PAGE_SIZES = (1000, 10_000)
# What first checkpoints compute of each section: what `sections` does, and what takes the engine longer.
AGGREGATIONS: dict[str, dict[str, Any] | None] = {
    "as it is": None,
    "with a sum, a filter and a cardinality": {
        "httpmon.bytes": {"sum": {"field": "http.response.body.bytes"}},
        "httpmon.errors": {"filter": {"range": {"http.response.status_code": {"gte": 500}}}},
        "httpmon.clients": {"cardinality": {"field": "source.address"}},
    },
}


def document(chance: random.Random, time: datetime, ingested: datetime) -> dict[str, Any]:
    return {
        "@timestamp": time.isoformat(),
        "event": {"kind": "event", "ingested": ingested.isoformat()},
        "http": {
            "response": {
                "status_code": chance.choice((200, 200, 200, 304, 404, 500)),
                "body": {"bytes": chance.randrange(100_000)},
            }
        },
        # The middle of the bucket is what transforms group by on Elasticsearch.
        "httpmon": {"section": chance.choice(SECTIONS), "bucket_middle": f"{time.isoformat()[:18]}5Z"},
        "source": {"address": f"192.0.{chance.randrange(50)}.{chance.randrange(256)}"},
        "url": {"path": f"/p{chance.randrange(5000)}"},
        "user_agent": {"original": f"agent {chance.randrange(50)}"},
    }


def send(engine: Engine, settings: Settings, documents: list[dict[str, Any]]) -> None:
    body = "".join(f'{{"create":{{}}}}\n{json.dumps(one)}\n' for one in documents).encode()
    answer = engine.bulk(
        body, target=settings.names.raw, params={"pipeline": "_none", "filter_path": "errors"}
    )
    if answer["errors"]:
        raise RuntimeError("documents were refused")


def fill(engine: Engine, settings: Settings, lines: int) -> datetime:
    """Send lines of the past, evenly spread; returns the time of the last."""
    begin = engine.now() - timedelta(seconds=lines / LINES_A_SECOND + 600)

    def batch(first: int) -> None:
        chance = random.Random(first)
        times = (
            begin + timedelta(seconds=at / LINES_A_SECOND) for at in range(first, min(first + BATCH, lines))
        )
        send(engine, settings, [document(chance, time, time) for time in times])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(batch, range(0, lines, BATCH)))
    engine.request("POST", f"/{settings.names.raw}/_refresh")
    engine.request(
        "POST", f"/{settings.names.raw}/_forcemerge", params={"max_num_segments": 5}, timeout_seconds=900
    )
    return begin + timedelta(seconds=lines / LINES_A_SECOND)


def prepare(engine: Engine, settings: Settings, lines: int) -> None:
    """Have so many lines in a namespace; those that an earlier run kept stay."""
    try:
        if int(engine.request("GET", f"/{settings.names.raw}/_count")["count"]) >= lines:
            return
        remove_namespace(engine, settings.namespace)  # an earlier run was stopped
    except NotFound:
        pass
    install_summaries(engine, settings)
    began = time.perf_counter()
    fill(engine, settings, lines)
    print(f"{lines:,} lines indexed in {time.perf_counter() - began:.0f} s")


def bare_searches(engine: Engine, body: TransformBody, size: int) -> tuple[float, int]:
    """The seconds and groups of composite searches one after the other, with nothing done about the
    answers."""
    upper = milliseconds(engine)
    began = time.perf_counter()
    groups, after = 0, None
    while True:
        request = groups_search(body, size=size, upper=upper)
        if after is not None:
            request["aggregations"][GROUPS]["composite"]["after"] = after
        header = {"index": body.indices[0], "request_cache": False}
        answer = engine.msearch([(header, request)])[0]["aggregations"][GROUPS]
        groups += len(answer["buckets"])
        after = answer.get("after_key")
        if after is None or len(answer["buckets"]) < size:
            return time.perf_counter() - began, groups


def milliseconds(engine: Engine) -> int:
    return int(engine.now().timestamp() * 1000)


def drain(runner: TransformRunner, engine: Engine) -> float:
    """The seconds until a checkpoint is complete."""
    began = time.perf_counter()
    now = milliseconds(engine)
    while runner.step(now):
        pass
    return time.perf_counter() - began


class Installation:
    """One namespace with its lines, and a runner for each of its transforms."""

    def __init__(self, engine: Engine, namespace: str, lines: int, threads: ThreadPoolExecutor) -> None:
        self.lines = lines
        self._engine = engine
        self._settings = Settings(namespace=namespace, engine=EngineSettings(url=engine.url))
        prepare(engine, self._settings, lines)
        self._threads = threads
        self._store = TransformStore(engine, self._settings.names)
        self._bodies = {one.identifier: one.body for one in self._store.definitions()}
        self._runners: dict[str, TransformRunner] = {}

    def _identifier(self, stem: str) -> str:
        return f"{self._settings.names.of(stem)}-000001"

    def catch_up(self, stem: str, size: int, aggregations: dict[str, Any] | None) -> tuple[float, float, int]:
        """The seconds of the bare searches and of a first checkpoint in pages of a size, and the groups."""
        identifier = f"{self._identifier(stem)}-{uuid.uuid4().hex[:8]}"
        content = self._bodies[self._identifier(stem)]
        index = next(iter(self._engine.request("GET", f"/{content['dest']['index']}").values()))
        # Into a new index: to overwrite documents takes longer than to write them.
        self._engine.request("PUT", f"/{identifier}", body={"mappings": index["mappings"]})
        destination = {**content["dest"], "index": identifier}
        page = {"max_page_search_size": size}
        pivot = content["pivot"] | ({} if aggregations is None else {"aggregations": aggregations})
        body = parse_body(identifier, {**content, "dest": destination, "settings": page, "pivot": pivot})
        try:
            bare, groups = bare_searches(self._engine, body, size)
            runner = TransformRunner(self._engine, self._store, body, self._threads)
            taken = drain(runner, self._engine)
            if runner.state.statistics.documents_indexed != groups:
                raise RuntimeError(f"{runner.state.statistics.documents_indexed} of {groups} groups written")
            return bare, taken, groups
        finally:
            self._store.forget(identifier)
            self._engine.request("DELETE", f"/{identifier}")

    def begin(self, stem: str) -> None:
        """Summarise what there is."""
        body = parse_body(self._identifier(stem), self._bodies[self._identifier(stem)])
        self._runners[stem] = TransformRunner(self._engine, self._store, body, self._threads)
        first = self._runners[stem].state.upper is None
        taken = drain(self._runners[stem], self._engine)
        if first:
            rate = self.lines / taken
            print(f"{stem}: first checkpoint over {self.lines:,} lines {taken:.2f} s, {rate:,.0f} lines/s")

    def checkpoint(self, stem: str, chance: random.Random) -> float:
        """The seconds of a checkpoint with new lines."""
        now = self._engine.now()
        send(self._engine, self._settings, [document(chance, now, now) for _ in range(LINES_A_SECOND)])
        self._engine.request("POST", f"/{self._settings.names.raw}/_refresh")
        return drain(self._runners[stem], self._engine)


def measure_catch_up(installation: Installation, rounds: int) -> None:
    for told, aggregations in AGGREGATIONS.items():
        for size in PAGE_SIZES:
            installation.catch_up("sections", size, aggregations)  # to warm both up
            taken = [installation.catch_up("sections", size, aggregations) for _ in range(rounds)]
            bare, ours, groups = zip(*taken, strict=True)
            what = f"{groups[0]:,} groups of {installation.lines:,} lines in pages of {size:,}"
            print(f"sections {told}: {what}")
            for name, seconds in (("bare searches", bare), ("first checkpoint", ours)):
                median = statistics.median(seconds)
                each = ", ".join(f"{one:.2f}" for one in seconds)
                print(f"  {name}: median {median:.2f} s ({each}), {installation.lines / median:,.0f} lines/s")
            print(f"  {statistics.median(ours) / statistics.median(bare):.2f} x of the bare searches")


def measure_checkpoints(installations: list[Installation], rounds: int) -> None:
    chance = random.Random(7)
    for stem in ("sections", "traffic"):
        for one in installations:
            one.begin(stem)
            one.checkpoint(stem, chance)
        costs = [[one.checkpoint(stem, chance) for one in installations] for _ in range(rounds)]
        medians = []
        for one, seconds in zip(installations, zip(*costs, strict=True), strict=True):
            medians.append(statistics.median(seconds))
            print(
                f"{stem}: a checkpoint with {LINES_A_SECOND} new lines, {one.lines:,} there: median "
                f"{medians[-1] * 1000:.0f} ms, most {max(seconds) * 1000:.0f} ms"
            )
        if len(medians) > 1:
            print(f"{stem}: {max(medians) / min(medians):.2f} x of one another")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:9200")
    arguments.add_argument("--lines", type=int, nargs="+", default=[1_000_000])
    arguments.add_argument("--catch-ups", type=int, default=5, help="first checkpoints over the fewest lines")
    arguments.add_argument("--rounds", type=int, default=15, help="checkpoints with new lines")
    arguments.add_argument("--keep", metavar="NAME", help="keep the lines, or use those that were kept")
    arguments.add_argument("--remove", metavar="NAME", help="remove what was kept, and do nothing else")
    given = arguments.parse_args()
    name = given.keep or given.remove or f"bench{uuid.uuid4().hex[:8]}x"
    sizes = sorted(given.lines)
    engine = Engine(Connection(given.url, request_timeout_seconds=300))
    threads = ThreadPoolExecutor(THREADS)
    gc.freeze()  # as `httpmon scheduler` does
    try:
        if not given.remove:
            installations = [Installation(engine, f"{name}{lines}", lines, threads) for lines in sizes]
            print(f"load average {os.getloadavg()[0]:.1f}")
            if given.catch_ups:
                measure_catch_up(installations[0], given.catch_ups)
            if given.rounds:
                measure_checkpoints(installations, given.rounds)
    finally:
        threads.shutdown()
        for lines in () if given.keep else sizes:
            remove_namespace(engine, f"{name}{lines}")


if __name__ == "__main__":
    main()
